"""The lab's simulated machines. One JSON file a machine says what the hardware is and does; drivers and hypervisors read and change it.

Imported by the lab's services (Ironic's driver, Nova's process) and by decamp.lab itself, so it needs only the standard library.

    {"name": "cmp-001", "mac": "52:54:00:0d:00:01", "bmc_address": "192.0.2.11",
     "size":  {"vcpus": 16, "memory_mib": 16384, "disk_gib": 200},     what is really in it
     "power": "on",
     "system": {"cloud": "old", "host": "cmp-001"},                    what is installed on its disk; null: blank
     "ramdisk": false,                                                 true: it runs Ironic's ramdisk, not its system
     "compute_enabled": true,                                          false: somebody stopped its nova-compute
     "compute_killed": false,                                          true: it was killed, and had no time to say goodbye
     "fails": {"inspect": "a sentence"},                               verbs that this machine's hardware fails at
     "faults": {"live_migration_slow": 20}}                            what its hypervisor does wrong: see decamp.lab.machines.Fault
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Iterator

Machine = dict  # of the shape above; plain JSON, because three Pythons share it


def folder() -> pathlib.Path:
    return pathlib.Path(os.environ["DECAMP_LAB_FOLDER"]) / "machines"


def read_all(machines: pathlib.Path) -> list[Machine]:
    return [json.loads(path.read_text()) for path in sorted(machines.glob("*.json"))]


def find(machines: pathlib.Path, macs: set[str]) -> Machine | None:
    return next((machine for machine in read_all(machines) if machine["mac"].lower() in macs), None)


def write(machines: pathlib.Path, machine: Machine) -> None:
    temporary = machines / f".{machine['name']}.{os.getpid()}"
    temporary.write_text(json.dumps(machine, indent=1))
    temporary.replace(machines / f"{machine['name']}.json")


@contextlib.contextmanager
def locked(machines: pathlib.Path) -> Iterator[None]:
    with (machines / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def change(machines: pathlib.Path, name: str, edit: Callable[[Machine], None]) -> Machine:
    """Read, edit and write one machine under the folder's lock. KeyError where there is no such machine."""
    with locked(machines):
        path = machines / f"{name}.json"
        if not path.exists():
            raise KeyError(name)
        machine = json.loads(path.read_text())
        edit(machine)
        write(machines, machine)
        return machine


def fault(machines: pathlib.Path, name: str, kind: str) -> bool | float | None:
    """What the machine's hypervisor does wrong of this kind: true, or for how many seconds."""
    return json.loads((machines / f"{name}.json").read_text()).get("faults", {}).get(kind)


def running_hosts(machines: pathlib.Path, cloud: str) -> dict[str, Machine]:
    """Host name -> machine, for every machine whose hardware now runs a nova-compute of this cloud."""
    return {
        machine["system"]["host"]: machine
        for machine in read_all(machines)
        if runs_its_system(machine)
        and machine["compute_enabled"]
        and not machine.get("compute_killed")
        and machine["system"]["cloud"] == cloud
    }


def was_killed(machines: pathlib.Path, host: str) -> bool:
    """Whether this host's nova-compute was killed, not stopped."""
    return any(machine.get("compute_killed") for machine in read_all(machines) if machine["system"] and machine["system"]["host"] == host)


def runs_its_system(machine: Machine) -> bool:
    return machine["power"] == "on" and not machine["ramdisk"] and machine["system"] is not None
