"""Security groups, without their rules, which are a kind of their own. The mark is a suffix of the description, in the create call.

A project's group `default` cannot be made: the copy of one is the new project's own. Its rules are taken away only in a project that
Decamp itself has made, because elsewhere others may rely on them.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.errors import Failed
from decamp.model.survey import Resource
from decamp.resources import calls, neutron
from decamp.resources.attributes import changed, its_own, kept
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of
from decamp.resources.project import made_by_decamp
from decamp.resources.specs import differences, sealed

NAME = "security_group"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("name", "description", "tags", "stateful"),
    *changed("security_group_rules", how="rules are a kind of their own; those that a group is born with are taken away"),
    *its_own("shared"),
)

DEFAULT = "default"
"""Neutron lets no other group have this name."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    for group in neutron.owned(cloud, NAME, project):
        yield told(group)


def read(cloud: Cloud, id: str) -> Resource | None:
    group = neutron.got(cloud, NAME, id)
    return told(group) if group else None


def told(group: Json) -> Resource:
    default = group["name"] == DEFAULT
    return sealed(
        NAME,
        group["id"],
        group["name"],
        group["project_id"],
        (),
        spec=neutron.common(group) | {"stateful": group.get("stateful")},
        info={"default": default} | neutron.unsupported({} if default else group),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    """A group that is there without its tags, or still with the rules that it was born with, is completed."""
    there = neutron.found(passage, resource)
    if there:
        _complete(passage, resource, there)
    return there


def adopt(passage: Passage, resource: Resource) -> str | None:
    """The default group of the new project, where this is one. Neutron makes it when a project's groups are first listed."""
    if not resource.info.get("default"):
        return None
    for group in neutron.owned(passage.new, NAME, passage.new.project_id, name=DEFAULT):
        if made_by_decamp(passage.new, passage.new.project_id):
            _strip(passage.new, group["id"])
        return group["id"]
    raise Failed(f"{passage.new.name}: the project {passage.new.project_id} has no security group {DEFAULT!r}")


def create(passage: Passage, resource: Resource) -> str:
    """New groups are born with rules that let everything out: they go, and the old group's own come as actions of theirs."""
    body = neutron.body(passage, resource)
    if resource.spec.get("stateful") is False:
        body["stateful"] = False
    made = neutron.posted(passage, NAME, body)
    _complete(passage, resource, made)
    return made


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """Of a default group only that it is one: its description and tags are its project's own affair."""
    copy = read(passage.new, id)
    own = ("name", "description", "tags") if resource.info.get("default") else ()
    wrong = differences(resource, copy, passage.ids, but=own)
    if copy and resource.info.get("default") and not copy.info["default"]:
        return (*wrong, f"security_group {copy.name} is not the default group of its project")
    return wrong


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)


def _complete(passage: Passage, resource: Resource, id: str) -> None:
    _strip(passage.new, id)
    neutron.set_tags(passage, resource, id)


def _strip(cloud: Cloud, id: str) -> None:
    """Rules without a mark were born with the group: nobody else has been told of it yet."""
    for rule in neutron.listed(cloud, "security_group_rule", security_group_id=id):
        if not mark_of(rule.get("description")):
            calls.deleted(cloud, "network", f"{neutron.path('security_group_rule')}/{rule['id']}")
