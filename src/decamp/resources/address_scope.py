"""Address scopes: within one, the addresses of subnet pools don't overlap.

Neutron gives them no field for a mark: one of the same name, IP version and sharing that stands for no other old one is the copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import its_own, kept, owner
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, sealed

NAME = "address_scope"

ATTRIBUTES = (
    *owner("project_id", "tenant_id"),
    *its_own("id"),
    *kept("name", "ip_version"),
    *kept("shared", how="sharing with every project takes an operator"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """The project's own, and those that are shared with it."""
    yield from neutron.usable(cloud, NAME, project, told)


def read(cloud: Cloud, id: str) -> Resource | None:
    scope = neutron.got(cloud, NAME, id)
    return told(scope) if scope else None


def told(scope: Json) -> Resource:
    spec = {"name": scope["name"], "ip_version": scope["ip_version"], "shared": scope["shared"]}
    return sealed(NAME, scope["id"], scope["name"], scope["project_id"], (), spec, {})


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found_by_spec(passage, resource, told)


def create(passage: Passage, resource: Resource) -> str:
    return neutron.posted(passage, NAME, dict(resource.spec), by_admin=resource.spec["shared"])


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)
