"""Planning a move: what of a project goes to the new cloud, what there is taken for its copy, and in which order the rest is made.

Survey to plan in six steps, each in a module of its own: what is asked for (`manners`), what stacks make of it by themselves
(`stacking`), how far it reaches (`selection`), what cannot be carried (`carrying`), what is made and what adopted (`decisions`), and the
actions with their order (here and in `ordering`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from typing import Any

import msgspec

from decamp.model import mapping as mapping_module
from decamp.model.errors import BadInput, Bug
from decamp.model.ledger import Entry
from decamp.model.members import Member
from decamp.model.plan import Action, Forecast, MoveGoal, Plan, Reason, Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey
from decamp.planning import fields
from decamp.planning.carrying import hindrances
from decamp.planning.decisions import Adopt, Create, Decision, Refuse, decide, new_project_id, surplus_rules
from decamp.planning.manners import COPY, Asked, ask, carried_bytes
from decamp.planning.matching import Match, as_seen, is_foreign, mapped, match_of, moved_earlier, unproved_copy
from decamp.planning.ordering import reduced, topological
from decamp.planning.quotas import exceeded
from decamp.planning.selection import Closure, closure, find_project, find_servers, operators_part
from decamp.planning.stacking import STACK, Stacking, moving_stacks, stacked

Key = tuple[Verb, Ref]


def plan_move(
    old: Survey,
    new: Survey,
    mapping: mapping_module.Mapping,
    *,
    goal: MoveGoal,
    made_from: dict[str, str],
    ledger: tuple[Entry, ...] = (),
) -> Plan:
    """The plan to move a project, or the chosen applications of it with all that they need. `ledger`: what earlier runs have made.

    Raises BadInput for a project, application, manner or mapping that is not there, or names several things.
    """
    if old.cloud == new.cloud:
        raise BadInput(f"Cloud {old.cloud} was given both as the old and as the new one.")
    project = find_project(old, goal.project)
    servers = find_servers(old, project, goal)
    match = match_of(old, new, mapping, project, ledger)
    seen = as_seen(match)
    asked = ask(seen, [seen[server.ref] for server in servers if not moved_earlier(match, server)], goal.manner)
    if not goal.with_snapshots:
        _leave_snapshots(asked)
    stacks = [stack for stack in moving_stacks(seen, project, goal) if not moved_earlier(match, stack)]
    stacking = stacked(asked, stacks, mapping)
    chosen = [*(server.ref for server in servers), *(stack.ref for stack in stacks), *stacking.members]
    roots = _all_of(project, asked) if goal.is_whole_project else _of_operators(match, asked) if goal.prepare else chosen
    reach = closure(asked.resources, roots, lambda resource: _is_carried(match, resource))
    decided = _decide_all(match, asked, stacking, reach)
    kept = _still_wanted(match, asked, reach, decided, roots)
    actions = _actions(_Draft(asked=asked, decided=decided, making=_making(decided, kept), stacking=stacking))
    refusals = [*_missing(match, reach), *asked.refusals, *surplus_rules(match, {ref: decided[ref] for ref in kept})]
    refusals += _over_quota(match, asked, decided, kept)
    refusals += [refusal for decision in decided.values() if isinstance(decision, Refuse) for refusal in decision.refusals]
    return Plan(
        goal=goal,
        made_from=made_from,
        actions=actions,
        refusals=tuple(sorted(set(refusals), key=lambda refusal: (refusal.ref, refusal.reason, refusal.text))),
        forecast=_forecast(asked, decided, kept),
    ).sealed()


def _leave_snapshots(asked: Asked) -> None:
    for ref, snapshot in list(asked.resources.items()):
        if ref.kind == "volume_snapshot":
            del asked.resources[ref]
            for volume in snapshot.needs:
                change = asked.changes.setdefault(volume, {}).get("snapshots", ("", "none: --with-snapshots carries them"))
                named = ", ".join(filter(None, (change[0], snapshot.name or snapshot.id)))
                asked.changes[volume]["snapshots"] = (named, change[1])


def _all_of(project: Resource, asked: Asked) -> list[Ref]:
    return sorted(ref for ref, resource in asked.resources.items() if resource.project == project.id)


def _of_operators(match: Match, asked: Asked) -> list[Ref]:
    """What of all that the project needs takes an operator. Raises BadInput for a tenant's credentials."""
    if not match.as_operator:
        raise BadInput(
            f"Cloud {match.new.cloud}'s credentials are no administrator's, and only an administrator can prepare a project's move."
        )
    whole = closure(asked.resources, _all_of(match.project, asked), lambda resource: _is_carried(match, resource))
    return operators_part(whole, match.project)


