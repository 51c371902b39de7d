"""Machines: the physical computers behind compute hosts, as TripleO's instackenv.json describes them."""

from __future__ import annotations

import msgspec


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Joined to a compute host by name. Passwords (pm_password) are read when enrolling, and kept out of here."""

    name: str
    pm_type: str
    pm_addr: str
    macs: tuple[str, ...]
    cpu: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    arch: str = "x86_64"
    capabilities: str | None = None
