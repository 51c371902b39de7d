"""Puts the owner's hooks into the plan of a move: they are shown, sealed and ordered like everything else that will be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from decamp.model.documents import sha256
from decamp.model.hooks import Hook, When
from decamp.model.plan import Action, Plan, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning import fields
from decamp.planning.manners import COPY
from decamp.planning.ordering import ancestors, reduced, topological
from decamp.planning.stacking import STACK
from decamp.planning.undo import MAKING, made_of

Rank = tuple[int, int]
PHASES = {When.BEFORE_STOP: -1, When.AFTER_COPY: -1, When.AFTER_START: 1, When.VERIFY: 2}
"""Beside the action that a hook belongs to: before or after it, where the order leaves a choice."""


def with_hooks(plan: Plan, hooks: Mapping[When, Hook]) -> Plan:
    """The same plan with the hooks of each server that it makes, sealed anew. What comes after a new server comes after its hooks."""
    if not hooks:
        return plan
    draft = _Draft(plan, hooks)
    for action in plan.actions:
        if action.verb is Verb.CREATE and action.target.kind == "server":
            draft.add_hooks_of(action)
        elif action.verb is Verb.CREATE and action.target.kind == STACK:
            draft.add_hooks_of_stack(action.id, action.target.id)
    made_from = plan.made_from | {"hooks": sha256(hooks)}
    return msgspec.structs.replace(plan, made_from=made_from, actions=draft.in_order()).sealed()


def fits(plan: Plan, hooks: Mapping[When, Hook]) -> bool:
    """Whether the plan was made with these hooks."""
    return plan.made_from.get("hooks") == (sha256(hooks) if hooks else None)


def commands(plan: Plan) -> dict[tuple[str, str], int]:
    """(when, command) of each hook in the plan -> for how many servers it will run."""
    told = [
        (str(action.args["hook"]), str(hook_of(action)))
        for action in plan.actions
        if action.verb is Verb.RUN_HOOK and "hook" in action.args
    ]
    return dict(Counter(told))


def hook_of(action: Action) -> Hook:
    return msgspec.convert({name: action.args.get(name) for name in ("command", "shell", "timeout_seconds")}, Hook)


class _Draft:
    """The plan's actions by id, with all that each comes after."""

    def __init__(self, plan: Plan, hooks: Mapping[When, Hook]) -> None:
        self._hooks = hooks
        self._actions = {action.id: action for action in plan.actions}
        self._before = ancestors({action.id: action.after for action in plan.actions})
        """Without hooks."""
        self._stacks = {action.target: str(action.args["member"]["stack"]) for action in plan.actions if action.verb is Verb.TAKE_MEMBER}
        """Member -> its stack."""
        self._servers = {
            action.target: made_of(action) for action in plan.actions if action.verb in MAKING and action.target.kind == "server"
        }
        self._after = {action.id: set(action.after) for action in plan.actions}
        self._rank: dict[str, Rank] = {action.id: (place, 0) for place, action in enumerate(plan.actions)}
        self._followers: dict[str, list[str]] = {}
        for action in plan.actions:
            for other in action.after:
                self._followers.setdefault(other, []).append(action.id)

    def add_hooks_of(self, create: Action) -> None:
        server = made_of(create)
        stop = f"{Verb.STOP_SERVER}/{server.kind}/{server.id}"
        if stop in self._actions:
            self._add_after_start(server, create.id)
            if When.BEFORE_STOP in self._hooks:
                self._after[stop].add(self._add(When.BEFORE_STOP, server, stop, set(self._after[stop])))
        if When.AFTER_COPY in self._hooks and self._carries_contents(server):
            self._after[create.id].add(self._add(When.AFTER_COPY, server, create.id, set(self._after[create.id])))

    def add_hooks_of_stack(self, make: str, stack: str) -> None:
        """For each of its servers, one after the other, and none while anything else is done to the stack, which is taken back as a whole.

        What comes after the stack comes after all of its hooks, and so do the locks of its old servers.
        """
        members = {ref: f"{Verb.TAKE_MEMBER}/{ref.kind}/{ref.id}" for ref, other in self._stacks.items() if other == stack}
        takes = {ref: one for ref, one in members.items() if ref.kind == "server"}
        stops = {ref: one for ref in takes if (one := f"{Verb.STOP_SERVER}/{ref.kind}/{ref.id}") in self._actions}
        late = {ref: one for ref, one in stops.items() if not self._before[one].isdisjoint(takes.values())}
        soon = {ref: one for ref, one in stops.items() if ref not in late}
        if When.BEFORE_STOP in self._hooks:
            self._stop_together(make, soon.values())
        last = self._chain(When.BEFORE_STOP, soon, {ref: self._after[one] for ref, one in soon.items()}, gates=soon.values())
        last = self._chain_after_copy(make, members, takes) or last
        came_up = {*takes.values()}
        for when in (When.AFTER_START, When.VERIFY):
            if one := self._chain(when, {ref: takes[ref] for ref in stops}, dict.fromkeys(stops, came_up), gates=late.values()):
                last, came_up = one, {one}
        last = self._chain(When.BEFORE_STOP, late, {ref: self._after[one] for ref, one in late.items()}, gates=late.values()) or last
        if last:
            locks = {f"{Verb.LOCK_SERVER}/{ref.kind}/{ref.id}" for ref in takes}
            self._hold_back(last, {make, *members.values(), *stops.values()}, locks)

    def in_order(self) -> tuple[Action, ...]:
        order = topological(self._after, rank=lambda one: (*self._rank[one], one))
        direct = reduced(order, self._after)
        return tuple(msgspec.structs.replace(self._actions[one], after=direct[one]) for one in order)

    def _add_after_start(self, server: Resource, create: str) -> None:
        last = create
        for when in (When.AFTER_START, When.VERIFY):
            if when in self._hooks:
                last = self._add(when, server, create, {last})
        for follower in self._followers.get(create, ()):
            self._after[follower].add(last)

    def _chain(self, when: When, beside: Mapping[Ref, str], after: Mapping[Ref, Collection[str]], *, gates: Iterable[str]) -> str | None:
        """A hook for each of these servers (beside which action), which the gates wait for; the last one."""
        if when not in self._hooks:
            return None
        last: str | None = None
        for ref, place in beside.items():
            last = self._add(when, self._servers[ref], place, {*after[ref], *([last] if last else [])})
        if last:
            for gate in gates:
                self._after[gate].add(last)
        return last

    def _chain_after_copy(self, make: str, members: Mapping[Ref, str], takes: Mapping[Ref, str]) -> str | None:
        """When the contents are in, before the servers are started with them; before the stack is made, if it only names what has them."""
        disks = {disk.volume: ref for ref in takes for disk in fields.disks(self._servers[ref])}
        contents = {
            one.id: disks[one.target]
            for one in self._actions.values()
            if one.verb in MAKING and one.target in disks and one.args.get("manner") == COPY
        }
        if contents.keys().isdisjoint(members.values()):
            beside, ready, gates = dict.fromkeys(takes, make), {*contents}, [make]
        else:
            rest = {one for ref, one in members.items() if ref not in takes and self._before[one].isdisjoint(takes.values())}
            beside, ready, gates = takes, {*contents, *rest}, list(takes.values())
        carrying = {ref: place for ref, place in beside.items() if ref in contents.values()}
        return self._chain(When.AFTER_COPY, carrying, dict.fromkeys(carrying, ready), gates=gates)

    def _stop_together(self, make: str, stops: Collection[str]) -> None:
        """Before the stack is made, if one of these has to be stopped by then: no hook may be run when a part of it is moving already."""
        early = [one for one in stops if one in self._before[make]]
        for one in stops:
            if early and one not in early:
                for follower in self._followers.get(one, ()):
                    self._after[follower] |= self._after[one]
                own = {other for other in self._after[one] if other != make and make not in self._before.get(other, ())}
                self._after[one] = own.union(*(self._after[other] for other in early))
                self._after[make].add(one)

    def _hold_back(self, last: str, stack: Collection[str], locks: Collection[str]) -> None:
        """The locks, and what comes after the stack; but for what some of it waits for, such as a router on a subnet of its."""
        waited_for = frozenset[str]().union(*(self._before[one] for one in (*stack, *locks) if one in self._before))
        for name in self._before:
            follows = name not in stack and name not in waited_for and not self._before[name].isdisjoint(stack)
            if name in locks or follows:
                self._after[name].add(last)

    def _carries_contents(self, server: Resource) -> bool:
        """Of any of its disks, its root disk included."""
        disks = {Ref("server_snapshot", server.id), *(disk.volume for disk in fields.disks(server))}
        return any(one.verb is Verb.CREATE and one.target in disks for one in self._actions.values())

    def _add(self, when: When, server: Resource, beside: str, after: set[str]) -> str:
        hook = self._hooks[when]
        name = f"{Verb.RUN_HOOK}/{server.kind}/{server.id}/{when}"
        self._actions[name] = Action(
            id=name,
            verb=Verb.RUN_HOOK,
            target=server.ref,
            args={
                "hook": when.value,
                "command": list(hook.command),
                "shell": hook.shell,
                "timeout_seconds": hook.timeout_seconds,
                "name": server.name,
                "project": server.project,
                **({"stack": self._stacks[server.ref]} if server.ref in self._stacks else {}),
            },
            locks=(f"{server.kind}:{server.id}",),
            why=f"{when} of decamp.yaml: {hook}",
        )
        self._after[name] = after
        self._rank[name] = (self._rank[beside][0], PHASES[when])
        return name
