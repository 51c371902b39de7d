"""The lab's simulated machines: their first state, their inventory (instackenv.json), and what may be done to them by hand."""

from __future__ import annotations

import importlib.util
import sys
import time
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from decamp.lab.layout import CloudName, Lab, MachineSize
from decamp.lab.processes import SERVICES
from decamp.model.errors import BadInput, Bug, Failed

PM_TYPE = "fake-hardware"
LOOK_SECONDS = 0.1


@cache
def shared() -> ModuleType:
    """services/lab_machines.py: the module that the lab's services read the same files with."""
    spec = importlib.util.spec_from_file_location("lab_machines", SERVICES / "lab_machines.py")
    if spec is None or spec.loader is None:
        raise Bug("services/lab_machines.py, a part of this package, cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["lab_machines"] = module
    spec.loader.exec_module(module)
    return module


def old_host(number: int) -> str:
    return f"cmp-{number:03d}"


def new_machine(number: int) -> str:
    return f"new-{number:03d}"


def _machine(name: str, mac: str, bmc_address: str, size: MachineSize, system: dict[str, str] | None) -> dict[str, Any]:
    return {
        "name": name,
        "mac": mac,
        "bmc_address": bmc_address,
        "size": msgspec.to_builtins(size),
        "power": "on" if system else "off",
        "system": system,
        "compute_enabled": True,
        "ramdisk": False,
        "fails": {},
    }


def create_all(lab: Lab) -> None:
    """Old machines run the old cloud's hosts; the new cloud's are blank until the undercloud deploys them."""
    lab.machines_folder.mkdir(exist_ok=True)
    size = lab.settings.machine
    for number in range(1, lab.settings.old_hosts + 1):
        system = {"cloud": str(CloudName.OLD), "host": old_host(number)}
        # documentation addresses and locally administered MACs: RFC 5737, RFC 7042
        machine = _machine(old_host(number), f"52:54:00:0d:{number >> 8:02x}:{number & 255:02x}", f"192.0.2.{number}", size, system)
        shared().write(lab.machines_folder, machine)
    for number in range(1, lab.settings.new_hosts + 1):
        machine = _machine(new_machine(number), f"52:54:00:0e:00:{number:02x}", f"192.0.2.{200 + number}", size, None)
        shared().write(lab.machines_folder, machine)


def write_instackenv(lab: Lab) -> None:
    """TripleO's inventory format, one machine for each old host. It declares what was bought, not what is found."""
    nodes = [
        {
            "name": machine["name"],
            "pm_type": PM_TYPE,
            "pm_addr": machine["bmc_address"],
            "pm_user": "admin",
            "pm_password": "not-checked",
            "mac": [machine["mac"]],
            "cpu": str(lab.settings.machine.vcpus),
            "memory": str(lab.settings.machine.memory_mib),
            "disk": str(lab.settings.machine.disk_gib),
            "arch": "x86_64",
        }
        for machine in shared().read_all(lab.machines_folder)
        if machine["name"].startswith("cmp-")
    ]
    lab.instackenv.write_bytes(msgspec.json.format(msgspec.json.encode({"nodes": nodes}), indent=2) + b"\n")


def running_hosts(lab: Lab, cloud: CloudName) -> list[str]:
    """Hosts whose machine is on and has this cloud's nova-compute enabled."""
    return sorted(shared().running_hosts(lab.machines_folder, str(cloud)))


def started_hosts(lab: Lab, cloud: CloudName) -> list[str]:
    """Hosts whose nova-compute has started and not ended, as Nova's process says."""
    folder = _started_folder(lab, cloud)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def _started_folder(lab: Lab, cloud: CloudName) -> Path:
    return lab.cloud_folder(cloud) / "nova" / "running"


def set_compute_enabled(lab: Lab, host: str, enabled: bool, *, nova_runs: bool, seconds: float = 60) -> None:
    """Start or stop nova-compute on `host`, as `systemctl enable|disable --now` would. Returns when it has started or ended.

    Raises BadInput for a host that no machine runs, Failed where nothing happens within `seconds`.
    """
    machine = next((m for m in shared().read_all(lab.machines_folder) if m["system"] and m["system"]["host"] == host), None)
    if machine is None:
        raise BadInput(f"No machine of the lab runs a compute host {host}.")
    cloud = CloudName(machine["system"]["cloud"])
    shared().change(lab.machines_folder, machine["name"], lambda m: m.update(compute_enabled=enabled))
    mark = _started_folder(lab, cloud) / host
    deadline = time.monotonic() + seconds
    while nova_runs and mark.exists() != enabled:
        if time.monotonic() > deadline:
            raise Failed(f"nova-compute of {host} did not {'start' if enabled else 'stop'} within {seconds:.0f} s.")
        time.sleep(LOOK_SECONDS)