def _is_carried(match: Match, resource: Resource) -> bool:
    """Whether its copy is ours to complete, so that its members come along."""
    return resource.project == match.project.id and not (
        resource.kind in ("network", "subnet") and (mapped(match, resource) or is_foreign(match, resource))
    )


def _decide_all(match: Match, asked: Asked, stacking: Stacking, reach: Closure) -> dict[Ref, Decision]:
    refused_by_manner = {refusal.ref for refusal in asked.refusals}
    decided: dict[Ref, Decision] = {}
    order = topological({ref: resource.needs for ref, resource in reach.resources.items()}, rank=lambda ref: ref)
    for ref in order:
        resource = reach.resources[ref]
        decision = decide(match, resource, decided, stacking.members.get(ref))
        if isinstance(decision, Create):
            against = hindrances(decision.resource, match.pinned, reach.resources, as_admin=match.old.admin)
            if resource.kind == STACK:
                against = (*against, *_against_stack(match, resource, stacking, reach, refused_by_manner, decided))
            wanting = [need for need in resource.needs if need in reach.missing or isinstance(decided.get(need), Refuse)]
            if wanting:
                against = (*against, _needs_refused(resource, wanting, reach))
            if against or ref in refused_by_manner:
                decision = Refuse(refusals=against)
        decided[ref] = decision
    _leave_behind(reach, decided)
    for ref in order:
        wanting = [need for need in reach.resources[ref].needs if isinstance(decided.get(need), Refuse)]
        if wanting and isinstance(decided[ref], Create):
            decided[ref] = Refuse(refusals=(_needs_refused(reach.resources[ref], wanting, reach),))
    return decided


def _against_stack(
    match: Match, stack: Resource, stacking: Stacking, reach: Closure, refused: Set[Ref], decided: Mapping[Ref, Decision]
) -> tuple[Refusal, ...]:
    """It makes all of its members or none."""
    against = list(stacking.refusals[stack.ref])
    members = [reach.resources[ref] for ref in stacking.of(stack.ref)]
    staying = [
        one
        for one in members
        if one.ref in refused
        or hindrances(one, match.pinned, reach.resources, as_admin=match.old.admin)
        or (one.kind == "container" and isinstance(decide(match, one, decided), Refuse))
    ]
    if staying:
        named = ", ".join(fields.label(one) for one in staying)
        text = f"{fields.label(stack)} is moved with all of its members or not at all, and {named} cannot be."
        against.append(Refusal(ref=stack.ref, reason=Reason.NEEDS_REFUSED, text=text))
    for one in members:
        if earlier := moved_earlier(match, one) or unproved_copy(match, one):
            text = f"{fields.label(stack)} would make {fields.label(one)} again, which run {earlier.run} moved by itself: undo that first."
            against.append(Refusal(ref=stack.ref, reason=Reason.CONFLICT, text=text))
    return tuple(against)


def _needs_refused(resource: Resource, wanting: Iterable[Ref], reach: Closure) -> Refusal:
    named = ", ".join(fields.label(reach.resources[ref]) if ref in reach.resources else str(ref) for ref in wanting)
    return Refusal(
        ref=resource.ref, reason=Reason.NEEDS_REFUSED, text=f"{fields.label(resource)} needs {named}, not to be had in the new cloud."
    )


