"""What a move is about: the project, the applications chosen of it, and all that has to go with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from decamp.model.errors import BadInput
from decamp.model.plan import MoveGoal
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


def find_servers(old: Survey, project: Resource, goal: MoveGoal) -> tuple[Resource, ...]:
    """The project's servers that the goal names, each once; nothing named: all of them.

    Raises BadInput for a server, stack or server group that is not there or not the only one of its name, and for what has no servers, but
    for a stack, which moves for its own sake.
    """
    own = {one.id: one for one in old.resources if one.kind == "server" and one.project == project.id}
    if goal.is_whole_project:
        return tuple(server for _, server in sorted(own.items()))
    chosen = {_named(old, project, "server", one).id for one in goal.servers}
    for kind, names, of in (("stack", goal.stacks, _in_stack), ("tag", goal.tags, _with_tag), ("server group", goal.groups, _in_group)):
        for name in names:
            found = {server.id for server in of(old, project, name, own.values())}
            if not found and not (kind == "stack" and _stacks(old, project, name)):
                raise BadInput(f"{kind} {name!r}: no server of {fields.label(project)} in cloud {old.cloud} belongs to it.")
            chosen |= found
    return tuple(own[one] for one in sorted(chosen))


def _named(old: Survey, project: Resource, kind: str, wanted: str) -> Resource:
    """The project's one resource of this kind that has this id or unique name."""
    every = [resource for resource in old.resources if resource.kind == kind]
    what = f"{kind.replace('_', ' ')} {wanted!r}"
    found = _matches([one for one in every if one.project == project.id], wanted)
    if len(found) > 1:
        raise BadInput(f"{what}: {fields.label(project)} has several of that name: {_listed(found)}. Give the id.")
    if not found:
        elsewhere = next((one.project for one in every if one.id == wanted), None)
        hint = f"; it belongs to project {elsewhere}" if elsewhere else ""
        raise BadInput(f"{what}: no {kind.replace('_', ' ')} of that id or name is in {fields.label(project)} of cloud {old.cloud}{hint}.")
    return found[0]


def _in_stack(old: Survey, project: Resource, wanted: str, servers: Iterable[Resource]) -> list[Resource]:
    return [server for server in servers if wanted in (fields.field(server, "stack_id"), fields.field(server, "stack"))]


def _stacks(old: Survey, project: Resource, wanted: str) -> list[Resource]:
    return _matches([one for one in old.resources if one.kind == "stack" and one.project == project.id], wanted)


def _with_tag(old: Survey, project: Resource, wanted: str, servers: Iterable[Resource]) -> list[Resource]:
    return [server for server in servers if wanted in fields.tags(server)]


def _in_group(old: Survey, project: Resource, wanted: str, servers: Iterable[Resource]) -> list[Resource]:
    group = _named(old, project, "server_group", wanted)
    return [server for server in servers if fields.server_group(server) == group.ref]


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


OPERATORS_OWN = ("project", "quota", "user", "group", "role_assignment", "flavor", "volume_type")
"""Kinds that only operators can make."""


def operators_part(reach: Closure, project: Resource) -> list[Ref]:
    """Also the images that are not the project's own: its members could only make private ones of them."""
    return [
        ref
        for ref, resource in reach.resources.items()
        if ref.kind in OPERATORS_OWN or (ref.kind == "image" and resource.project != project.id)
    ]


_OF = {"router": "subnet", "port_forwarding": "port", "volume_snapshot": "volume"}
"""Kind -> of which of its needs it is a member."""


def _members(resources: Iterable[Resource]) -> dict[Ref, list[Ref]]:
    members: defaultdict[Ref, list[Ref]] = defaultdict(list)
    for resource in resources:
        match resource.kind:
            case "security_group_rule":
                owners = [fields.group_of(resource)]
            case "subnet":
                owners = [fields.network_of(resource)]
            case "router" | "port_forwarding" | "volume_snapshot":
                owners = [need for need in resource.needs if need.kind == _OF[resource.kind]]
            case "floating_ip" | "trunk":
                owners = [fields.as_ref(fields.field(resource, "port"))]
            case "rbac_policy":
                owners = [fields.as_ref(fields.field(resource, "object"))]
            case _:
                owners = []
        for owner in owners:
            if owner:
                members[owner].append(resource.ref)
    return members
