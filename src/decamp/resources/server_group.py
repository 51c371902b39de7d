"""Server groups. Nova gives them no field for a mark, and no way to rename them: one of the same name, policy and rules in the new
project that has no members yet, and that stands for no other old group, is the copy that an earlier attempt made.

Two old groups that are equal in all of this must therefore not be made at the same time; planning gives such creations one lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import calls
from decamp.resources.attributes import changed, its_own, kept, owner
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.removing import removed
from decamp.resources.specs import differences, sealed

NAME = "server_group"

ATTRIBUTES = (
    *owner("project_id"),
    *its_own("id", "user_id"),
    *kept("name", "policy", "rules"),
    *changed("members", how="servers enter it when they are booted"),
    *kept(how="as `policy`, which it was called until compute 2.64", policy="policies"),
    *changed("metadata", how="empty since Nova has it"),
)

_RULES_FROM = "2.64"
"""Compute microversion from which a group has one policy, and rules."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    wanted = project or (None if cloud.admin else cloud.project_id)
    for group in _listed(cloud, everybodys=cloud.admin):
        if wanted is None or group["project_id"] == wanted:
            yield told(group)


def _listed(cloud: Cloud, *, everybodys: bool) -> Iterator[Json]:
    """Nova pages these by offset, and gives no link to the next page."""
    query: Json = {"limit": calls.PAGE} | ({"all_projects": "true"} if everybodys else {})
    offset = 0
    while page := list(calls.listed(cloud, "compute", "/os-server-groups", "server_groups", query | {"offset": offset})):
        yield from page
        offset += len(page)
        if len(page) < calls.PAGE:
            return


def read(cloud: Cloud, id: str) -> Resource | None:
    group = calls.got(cloud, "compute", f"/os-server-groups/{id}", "server_group")
    return told(group) if group else None


def told(group: Json) -> Resource:
    policy = group["policy"] if "policy" in group else next(iter(group["policies"]), None)
    return sealed(
        NAME,
        group["id"],
        group["name"],
        group.get("project_id"),
        (),
        spec={"name": group["name"], "policy": policy, "rules": group.get("rules") or {}},
        info={"members": sorted(group["members"])},
    )


def find(passage: Passage, resource: Resource) -> str | None:
    taken = {copy for ref, copy in passage.ids.items() if ref.kind == NAME and ref != resource.ref}
    for group in _listed(passage.new, everybodys=False):
        there = told(group)
        ours = group.get("project_id", passage.new.project_id) == passage.new.project_id and there.id not in taken
        if ours and there.spec == resource.spec and not there.info["members"]:
            return there.id
    return None


def create(passage: Passage, resource: Resource) -> str:
    spec = resource.spec
    if passage.new.at_least("compute", _RULES_FROM):
        body = {"name": spec["name"], "policy": spec["policy"]} | ({"rules": spec["rules"]} if spec["rules"] else {})
    else:
        body = {"name": spec["name"], "policies": [spec["policy"]]}
    return calls.posted(passage.new, "compute", "/os-server-groups", {"server_group": body})["server_group"]["id"]


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    removed(cloud, id, expects, read, "compute", f"/os-server-groups/{id}")
