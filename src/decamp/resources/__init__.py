"""One module per OpenStack kind, all with the same small interface: what is read, found, created, verified and removed."""

from __future__ import annotations

from decamp.resources import (
    address_group,
    address_scope,
    container,
    dns_zone,
    flavor,
    floating_ip,
    group,
    image,
    keypair,
    load_balancer,
    network,
    port,
    port_forwarding,
    project,
    qos_policy,
    quota,
    rbac_policy,
    role_assignment,
    router,
    secret,
    security_group,
    security_group_rule,
    server,
    server_group,
    server_snapshot,
    subnet,
    subnet_pool,
    trunk,
    user,
    volume,
    volume_snapshot,
    volume_type,
)
from decamp.resources.kind import Kind, Passage

_IN_ORDER: tuple[Kind, ...] = (
    project,
    user,
    group,
    role_assignment,
    quota,
    keypair,
    volume_type,
    flavor,
    image,
    qos_policy,
    address_scope,
    subnet_pool,
    network,
    subnet,
    address_group,
    security_group,
    security_group_rule,
    router,
    port,
    trunk,
    rbac_policy,
    volume,
    volume_snapshot,
    server_group,
    server_snapshot,
    server,
    floating_ip,
    port_forwarding,
    load_balancer,
    dns_zone,
    container,
    secret,
)

KINDS: dict[str, Kind] = {kind.NAME: kind for kind in _IN_ORDER}
"""By name, in an order in which each comes after those that it may need."""

__all__ = ["KINDS", "Kind", "Passage"]