def _leave_behind(reach: Closure, decided: dict[Ref, Decision]) -> None:
    """Volumes and ports that a refused server uses stay with it: a disk in use is no point in time, an address in use is an outage."""
    for server in reach.resources.values():
        if server.kind != "server" or not isinstance(decided[server.ref], Refuse):
            continue
        for ref in (*(disk.volume for disk in fields.disks(server)), *fields.ports(server)):
            if isinstance(decided.get(ref), Create):
                text = f"{fields.label(reach.resources[ref])} stays with {fields.label(server)}, which is refused."
                decided[ref] = Refuse(refusals=(Refusal(ref=ref, reason=Reason.NEEDS_REFUSED, text=text),))


def _still_wanted(match: Match, asked: Asked, reach: Closure, decided: Mapping[Ref, Decision], roots: Iterable[Ref]) -> list[Ref]:
    """What remains when nothing is made for the sake of what is refused."""
    accepted = {ref: resource for ref, resource in reach.resources.items() if not isinstance(decided[ref], Refuse)}
    wanted = closure(accepted, [ref for ref in roots if ref in accepted], lambda resource: _is_carried(match, resource))
    return list(wanted.resources)


def _over_quota(match: Match, asked: Asked, decided: Mapping[Ref, Decision], kept: Iterable[Ref]) -> tuple[Refusal, ...]:
    """A project that is made gets the old one's limits, which have held it all."""
    project = new_project_id(match, decided)
    quota = next((one for one in match.new_by_kind.get("quota", ()) if one.id == project), None)
    made = [asked.resources[ref] for ref in kept if isinstance(decided[ref], Create)]
    return exceeded(quota, made, asked.resources) if quota else ()


def _missing(match: Match, reach: Closure) -> list[Refusal]:
    refusals: list[Refusal] = []
    for ref, by in reach.missing.items():
        users = ", ".join(fields.label(reach.resources[user]) for user in by[:3]) + (f" and {len(by) - 3} more" if len(by) > 3 else "")
        text = f"{ref} is needed by {users}. Cloud {match.old.cloud}'s survey has it not: it is gone, or hidden from these credentials."
        refusals.append(Refusal(ref=ref, reason=Reason.NOT_FOUND, text=text))
    return refusals


