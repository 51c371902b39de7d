"""What a move is about: the project, its chosen servers, and all that has to go with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from decamp.model.errors import BadInput
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey
from decamp.planning import fields


def find_project(old: Survey, wanted: str) -> Resource:
    """By id or by unique name. Raises BadInput. A survey by a tenant may know no more of its project than the id."""
    surveyed = [resource for resource in old.resources if resource.kind == "project"]
    if old.project and all(project.id != old.project for project in surveyed):
        surveyed.append(Resource(kind="project", id=old.project))
    found = _matches(surveyed, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"project {wanted!r}: cloud {old.cloud} has several of that name: {_listed(found)}. Give the id.")
    limited = f", which covers project {old.project} only" if old.project else ""
    raise BadInput(f"project {wanted!r}: no project of that id or name is in the survey of cloud {old.cloud}{limited}.")


def find_servers(old: Survey, project: Resource, wanted: Iterable[str]) -> tuple[Resource, ...]:
    """Each by id or by unique name among the project's; none wanted: all of them. Raises BadInput."""
    every = [resource for resource in old.resources if resource.kind == "server"]
    own = [server for server in every if server.project == project.id]
    chosen: dict[str, Resource] = {} if wanted else {server.id: server for server in own}
    for one in wanted:
        found = _matches(own, one)
        if len(found) > 1:
            raise BadInput(f"server {one!r}: {fields.label(project)} has several of that name: {_listed(found)}. Give the id.")
        if not found:
            elsewhere = next((server.project for server in every if server.id == one), None)
            hint = f"; it belongs to project {elsewhere}" if elsewhere else ""
            raise BadInput(f"server {one!r}: no server of that id or name is in {fields.label(project)} of cloud {old.cloud}{hint}.")
        chosen[found[0].id] = found[0]
    return tuple(server for _, server in sorted(chosen.items()))


def _matches(candidates: Iterable[Resource], wanted: str) -> list[Resource]:
    by_id = [candidate for candidate in candidates if candidate.id == wanted]
    return by_id or [candidate for candidate in candidates if candidate.name == wanted]


def _listed(candidates: Iterable[Resource]) -> str:
    return ", ".join(sorted(candidate.id for candidate in candidates))


class Closure(msgspec.Struct, frozen=True, kw_only=True):
    resources: dict[Ref, Resource]
    missing: dict[Ref, tuple[Ref, ...]]
    """What is needed and not surveyed -> by whom."""


def closure(resources: Mapping[Ref, Resource], roots: Iterable[Ref], carried: Callable[[Resource], bool]) -> Closure:
    """The roots, all that they need, and the members of what is found so: transitively.

    Members are what is of no use to its owner's users when it is left behind: the rules of a group, the subnets of a network,
    the routers of a subnet, the floating IPs, forwardings and trunk of a port, whom a network is shared with. Only what is itself `carried`
    to the new cloud brings its members along.
    """
    members = _members(resources.values())
    found: dict[Ref, Resource] = {}
    missing: defaultdict[Ref, set[Ref]] = defaultdict(set)
    waiting = sorted(set(roots), reverse=True)
    while waiting:
        ref = waiting.pop()
        if ref in found:
            continue
        resource = resources[ref]
        found[ref] = resource
        for need in resource.needs:
            if need in resources:
                waiting.append(need)
            else:
                missing[need].add(ref)
        if carried(resource):
            waiting.extend(members.get(ref, ()))
    return Closure(
        resources=dict(sorted(found.items())),
        missing={ref: tuple(sorted(by)) for ref, by in sorted(missing.items())},
    )


def _members(resources: Iterable[Resource]) -> dict[Ref, list[Ref]]:
    members: defaultdict[Ref, list[Ref]] = defaultdict(list)
    for resource in resources:
        match resource.kind:
            case "security_group_rule":
                owners = [fields.group_of(resource)]
            case "subnet":
                owners = [fields.network_of(resource)]
            case "router":
                owners = [need for need in resource.needs if need.kind == "subnet"]
            case "floating_ip" | "trunk":
                owners = [fields.as_ref(fields.field(resource, "port"))]
            case "port_forwarding":
                owners = [need for need in resource.needs if need.kind == "port"]
            case "rbac_policy":
                owners = [fields.as_ref(fields.field(resource, "object"))]
            case _:
                owners = []
        for owner in owners:
            if owner:
                members[owner].append(resource.ref)
    return members
