"""One module per OpenStack kind, all with the same small interface: what is read, found, created, verified and removed."""

from __future__ import annotations

from decamp.resources import (
    flavor,
    floating_ip,
    keypair,
    network,
    port,
    project,
    router,
    security_group,
    security_group_rule,
    server_group,
    subnet,
)
from decamp.resources.kind import Kind, Passage

_IN_ORDER: tuple[Kind, ...] = (
    project,
    keypair,
    flavor,
    network,
    subnet,
    security_group,
    security_group_rule,
    router,
    port,
    server_group,
    floating_ip,
)

KINDS: dict[str, Kind] = {kind.NAME: kind for kind in _IN_ORDER}
"""By name, in an order in which each comes after those that it may need."""

__all__ = ["KINDS", "Kind", "Passage"]
