"""Floating IPs, which are only told: the same address in two clouds at once is an outage, so this version moves none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import unmarked
from decamp.resources.neutron import owner
from decamp.resources.specs import pair, sealed

NAME = "floating_ip"


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    mine = owner(cloud, project)
    for address in calls.listed(cloud, "network", "/floatingips", "floatingips", {"project_id": mine} if mine else None):
        if mine is None or address["project_id"] == mine:
            yield told(address)


def read(cloud: Cloud, id: str) -> Resource | None:
    address = calls.got(cloud, "network", f"/floatingips/{id}", "floatingip")
    return told(address) if address else None


def told(address: Json) -> Resource:
    port = address.get("port_id")
    return sealed(
        NAME,
        address["id"],
        address["floating_ip_address"],
        address["project_id"],
        [Ref("network", address["floating_network_id"]), *([Ref("port", port)] if port else [])],
        spec={
            "floating_ip_address": address["floating_ip_address"],
            "network": pair("network", address["floating_network_id"]),
            "port": pair("port", port),
            "fixed_ip_address": address.get("fixed_ip_address"),
            "description": unmarked(address.get("description")),
            "tags": sorted(address.get("tags") or []),
        },
        info={"router": pair("router", address.get("router_id")), "status": address["status"]},
    )


def find(passage: Passage, resource: Resource) -> None:
    """Nothing makes copies of them."""


def create(passage: Passage, resource: Resource) -> NoReturn:
    raise _not_moved(resource.name)


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return (f"floating IP {resource.name} is not moved",)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    there = read(cloud, id)
    if there:
        raise _not_moved(there.name)


def _not_moved(address: str) -> Refused:
    return Refused(
        f"floating IP {address} is not moved: the same address in both clouds at once is an outage. "
        "Withdraw it in the old cloud and give the copy one of the new cloud's."
    )
