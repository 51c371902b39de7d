"""Address groups, which rules of security groups may name as their peers. The mark is a suffix of the description, in the create call."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import its_own, kept
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, sealed

NAME = "address_group"

ATTRIBUTES = (*neutron.OWN, *kept("name", "description", "addresses"), *its_own("shared"))


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """The project's own, and those that are shared with it."""
    yield from neutron.usable(cloud, NAME, project, told)


def read(cloud: Cloud, id: str) -> Resource | None:
    group = neutron.got(cloud, NAME, id)
    return told(group) if group else None


def told(group: Json) -> Resource:
    spec = neutron.common(group) | {"addresses": sorted(group["addresses"])}
    return sealed(NAME, group["id"], group["name"], group["project_id"], (), spec, neutron.unsupported(group))


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    return neutron.created(passage, resource, neutron.body(passage, resource) | {"addresses": resource.spec["addresses"]})


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)
