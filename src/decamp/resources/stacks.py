"""Heat as it is read: the stacks of a project, each with all that it made, however deeply nested; and which stack owns a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.resources import calls
from decamp.resources.calls import Json

SERVICE = "orchestration"

SERVER_TYPE = "OS::Nova::Server"

NESTED_DEPTH = 5
"""Stacks within stacks (resource groups are such) that are looked into: Heat's own default limit (max_nested_stack_depth)."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The outermost stack that something belongs to."""

    id: str
    name: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that a stack made, or means to make."""

    path: str
    """Its name in the template, after those of the nested stacks that it is in: `web/0`. The same in every stack of this template."""
    type: str
    id: str | None
    """Of the thing itself, in the service that has it."""


def listed(cloud: Cloud, project: str | None) -> Iterator[Json]:
    """The stacks, but for those within others, of one project or, where an admin asks for none, of all."""
    everybodys = cloud.admin and project != cloud.project_id
    for stack in calls.listed(cloud, SERVICE, "/stacks", "stacks", {"global_tenant": "true"} if everybodys else {}):
        if project is None or stack.get("project", project) == project:
            yield stack


def path_of(cloud: Cloud, stack: Json) -> str:
    """Where the stack is found: for an admin it may be below another project than the own one, which Heat has in its URLs."""
    path = f"/stacks/{stack['stack_name']}/{stack['id']}"
    owner = stack.get("project") or stack.get("parameters", {}).get("OS::project_id") or cloud.project_id
    if owner == cloud.project_id:
        return path
    with cloud.calling("find Heat"):
        endpoint = str(cloud.connection.orchestration.get_endpoint())
    return endpoint.rstrip("/").replace(cloud.project_id, owner) + path


def members(cloud: Cloud, stack: Json) -> tuple[Member, ...]:
    """All that the stack and those within it made, in the order of their paths."""
    asked = {"nested_depth": NESTED_DEPTH}
    return members_of(calls.got(cloud, SERVICE, f"{path_of(cloud, stack)}/resources", "resources", asked) or [])


def members_of(resources: Iterable[Json]) -> tuple[Member, ...]:
    """Which nested stack a resource is in, and which one it is itself, is told by links alone."""
    every = list(resources)
    holders = {link["href"]: one for one in every for link in one["links"] if link["rel"] == "nested"}

    def path(resource: Json) -> str:
        within = next((holders.get(link["href"]) for link in resource["links"] if link["rel"] == "stack"), None)
        return f"{path(within)}/{resource['resource_name']}" if within else resource["resource_name"]

    found = [Member(path=path(one), type=one["resource_type"], id=one.get("physical_resource_id") or None) for one in every]
    return tuple(sorted(found, key=lambda member: member.path))


def owners_of_servers(cloud: Cloud, project: str | None) -> dict[str, Owner] | None:
    """Server id -> its owner; empty where there is no Heat, null where these credentials may not ask it."""
    if not cloud.has(SERVICE):
        return {}
    owners: dict[str, Owner] = {}
    try:
        for stack in listed(cloud, project):
            owner = Owner(id=stack["id"], name=stack["stack_name"])
            owners |= {member.id: owner for member in members(cloud, stack) if member.type == SERVER_TYPE and member.id}
    except Refused:
        return None
    return owners
