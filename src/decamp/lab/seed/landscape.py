"""What the old cloud's operator made of its hosts: zones, aggregates and traits, and the flavors that ask for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from decamp.lab.content import create_flavor
from decamp.lab.seed.blueprint import Aggregate, Blueprint

TRAITS_VERSION = "1.6"
"""Placement API: from here on providers have traits."""


def ensure(connection: Connection, plan: Blueprint) -> None:
    """Make what is missing. A host changes its zone only while it has no servers, so this comes before them."""
    present = {aggregate.name: aggregate for aggregate in connection.compute.aggregates()}
    for aggregate in plan.aggregates:
        _ensure_aggregate(connection, present.get(aggregate.name), aggregate)
    for trait, hosts in plan.traits.items():
        _ensure_trait(connection, trait, hosts)
    known = {flavor.name for flavor in connection.compute.flavors()}
    for flavor in plan.flavors:
        if flavor.name not in known:
            create_flavor(connection, flavor)


def _ensure_aggregate(connection: Connection, present: Any, aggregate: Aggregate) -> None:
    compute: Any = connection.compute
    made = present or compute.create_aggregate(name=aggregate.name, availability_zone=aggregate.zone)
    if aggregate.properties:
        compute.set_aggregate_metadata(made, aggregate.properties)
    for host in aggregate.hosts:
        if host not in (made.hosts or ()):
            compute.add_host_to_aggregate(made, host)


def _ensure_trait(connection: Connection, trait: str, hosts: Iterable[str]) -> None:
    placement: Any = connection.placement
    raise_from_response(placement.put(f"/traits/{trait}", microversion=TRAITS_VERSION))
    providers = {provider.name: provider.id for provider in placement.resource_providers()}
    for host in hosts:
        path = f"/resource_providers/{providers[host]}/traits"
        held = placement.get(path, microversion=TRAITS_VERSION).json()
        if trait not in held["traits"]:
            raise_from_response(placement.put(path, json={**held, "traits": [*held["traits"], trait]}, microversion=TRAITS_VERSION))
