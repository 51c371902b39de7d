"""Puts the owner's hooks into the plan of a move: they are shown, sealed and ordered like everything else that will be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from decamp.model.documents import sha256
from decamp.model.hooks import Hook, When
from decamp.model.plan import Action, Plan, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning import fields
from decamp.planning.ordering import reduced, topological
from decamp.planning.undo import made_of

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
            },
            locks=(f"{server.kind}:{server.id}",),
            why=f"{when} of decamp.yaml: {hook}",
        )
        self._after[name] = after
        self._rank[name] = (self._rank[beside][0], PHASES[when])
        return name
