"""What the kinds of Keystone have in common: domains, which have equal names in both clouds, and roles, which are found by their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.resources import calls
from decamp.resources.calls import Json


def listed(cloud: Cloud, kind: str, **query: Any) -> Iterator[Json]:
    return calls.listed(cloud, "identity", f"/{kind}s", f"{kind}s", query)


def got(cloud: Cloud, kind: str, id: str) -> Json | None:
    return calls.got(cloud, "identity", f"/{kind}s/{id}", kind)


def domain_name(cloud: Cloud, id: str, names: dict[str, str]) -> str:
    """The name; the id to those who may not read it. `names` is filled with those that were asked for."""
    if id not in names:
        try:
            domain = got(cloud, "domain", id)
        except Refused:
            domain = None
        names[id] = domain["name"] if domain else id
    return names[id]


def domain_id(cloud: Cloud, name: str) -> str:
    """Raises Refused where there is none of that name."""
    for domain in listed(cloud, "domain", name=name):
        return domain["id"]
    raise Refused(f"{cloud.name}: there is no domain {name!r}: make it, or map what belongs to it")


def role_id(cloud: Cloud, name: str) -> str:
    """Raises Refused where there is none of that name."""
    for role in listed(cloud, "role", name=name):
        return role["id"]
    raise Refused(f"{cloud.name}: there is no role {name!r}: make it first")


def assignments(cloud: Cloud, project: str, *, effective: bool = False) -> Iterator[Json]:
    """Of roles in the project; `effective`: with groups resolved into their users, and inheritance into what is inherited."""
    query = {"scope.project.id": project} | ({"effective": ""} if effective else {})
    return calls.listed(cloud, "identity", "/role_assignments", "role_assignments", query)
