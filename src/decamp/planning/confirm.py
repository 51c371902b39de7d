"""Planning a confirm: what of the old cloud a run has left without purpose, because its copy is proved, is deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from decamp.model.documents import sha256
from decamp.model.errors import Refused
from decamp.model.ledger import Entry
from decamp.model.plan import Action, ConfirmGoal, MoveGoal, Plan, Reason, Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning import fields
from decamp.planning.drafts import Draft, ordered
from decamp.planning.undo import BEFORE_THEIR_STACK, MAKING, made_of, of_stack, removal

WITH_THEIR_SERVER = ("volume", "volume_snapshot", "port", "trunk")
"""Kinds that serve one server alone, and go when it goes."""

WITH_THE_PROJECT = (
    *("server_group", "port_forwarding", "floating_ip", "trunk", "rbac_policy", "router", "security_group_rule", "security_group"),
    *("address_group", "subnet", "network", "subnet_pool", "address_scope", "image", "container"),
)
"""Kinds that servers share, and that go when all of the project has moved. Keypairs belong to users, flavors and images that others may use
to them, and a project to its domain: they stay."""

HARMLESS = ("floating_ip", "port_forwarding", "security_group")
"""Kinds of which a refusal in the plan leaves no server behind that would need the networks still."""


def plan_confirm(plan: Plan, entries: tuple[Entry, ...], run: str) -> Plan:
    """The removal of the old servers that `run` has moved, of their volumes and ports, and after a whole project of its networks too.

    `entries` are the run's rows of the ledger, or the rows of every run. Raises Refused where there is nothing to confirm.
    """
    if not isinstance(plan.goal, MoveGoal):
        raise Refused(f"Run {run} moved nothing to the new cloud, so there is nothing to confirm: only moves leave something behind.")
    own = {entry.action: entry for entry in entries if entry.run == run}
    proved = _proved(plan, own)
    stood_down = {action.target for action in plan.actions if action.verb is Verb.LOCK_SERVER and action.id in own}
    verified = {entry.ref for entry in own.values() if entry.new_id and entry.verified_at}
    servers = {
        ref: resource
        for ref, resource in proved.items()
        if ref.kind == "server" and ref in stood_down and all(disk.volume in verified for disk in fields.disks(resource))
    }
    stacks = _stacks(plan, own)
    whole = {
        stack: members
        for stack, members in stacks.items()
        if stack in proved and all(ref in (servers if ref.kind == "server" else proved) for ref in members)
    }
    staying = {ref for stack, members in stacks.items() if stack not in whole for ref in members}
    servers = {ref: resource for ref, resource in servers.items() if ref not in staying}
    removed = {**servers, **{ref: proved[ref] for stack, members in whole.items() for ref in (stack, *members)}}
    for server in servers.values():
        trunks = [one for one in proved.values() if one.kind == "trunk" and fields.as_ref(one.spec["port"]) in fields.ports(server)]
        serving = {*fields.ports(server), *(disk.volume for disk in fields.disks(server))}
        serving |= {ref for trunk in trunks for ref in (trunk.ref, *trunk.needs)}
        serving |= {one.ref for one in proved.values() if one.kind == "volume_snapshot" and serving.intersection(one.needs)}
        removed |= {ref: resource for ref, resource in proved.items() if ref in serving and ref.kind in WITH_THEIR_SERVER}
    refusals = _unproved(plan, own, removed)
    if plan.goal.is_whole_project and not _stayed(plan, removed) and all(refusal.ref.kind in HARMLESS for refusal in plan.refusals):
        earlier = _moved_earlier(plan, own, entries)
        waiting = [ref for ref in earlier if ref.kind == "server"]
        refusals += [_waits(ref, earlier[ref]) for ref in waiting]
        going = proved if waiting else {ref: made for ref, (_, made) in earlier.items()} | proved
        shared = _used_by_others(plan, plan.goal)
        removed |= {ref: resource for ref, resource in going.items() if ref not in shared and _goes_with_the_project(resource, going)}
    if not removed:
        raise Refused(f"Run {run} has nothing to confirm: no server of it is copied, proved, and locked in the old cloud.")
    return Plan(
        goal=ConfirmGoal(run=run),
        made_from={"plan": plan.id, "ledger": sha256(entries)},
        actions=ordered(_removals(removed, whole)),
        refusals=tuple(sorted(refusals, key=lambda refusal: (refusal.ref, refusal.reason))),
    ).sealed()


def _stacks(plan: Plan, own: Mapping[str, Entry]) -> dict[Ref, list[Ref]]:
    """The stacks that the run made anew, each with its members."""
    members: defaultdict[Ref, list[Ref]] = defaultdict(list)
    taken = [action for action in plan.actions if action.verb is Verb.TAKE_MEMBER]
    for action in plan.actions:
        if action.verb is Verb.CREATE and action.target.kind == "stack" and action.id in own:
            members[action.target] += [one.target for one in taken if one.args["member"]["stack"] == action.target.id]
    return dict(members)


def _proved(plan: Plan, own: Mapping[str, Entry]) -> dict[Ref, Resource]:
    """Old resources whose copies this run made and verified, and which are still there."""
    return {
        action.target: made_of(action)
        for action in plan.actions
        if action.verb in MAKING and (entry := own.get(action.id)) and entry.verified_at and not entry.adopted and not entry.removed_at
    }


def _moved_earlier(plan: Plan, own: Mapping[str, Entry], entries: Sequence[Entry]) -> dict[Ref, tuple[str, Resource]]:
    """What an earlier run copied and proved, and nobody has given up since, with that run. What a stack made goes with the stack."""
    given_up = {entry.ref for entry in entries if entry.gave_up}
    made: dict[tuple[Ref, str | None], Entry] = {
        (one.ref, one.new_id): one for one in entries if one.new_id and one.verified_at and not one.adopted and not one.removed_at
    }
    found: dict[Ref, tuple[str, Resource]] = {}
    for action in plan.actions:
        entry = own.get(action.id)
        maker = made.get((action.target, entry.new_id)) if entry and action.verb is Verb.ADOPT else None
        if maker and action.target not in given_up and not maker.action.startswith(f"{Verb.TAKE_MEMBER}/"):
            found[action.target] = (maker.run, made_of(action))
    return found


def _waits(ref: Ref, earlier: tuple[str, Resource]) -> Refusal:
    run, server = earlier
    stays = f"{fields.label(server)}, which run {run} moved, is not confirmed, so networks and groups that it may use stay with it"
    text = f"{stays}. Confirm that run, then this one again."
    return Refusal(ref=ref, reason=Reason.CONFLICT, text=text)


def _stayed(plan: Plan, removed: Mapping[Ref, Resource]) -> bool:
    """Whether a server that the plan was to move is not given up, for what reason ever."""
    return any(one.verb in MAKING and one.target.kind == "server" and one.target not in removed for one in plan.actions)


def _used_by_others(plan: Plan, goal: MoveGoal) -> set[Ref]:
    """Images that are not the project's, that it lets others use, or that it protects. Where the copy differs in this, it is a change."""
    projects = [made_of(action) for action in plan.actions if action.target.kind == "project"]
    # the goal has what was asked for, which may be a name
    project = next((one.id for one in projects if goal.project in (one.id, one.name)), goal.project)
    images = [(action, made_of(action)) for action in plan.actions if action.target.kind == "image"]
    return {
        image.ref
        for action, image in images
        if image.project != project
        or fields.is_offered(image)
        or fields.is_protected(image)
        or not action.changes.keys().isdisjoint(("visibility", "members"))
    }


