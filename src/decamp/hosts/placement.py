"""Placement's resource providers as compute hosts have them: a root, perhaps with children, joined by the id of the compute node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.hosts import api
from decamp.model.amounts import Inventory, add


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A root provider, with what its whole tree offers and holds."""

    id: str
    inventories: dict[str, Inventory]
    traits: tuple[str, ...]
    """The root's."""
    held: dict[str, dict[str, int]]
    """Consumer -> amounts. A server's consumer has the server's id; a migration in flight has one of its own."""


def read_providers(cloud: Cloud, roots: Iterable[str]) -> dict[str, Provider]:
    """By id, those of `roots` that are there. Needs the admin role."""
    trees: dict[str, list[str]] = defaultdict(list)
    for provider in api.get(cloud, "placement", "/resource_providers")["resource_providers"]:
        trees[provider.get("root_provider_uuid") or provider["uuid"]].append(provider["uuid"])
    wanted = [root for root in roots if root in trees]
    return dict(zip(wanted, api.together(lambda root: _read(cloud, root, trees[root]), wanted), strict=True))


def inventories(cloud: Cloud, provider: str) -> dict[str, Inventory] | None:
    """Of one provider alone; null where there is no such provider."""
    answer = api.look(cloud, "placement", f"/resource_providers/{provider}/inventories")
    return None if answer is None else {name: _inventory(fields) for name, fields in answer["inventories"].items()}


def held(cloud: Cloud, provider: str) -> dict[str, dict[str, int]] | None:
    """Consumer -> amounts that it holds of one provider; null where there is no such provider."""
    answer = api.look(cloud, "placement", f"/resource_providers/{provider}/allocations")
    return None if answer is None else {consumer: one["resources"] for consumer, one in answer["allocations"].items()}


def held_by(cloud: Cloud, consumer: str) -> dict[str, int]:
    """What one consumer holds of all providers; empty where it holds nothing."""
    answer = api.get(cloud, "placement", f"/allocations/{consumer}")
    return add(*(one["resources"] for one in answer["allocations"].values()))


def release(cloud: Cloud, consumer: str) -> None:
    """What one consumer holds of all providers is held no more."""
    api.call(cloud, "placement", "DELETE", f"/allocations/{consumer}", missing=True)


def by_name(cloud: Cloud, name: str) -> str | None:
    """Id of the provider of that name: a compute node's is its hypervisor_hostname."""
    found = api.get(cloud, "placement", "/resource_providers", name=name)["resource_providers"]
    return found[0]["uuid"] if found else None


def exists(cloud: Cloud, provider: str) -> bool:
    return api.look(cloud, "placement", f"/resource_providers/{provider}") is not None


def _read(cloud: Cloud, root: str, tree: list[str]) -> Provider:
    offered: list[dict[str, Inventory]] = []
    consumers: dict[str, dict[str, int]] = {}
    for member in tree:
        offered.append(inventories(cloud, member) or {})
        for consumer, amounts in (held(cloud, member) or {}).items():
            consumers[consumer] = add(consumers.get(consumer, {}), amounts)
    answer = api.look(cloud, "placement", f"/resource_providers/{root}/traits")
    return Provider(id=root, inventories=merged(offered), traits=tuple(sorted(answer["traits"])) if answer else (), held=consumers)


def merged(offered: Iterable[dict[str, Inventory]]) -> dict[str, Inventory]:
    """The inventories of a tree as if it were one provider: what several members offer is added up in usable amounts."""
    result: dict[str, Inventory] = {}
    for inventories in offered:
        for name, one in inventories.items():
            result[name] = Inventory(total=result[name].usable() + one.usable()) if name in result else one
    return result


def _inventory(fields: dict[str, Any]) -> Inventory:
    return Inventory(total=fields["total"], reserved=fields["reserved"], allocation_ratio=fields["allocation_ratio"])
