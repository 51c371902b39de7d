"""What keeps a server on its host, what it asks of another, and what it holds: derived from Nova's and Glance's answers, purely."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from decamp.model.survey import Pinned

Json = Mapping[str, Any]

LIVE = frozenset({"ACTIVE", "PAUSED"})
"""Statuses that a live migration accepts (compute API reference, os-migrateLive)."""
COLD = frozenset({"SHUTOFF"})
"""Statuses that a cold migration accepts, and a live one does not (compute API reference, migrate)."""

PASSED_THROUGH = frozenset(
    {"direct", "direct-physical", "macvtap", "vdpa", "accelerator-direct", "accelerator-direct-physical", "remote-managed"}
)
"""Values of binding:vnic_type whose port is a device of the host (neutron-lib, api/definitions/portbindings)."""

OWN_LOCK = "moved by Decamp"
"""Begins the locked_reason of servers that were moved and wait for `confirm`: whoever locked them may migrate them."""

_RESOURCES = re.compile(r"resources\w*:(\w+)")
_TRAIT = re.compile(r"trait\w*:(\w+)")


def pinned(server: Json, image: Json, vnic_types: frozenset[str]) -> Pinned | None:
    """The first reason why `server` (GET /servers/detail) can be migrated neither live nor cold; null: one of them is possible.

    A lock comes last, since policy may pass over it: a server that is pinned by it is pinned by nothing else.
    `image` holds the properties of its image, as far as they could be read.
    """
    if server.get("OS-EXT-STS:task_state"):
        return Pinned.TASK_IN_PROGRESS
    if server["status"] == "VERIFY_RESIZE":
        return Pinned.RESIZE_UNCONFIRMED
    if server["status"] not in LIVE | COLD:
        return Pinned.STATE
    locked = server.get("locked") and not (server.get("locked_reason") or "").startswith(OWN_LOCK)
    return _tied(extra_specs(server), image, vnic_types) or (Pinned.LOCKED if locked else None)


def _tied(specs: Json, image: Json, vnic_types: frozenset[str]) -> Pinned | None:
    asked = _asked_classes(specs)
    # flavors say hw:cpu_policy where images say hw_cpu_policy (Nova's user guide, "Flavors" and Glance's "Useful image properties")
    said = {**{f"hw:{name[3:]}": value for name, value in image.items() if name.startswith("hw_")}, **specs}
    if vnic_types & PASSED_THROUGH or said.get("pci_passthrough:alias") or any(name.startswith("CUSTOM_PCI_") for name in asked):
        return Pinned.PCI_DEVICE
    if said.get("accel:device_profile") or {"VGPU", "PGPU", "FPGA"} & asked.keys():
        return Pinned.ACCELERATOR
    if str(said.get("hw:mem_encryption", "")).lower() in {"true", "1", "yes"} or "MEM_ENCRYPTION_CONTEXT" in asked:
        return Pinned.ENCRYPTED_MEMORY
    if said.get("hw:cpu_policy") in {"dedicated", "mixed"} or "PCPU" in asked:
        return Pinned.CPU_PINNING
    # small pages are what every guest has
    if said.get("hw:numa_nodes") or said.get("hw:mem_page_size", "small") != "small":
        return Pinned.NUMA
    return None


def extra_specs(server: Json) -> Json:
    return server["flavor"].get("extra_specs") or {}


def required_traits(server: Json, image: Json) -> tuple[str, ...]:
    """Those that flavor or image ask for with `trait:NAME=required`, sorted."""
    asked = {**image, **extra_specs(server)}
    return tuple(sorted({match[1] for name, value in asked.items() if value == "required" and (match := _TRAIT.fullmatch(name))}))


def volume_backed(server: Json) -> bool:
    """Nova shows an empty string for the image of a server that was booted from a volume."""
    return not server.get("image")


def local_disk_gib(server: Json) -> int:
    """Of its host's disk, as Placement counts it: root (unless on a volume), ephemeral and swap, each GiB that is begun."""
    flavor = server["flavor"]
    swap_mib = int(flavor.get("swap") or 0)
    return (0 if volume_backed(server) else int(flavor["disk"])) + int(flavor.get("ephemeral") or 0) + math.ceil(swap_mib / 1024)


def flavor_allocations(server: Json) -> dict[str, int]:
    """What Nova asks of Placement for the flavor embedded in `server` (compute 2.47 and later), overrides by extra specs included."""
    flavor = server["flavor"]
    amounts = {"VCPU": int(flavor["vcpus"]), "MEMORY_MB": int(flavor["ram"]), "DISK_GB": local_disk_gib(server)}
    if extra_specs(server).get("hw:cpu_policy") == "dedicated":
        amounts["PCPU"] = amounts.pop("VCPU")
    amounts |= _asked_classes(extra_specs(server))
    return {resource_class: amount for resource_class, amount in amounts.items() if amount}


def migration_bytes(server: Json) -> int:
    """Memory, and the local disk: no API tells whether hosts share it, so it is counted."""
    return int(server["flavor"]["ram"]) * 2**20 + local_disk_gib(server) * 2**30


def _asked_classes(specs: Json) -> dict[str, int]:
    return {match[1]: int(value) for name, value in specs.items() if (match := _RESOURCES.fullmatch(name)) and str(value).isdigit()}