class _Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What is made and adopted, before it has an order."""

    asked: Asked
    decided: Mapping[Ref, Decision]
    making: Mapping[Ref, Key]
    stacking: Stacking

    def stack_of(self, ref: Ref) -> Key | None:
        """What makes the stack that makes this, if one does."""
        member = self.stacking.members.get(ref)
        return self.making[Ref(STACK, member.stack)] if member and self.making[ref][0] is Verb.TAKE_MEMBER else None

    def hangs_on(self, ref: Ref, stack: Ref) -> bool:
        """Whether it needs the stack, directly or not."""
        needs = self.asked.resources[ref].needs
        return stack in needs or any(self.hangs_on(need, stack) for need in needs if need in self.making)


def _making(decided: Mapping[Ref, Decision], kept: Iterable[Ref]) -> dict[Ref, Key]:
    return {ref: (_verb(decided[ref]), ref) for ref in kept}


def _verb(decision: Decision) -> Verb:
    match decision:
        case Adopt():
            return Verb.ADOPT
        case Create(member=None):
            return Verb.CREATE
        case _:
            return Verb.TAKE_MEMBER


def _actions(draft: _Draft) -> tuple[Action, ...]:
    making = draft.making
    after = {key: {making[need] for need in draft.asked.resources[ref].needs if need in making} for ref, key in making.items()}
    actions = {key: _into_new(draft, draft.asked.resources[ref]) for ref, key in making.items()}
    completing = _completing(draft)
    servers = {port: key for ref, key in making.items() if ref.kind == "server" for port in fields.ports(draft.asked.resources[ref])}
    for ref, (verb, _) in making.items():
        if ref.kind == "server" and verb in (Verb.CREATE, Verb.TAKE_MEMBER):
            _hand_over(draft, draft.asked.resources[ref], completing, actions, after)
        elif ref.kind in LEADING_TO_PORTS and verb is Verb.CREATE:
            after[making[ref]].update(_led_to(draft, draft.asked.resources[ref], completing, servers))
    order = topological(after, rank=_rank)
    direct = reduced(order, after)
    return tuple(msgspec.structs.replace(actions[key], after=tuple(actions[other].id for other in direct[key])) for key in order)


KINDS = (
    "project",
    "quota",
    "user",
    "group",
    "role_assignment",
    "keypair",
    "volume_type",
    "flavor",
    "image",
    "qos_policy",
    "address_scope",
    "subnet_pool",
    "network",
    "subnet",
    "router",
    "address_group",
    "security_group",
    "security_group_rule",
    "port",
    "trunk",
    "rbac_policy",
    "server_group",
    "server_snapshot",
    "volume",
    "volume_snapshot",
    "container",
    "stack",
    "server",
    "floating_ip",
    "port_forwarding",
)
"""The order in which a plan lists what could come in any order."""


def _rank(key: Key) -> tuple[int, str, str, str]:
    verb, ref = key
    return (KINDS.index(ref.kind) if ref.kind in KINDS else len(KINDS), ref.kind, ref.id, verb)


def _into_new(draft: _Draft, resource: Resource) -> Action:
    asked, decision = draft.asked, draft.decided[resource.ref]
    ref = resource.ref
    if isinstance(decision, Adopt):
        return Action(
            id=f"adopt/{ref.kind}/{ref.id}",
            verb=Verb.ADOPT,
            target=ref,
            args={"id": decision.id, "because": decision.because, "resource": msgspec.to_builtins(resource)},
            locks=_locks(resource),
            expects=resource.fingerprint or None,
            why=decision.why,
        )
    if isinstance(decision, Refuse):
        raise Bug(f"{ref} is refused: nothing is made of it")
    changes = {**decision.changes, **asked.changes.get(ref, {})}
    if untold := fields.not_carried(resource):
        changes["not_carried"] = ("; ".join(untold), None)
    verb, args = _verb(decision), {"resource": msgspec.to_builtins(decision.resource)}
    if ref in asked.manners:
        args["manner"] = asked.manners[ref]
    locks = _locks(resource)
    if not decision.member and (group := _strict_group(draft, resource)):
        locks += _locks(group)
    if decision.member:
        args["member"] = msgspec.to_builtins(decision.member)
        locks += tuple(lock for server in _stopped_for(draft, decision.member) for lock in _locks(server))
    return Action(
        id=f"{verb}/{ref.kind}/{ref.id}",
        verb=verb,
        target=ref,
        args=args,
        locks=locks,
        expects=resource.fingerprint or None,
        changes=changes,
        why=decision.why,
    )


def _strict_group(draft: _Draft, resource: Resource) -> Resource | None:
    """The group whose servers are booted one after the other: Nova sees where the others are only when they are there, and gives one up
    that it has put on the wrong host too often."""
    ref = fields.server_group(resource) if resource.kind == "server" else None
    group = draft.asked.resources.get(ref) if ref else None
    return group if group and fields.field(group, "policy") in ("affinity", "anti-affinity") else None


def _stopped_for(draft: _Draft, member: Member) -> list[Resource]:
    """The server that is stopped while data are put into this member: for one volume after the other."""
    return [
        draft.asked.resources[ref]
        for ref, other in draft.stacking.members.items()
        if ref.kind == "server" and (other.stack, other.path) == (member.stack, member.server)
    ]


def _locks(resource: Resource) -> tuple[str, ...]:
    """Of its own, so that nothing else touches it meanwhile; server groups of one name share one, as nothing else tells them apart."""
    if resource.kind == "server_snapshot":
        return (f"server:{resource.id}",)
    return (f"{resource.kind}:{resource.name if resource.kind == 'server_group' else resource.id}",)


def _hand_over(
    draft: _Draft, server: Resource, completing: Mapping[Ref, set[Key]], actions: dict[Key, Action], after: dict[Key, set[Key]]
) -> None:
    """The old server is stopped before its disks are read, or its address shows up twice; else only when its copy is proved. Then it is
    locked. It is stopped as late as can be: when all that needs no stopped server is in place."""
    create, stack = draft.making[server.ref], draft.stack_of(server.ref)
    copied = {draft.making[need] for need in server.needs if need in draft.making and _reads_disk(draft, need)}
    ports = [draft.asked.resources[port] for port in fields.ports(server)]
    complete = {key for port in ports for need in (port.ref, *port.needs) for key in completing.get(need, ())}
    after[create].update(complete)
    if stack:
        after[stack].update(key for key in complete if not draft.hangs_on(key[1], stack[1]))
    lock = (Verb.LOCK_SERVER, server.ref)
    actions[lock] = _on_old(Verb.LOCK_SERVER, server, {"locked": (False, True)}, "its copy has taken over: it waits for confirm or undo")
    after[lock] = {create}
    if fields.status(server) != "ACTIVE":
        return
    stop = (Verb.STOP_SERVER, server.ref)
    is_known = any(_is_known_in_new(draft, port) for port in ports)
    if copied or is_known:
        why = "its disks are copied as they are at one point in time" if copied else "its address is on a network that both clouds have"
        comes_up = stack if stack and (is_known or not copied.isdisjoint(after[stack])) else create
        after[stop] = {key for key in after[comes_up] - copied if key[0] is not Verb.STOP_SERVER}
        after[create].add(stop)
        for key in {comes_up, *copied}:
            after[key].add(stop)
    else:
        why = "its copy is proved"
        after[stop] = {create}
        after[lock].add(stop)
    actions[stop] = _on_old(Verb.STOP_SERVER, server, {"status": ("ACTIVE", "SHUTOFF")}, why)


LEADING_TO_PORTS = ("floating_ip", "port_forwarding")
"""Kinds that lead from outside to a port: behind a router, and to a server that is there."""


def _led_to(draft: _Draft, address: Resource, completing: Mapping[Ref, set[Key]], servers: Mapping[Ref, Key]) -> set[Key]:
    ports = [draft.asked.resources[need] for need in address.needs if need.kind == "port" and need in draft.making]
    routers = {key for port in ports for need in port.needs for key in completing.get(need, ()) if need.kind == "subnet"}
    return routers | {servers[port.ref] for port in ports if port.ref in servers}


def _on_old(verb: Verb, server: Resource, changes: dict[str, tuple[Any, Any]], why: str) -> Action:
    return Action(
        id=f"{verb}/{server.kind}/{server.id}",
        verb=verb,
        target=server.ref,
        locks=_locks(server),
        expects=server.fingerprint or None,
        changes=changes,
        why=why,
    )


def _reads_disk(draft: _Draft, ref: Ref) -> bool:
    return isinstance(draft.decided[ref], Create) and (
        ref.kind == "server_snapshot" or (ref.kind == "volume" and draft.asked.manners[ref] == COPY)
    )


def _is_known_in_new(draft: _Draft, port: Resource) -> bool:
    """Whether the port's network is one that both clouds have, so that its address would be there twice."""
    network = fields.network_of(port)
    decision = draft.decided.get(network) if network else None
    return isinstance(decision, Adopt) and decision.because == "mapping"


def _completing(draft: _Draft) -> dict[Ref, set[Key]]:
    """What a server does not need to exist, but to come up as it did: to each subnet its routers, to each group its
    rules; and to each port its trunk, which takes no port any more that a host has bound."""
    found: defaultdict[Ref, set[Key]] = defaultdict(set)
    for ref, key in draft.making.items():
        resource = draft.asked.resources[ref]
        if ref.kind == "router":
            for need in resource.needs:
                found[need].add(key)
        elif ref.kind == "security_group_rule" and (group := fields.group_of(resource)):
            found[group].add(key)
        elif ref.kind == "trunk" and (parent := fields.as_ref(fields.field(resource, "port"))):
            found[parent].add(key)
    return dict(found)


def _forecast(asked: Asked, decided: Mapping[Ref, Decision], kept: Iterable[Ref]) -> Forecast:
    """Bytes are the most that is carried: images as they are stored, disks at their full size. Times are not foretold."""
    made = [asked.resources[ref] for ref in kept if isinstance(decided[ref], Create)]
    carried = sum(carried_bytes(resource, asked.manners.get(resource.ref)) for resource in made)
    return Forecast(servers=sum(resource.kind == "server" for resource in made), bytes=carried)
