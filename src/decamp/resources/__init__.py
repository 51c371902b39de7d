"""One module per OpenStack kind, all with the same small interface: what is read, found, created, verified and removed."""

from __future__ import annotations

from decamp.resources import (
    flavor,
    floating_ip,
    image,
    keypair,
    network,
    port,
    project,
    router,
    security_group,
    security_group_rule,
    server,
    server_group,
    server_snapshot,
    subnet,
    volume,
)
from decamp.resources.kind import Kind, Passage

_IN_ORDER: tuple[Kind, ...] = (
    project,
    keypair,
    flavor,
    image,
    network,
    subnet,
    security_group,
    security_group_rule,
    router,
    port,
    volume,
    server_group,
    server_snapshot,
    server,
    floating_ip,
)

KINDS: dict[str, Kind] = {kind.NAME: kind for kind in _IN_ORDER}
"""By name, in an order in which each comes after those that it may need."""

__all__ = ["KINDS", "Kind", "Passage"]
