"""What a checker looks at: the plan, the surveys, and where each server may be while an action runs, in every order that `after` permits.

An action's effect on hosts begins when it begins and ends when it ends: a server in flight holds its allocations on both sides. While
action A runs, its predecessors (by `after`, transitively) have ended, its successors have not begun, and any other action may be
anywhere between. So a server *may hold* room on a host while A runs, if the migration that brought it there is no successor of A, and
the one that takes it away is no predecessor of A. A plan in which everything that may hold fits, fits in every order. (The converse does
not hold: two that are ordered between themselves, but not with A, are both counted. The planner keeps clear of that.)
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

import msgspec

from decamp.model.plan import Action, Plan, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Group, Host, Resource, Server, Survey

MIGRATIONS = frozenset({Verb.LIVE_MIGRATE, Verb.COLD_MIGRATE})


class Rule(enum.StrEnum):
    """What a plan can break."""

    ORDER = "order"
    """`after` names actions of the plan that stand before, and ids are unique."""
    VERBS = "verbs"
    """An action's verb belongs to the plan's goal, and has the arguments that it needs."""
    TARGETS = "targets"
    """What an action touches is in the survey."""
    EXPECTS = "expects"
    """What an action expects is what the survey says."""
    MADE_FROM = "made_from"
    """The plan was made from these surveys."""
    ITINERARY = "itinerary"
    """A server's migrations follow each other, each from where the last one ended."""
    CAPACITY = "capacity"
    """A host has room for every server that may hold it, both sides of a migration in flight."""
    RECEIVES = "receives"
    """Only hosts that are up and enabled, and stay so, take servers."""
    ZONE = "zone"
    """A server stays in the availability zone that its user asked for."""
    TRAITS = "traits"
    """A server goes to hosts that have the traits it requires."""
    GROUPS = "groups"
    """A server group's policy holds at every step."""
    PINNED = "pinned"
    """A server that cannot be migrated is not."""
    LOCKS = "locks"
    """No more migrations at a time than a host allows, and one at a time for a server."""
    QUIESCE = "quiesce"
    """A host is cordoned, emptied, proved empty, stopped and deleted, in this order."""
    SPARE = "spare"
    """What policy keeps free for the failure of hosts is not eaten."""
    POLICY = "policy"
    """What policy says not to touch is not touched."""
    NEEDS = "needs"
    """What a resource needs is in the new cloud before it is made."""
    HAND_OVER = "hand_over"
    """Disks are read of stopped servers only, and an old server is locked only after its copy is proved."""
    TWICE = "twice"
    """Nothing is made twice."""
    MACHINES = "machines"
    """A machine goes through Ironic's states in their order, and counts only after them."""
    COUNT = "count"
    """The role's count is raised once, from what it is, by the number of machines."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that a plan breaks."""

    action: str | None
    """Id of the action that breaks it; null: the plan as a whole."""
    rule: Rule
    text: str


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """A server's time on a host, between two migrations (by their index in the plan); null: since before, or to the end."""

    server: str
    arrival: int | None
    departure: int | None


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    plan: Plan
    surveys: Mapping[str, Survey]
    policy: Policy
    hosts: Mapping[str, Host]
    """Of the old cloud, as are the servers, groups and resources."""
    servers: Mapping[str, Server]
    groups: Mapping[str, Group]
    resources: Mapping[Ref, Resource]
    index: Mapping[str, int]
    before: tuple[int, ...]
    """For each action the set of its predecessors, as the bits of an integer."""
    stays: Mapping[str, tuple[Stay, ...]]
    """By host."""
    moves: Mapping[str, tuple[int, ...]]
    """Server -> its migrations, in the plan's order."""
    members: Mapping[str, tuple[str, ...]]
    """Group -> servers."""
    on_targets: Mapping[Ref, tuple[int, ...]]
    """Target -> the actions on it, in the plan's order."""

    @property
    def actions(self) -> tuple[Action, ...]:
        return self.plan.actions

    def precedes(self, first: int, second: int) -> bool:
        """Whether the first action has ended before the second begins, in every order."""
        return bool(self.before[second] >> first & 1)

    def ordered(self, one: int, other: int) -> bool:
        return self.precedes(one, other) or self.precedes(other, one)

    def may_hold(self, host: str, at: int) -> Iterator[str]:
        """Servers that may hold room on the host while the action runs; the one that the action brings is among them."""
        for stay in self.stays.get(host, ()):
            begun = stay.arrival is None or not self.precedes(at, stay.arrival)
            ended = stay.departure is not None and self.precedes(stay.departure, at)
            if begun and not ended:
                yield stay.server

    def on(self, target: Ref, *verbs: Verb) -> tuple[int, ...]:
        """The actions on the target with one of these verbs."""
        return tuple(number for number in self.on_targets.get(target, ()) if self.actions[number].verb in verbs)

    def violation(self, at: int | None, rule: Rule, text: str) -> Violation:
        return Violation(action=None if at is None else self.actions[at].id, rule=rule, text=text)


def is_migration(action: Action) -> bool:
    """Whether it is one, with all that makes it one."""
    ends = action.args.get("from"), action.args.get("to")
    return action.verb in MIGRATIONS and action.target.kind == "server" and all(isinstance(end, str) for end in ends)


def destination(action: Action) -> str:
    return str(action.args["to"])


def source(action: Action) -> str:
    return str(action.args["from"])


def set_scene(plan: Plan, surveys: Mapping[str, Survey], policy: Policy) -> Scene:
    """Of a plan whose every `after` names an action that stands before it (`order.faults` finds none)."""
    old = surveys.get("old")
    servers = {server.id: server for server in old.servers} if old else {}
    index = {action.id: number for number, action in enumerate(plan.actions)}
    moves: dict[str, list[int]] = {}
    on_targets: dict[Ref, list[int]] = {}
    for number, action in enumerate(plan.actions):
        on_targets.setdefault(action.target, []).append(number)
        if is_migration(action):
            moves.setdefault(action.target.id, []).append(number)
    members: dict[str, list[str]] = {}
    for server in servers.values():
        if server.group is not None:
            members.setdefault(server.group, []).append(server.id)
    return Scene(
        plan=plan,
        surveys=surveys,
        policy=policy,
        hosts={host.name: host for host in old.hosts} if old else {},
        servers=servers,
        groups={group.id: group for group in old.groups} if old else {},
        resources=old.by_ref() if old else {},
        index=index,
        before=_predecessors(plan.actions, index),
        stays=_stays(plan.actions, servers, moves),
        moves={server: tuple(numbers) for server, numbers in moves.items()},
        members={group: tuple(several) for group, several in members.items()},
        on_targets={target: tuple(numbers) for target, numbers in on_targets.items()},
    )


def _predecessors(actions: tuple[Action, ...], index: Mapping[str, int]) -> tuple[int, ...]:
    before: list[int] = []
    for action in actions:
        bits = 0
        for name in action.after:
            bits |= before[index[name]] | 1 << index[name]
        before.append(bits)
    return tuple(before)


def _stays(actions: tuple[Action, ...], servers: Mapping[str, Server], moves: Mapping[str, list[int]]) -> dict[str, tuple[Stay, ...]]:
    stays: dict[str, list[Stay]] = {}
    for server in servers.values():
        arrivals = [None, *moves.get(server.id, ())]
        for arrival, departure in zip(arrivals, [*moves.get(server.id, ()), None], strict=True):
            host = server.host if arrival is None else destination(actions[arrival])
            if host is not None:
                stays.setdefault(host, []).append(Stay(server=server.id, arrival=arrival, departure=departure))
    return {host: tuple(several) for host, several in stays.items()}
