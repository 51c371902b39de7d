"""Groups of users, for operators, with their members. The mark is a suffix of the description, in the create call.

A group is made in steps, itself and each member; `find` completes what a crash left half-made.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, identity
from decamp.resources.attributes import its_own, kept, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, marked, unmarked
from decamp.resources.removing import removed
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "group"

ATTRIBUTES = (
    *its_own("id", "links"),
    *kept("name", "description"),
    *mapped_as(how="by the domain's name", domain="domain_id"),
    *mapped_as(members="users"),
)
"""Members are a call of their own."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Those with a role in the project; null: all. None to tenants."""
    if not cloud.admin:
        return
    groups = None if project is None else {one["group"]["id"] for one in identity.assignments(cloud, project) if "group" in one}
    names: dict[str, str] = {}
    for group in identity.listed(cloud, NAME):
        if groups is None or group["id"] in groups:
            yield _whole(cloud, group, names)


def read(cloud: Cloud, id: str) -> Resource | None:
    group = identity.got(cloud, NAME, id)
    return _whole(cloud, group, {}) if group else None


def _whole(cloud: Cloud, group: Json, names: dict[str, str]) -> Resource:
    members = calls.listed(cloud, "identity", f"/groups/{group['id']}/users", "users")
    return told(group, identity.domain_name(cloud, group["domain_id"], names), [user["id"] for user in members])


def told(group: Json, domain: str, members: Iterable[str]) -> Resource:
    users = sorted(members)
    return sealed(
        NAME,
        group["id"],
        group["name"],
        None,
        [Ref("user", user) for user in users],
        spec={
            "name": group["name"],
            "domain": domain,
            "description": unmarked(group.get("description")),
            "members": [pair("user", user) for user in users],
        },
        info={},
    )


def find(passage: Passage, resource: Resource) -> str | None:
    domain = identity.domain_id(passage.new, resource.spec["domain"])
    for group in identity.listed(passage.new, NAME, domain_id=domain, name=resource.name):
        if mark_of(group.get("description")) == passage.mark:
            _complete(passage, resource, group["id"])
            return group["id"]
    return None


def create(passage: Passage, resource: Resource) -> str:
    """Keystone answers 409 where the domain has a group of this name: map it then."""
    spec = resource.spec
    domain = identity.domain_id(passage.new, spec["domain"])
    body = {"name": spec["name"], "domain_id": domain, "description": marked(spec["description"], passage.mark)}
    made = calls.posted(passage.new, "identity", "/groups", {NAME: body})[NAME]["id"]
    _complete(passage, resource, made)
    return made


def _complete(passage: Passage, resource: Resource, id: str) -> None:
    for member in resource.spec["members"]:
        calls.put(passage.new, "identity", f"/groups/{id}/users/{mapped(passage.ids, member)}")


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    removed(cloud, id, expects, read, "identity", f"/groups/{id}")
