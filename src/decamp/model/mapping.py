"""The mapping: what of the new cloud stands for what of the old, where only the operator can know."""

from __future__ import annotations

import msgspec


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Old id or unique name -> new id or unique name, for each kind."""

    network: dict[str, str] = {}
    subnet: dict[str, str] = {}
    image: dict[str, str] = {}
    flavor: dict[str, str] = {}
    volume_type: dict[str, str] = {}
    project: dict[str, str] = {}
    keypair: dict[str, str] = {}
    qos_policy: dict[str, str] = {}
    address_group: dict[str, str] = {}
    address_scope: dict[str, str] = {}
    subnet_pool: dict[str, str] = {}
    user: dict[str, str] = {}
    group: dict[str, str] = {}
    floating_ip: dict[str, str] = {}
    """Old address -> the address that the new cloud is asked for; one that is not here gets a new one."""
    zone: dict[str, str] = {}
    """Availability zones have names only."""
    storage_policy: dict[str, str] = {}
    """Of containers: an object store's policies have names only."""