def _unproved(plan: Plan, own: Mapping[str, Entry], removed: Mapping[Ref, Resource]) -> list[Refusal]:
    """Servers of the plan that stay, with what would let them go."""
    refusals: list[Refusal] = []
    for action in plan.actions:
        if action.verb not in MAKING or action.target.kind != "server" or action.target in removed:
            continue
        entry = own.get(action.id)
        if entry and entry.removed_at:
            continue
        what = "is not locked in the old cloud, or a volume of it is not proved" if entry and entry.verified_at else "has no proved copy"
        text = f"{action.target} stays: it {what}. Resume the run first."
        refusals.append(Refusal(ref=action.target, reason=Reason.CONFLICT, text=text))
    return refusals


def _goes_with_the_project(resource: Resource, going: Mapping[Ref, Resource]) -> bool:
    """A project's default security group stays as long as the project, and keeps its rules."""
    match resource.kind:
        case "security_group":
            return not fields.is_default_group(resource)
        case "security_group_rule":
            group = fields.group_of(resource)
            return group is not None and group in going and not fields.is_default_group(going[group])
        case kind:
            return kind in (*WITH_THEIR_SERVER, *WITH_THE_PROJECT)


def _removals(removed: Mapping[Ref, Resource], stacks: Mapping[Ref, Sequence[Ref]]) -> list[Draft]:
    """In the reverse of the order in which copies are made: what needs something goes before it.

    A router goes after all ports: one that a floating IP leads to holds the router's interface, and the floating IP may stay. A trunk
    goes after all servers: the one that has its parent port holds it. So does an image: any of them may run from it. A stack goes after its
    servers and containers, and after all that hangs on its other members, which it takes along: of each of these it is proved that it is
    gone.
    """
    actions = {ref: _removal(ref, resource) for ref, resource in removed.items()}
    for stack, members in stacks.items():
        actions |= {ref: of_stack(actions[ref], actions[stack]) for ref in members if ref.kind in BEFORE_THEIR_STACK}
    taken = {ref: stack for stack, members in stacks.items() for ref in members if ref.kind not in BEFORE_THEIR_STACK}
    of_kind = {
        kind: {action.id for ref, action in actions.items() if ref.kind == kind and ref not in taken}
        for kind in ("port", "floating_ip", "server")
    }
    holding = {"router": of_kind["port"] | of_kind["floating_ip"], "trunk": of_kind["server"], "image": of_kind["server"]}
    drafts: list[Draft] = []
    for ref, action in actions.items():
        own = {ref, *stacks.get(ref, ())}
        earlier = {actions[other].id for other, resource in removed.items() if taken.get(other) != ref and own.intersection(resource.needs)}
        earlier |= {actions[taken[ref]].id} if ref in taken else holding.get(ref.kind, set())
        drafts.append((action, earlier - {action.id}))
    return drafts


def _removal(ref: Ref, resource: Resource) -> Action:
    changes: dict[str, tuple[Any, Any]] = (
        {"contents": ("the old one's, which its copy does not have", None)} if _starts_fresh(resource) else {}
    )
    action = removal(ref, "old", ref.id, resource.fingerprint, "its copy is proved")
    return msgspec.structs.replace(action, changes=changes)


def _starts_fresh(resource: Resource) -> bool:
    """Whether the copy's root disk came from its base image, so that this was the last of the old contents."""
    image = fields.as_ref(resource.spec.get("image"))
    return image is not None and image.kind == "image"
