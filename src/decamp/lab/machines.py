"""The lab's simulated machines: their first state, their inventory (instackenv.json), and what may be done to them by hand."""

from __future__ import annotations

import enum
import importlib.util
import sys
import time
from collections.abc import Mapping
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


class Fault(enum.StrEnum):
    """What a machine's hypervisor can do wrong, and its side: the source's or the target's. Other hosts are not touched."""

    LIVE_MIGRATION_WAITS = "live_migration_waits"
    """Source: Nova's FakeLiveMigrateDriver: it waits 5 s for an abort or a force-complete, tells no figures, and ends by itself then."""
    LIVE_MIGRATION_SLOW = "live_migration_slow"
    """Source: it takes this many seconds, and tells figures of memory and disk as libvirt does. Can be aborted and forced."""
    LIVE_MIGRATION_STALLS = "live_migration_stalls"
    """Source: it comes to nine tenths, and stays there until it is aborted or forced."""
    LIVE_MIGRATION_ROLLS_BACK = "live_migration_rolls_back"
    """Source: the guest stays, its migration `failed`; after LIVE_MIGRATION_SLOW's seconds where that is set too."""
    LIVE_MIGRATION_BREAKS = "live_migration_breaks"
    """Source: the hypervisor is not there in the middle of it. Nova puts the server into ERROR, where it was."""
    PRE_LIVE_MIGRATION_FAILS = "pre_live_migration_fails"
    """Target: it cannot plug the guest's interfaces. The guest stays where it was."""
    FINISH_MIGRATION_FAILS = "finish_migration_fails"
    """Target: Nova's FakeFinishMigrationFailDriver: a cold migration's server ends in ERROR, on the target."""
    COLD_MIGRATION_ROLLS_BACK = "cold_migration_rolls_back"
    """Source: the disk cannot be copied. The server stays as it was, its migration in `error`."""
    CONFIRM_MIGRATION_FAILS = "confirm_migration_fails"
    """Source: what is left of a cold migration cannot be removed. The server ends in ERROR, on the target."""
    SNAPSHOT_FAILS = "snapshot_fails"
    """The guest's disk cannot be read: a shelving ends where it began."""
    SPAWN_FAILS = "spawn_fails"
    """Target of a boot: Nova's FakeBuildAbortDriver: the server ends in ERROR."""


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
        "compute_killed": False,
        "ramdisk": False,
        "fails": {},
        "faults": {},
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
    _set_compute(lab, host, nova_runs=nova_runs, seconds=seconds, enabled=enabled, killed=False)


def kill_compute(lab: Lab, host: str, *, nova_runs: bool, seconds: float = 60) -> None:
    """Kill nova-compute on `host` as `kill -9` would, whatever it is doing; it stays away until it is started.

    Nova takes it for up until its reports are missing for a minute, and calls to it time out. Raises as `set_compute_enabled` does.
    """
    _set_compute(lab, host, nova_runs=nova_runs, seconds=seconds, enabled=True, killed=True)


def set_faults(lab: Lab, host: str, faults: Mapping[Fault, bool | float]) -> None:
    """Let the hypervisor of `host` have these faults from now on, and no others. A value is true, or seconds where the kind asks for them.

    Raises BadInput for a host that no machine runs.
    """
    given = {str(fault): value for fault, value in faults.items()}
    shared().change(lab.machines_folder, _running(lab, host)["name"], lambda machine: machine.update(faults=given))


def faults_of(lab: Lab, host: str) -> dict[Fault, bool | float]:
    """Raises BadInput for a host that no machine runs."""
    return {Fault(name): value for name, value in _running(lab, host).get("faults", {}).items()}


def _running(lab: Lab, host: str) -> dict[str, Any]:
    machine = next((m for m in shared().read_all(lab.machines_folder) if m["system"] and m["system"]["host"] == host), None)
    if machine is None:
        raise BadInput(f"No machine of the lab runs a compute host {host}.")
    return machine


def _set_compute(lab: Lab, host: str, *, nova_runs: bool, seconds: float, enabled: bool, killed: bool) -> None:
    machine, runs = _running(lab, host), enabled and not killed
    shared().change(lab.machines_folder, machine["name"], lambda m: m.update(compute_enabled=enabled, compute_killed=killed))
    mark = _started_folder(lab, CloudName(machine["system"]["cloud"])) / host
    deadline = time.monotonic() + seconds
    while nova_runs and mark.exists() != runs:
        if time.monotonic() > deadline:
            raise Failed(f"nova-compute of {host} did not {'start' if runs else 'stop'} within {seconds:.0f} s.")
        time.sleep(LOOK_SECONDS)
