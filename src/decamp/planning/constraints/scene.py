"""What a checker looks at: the plan, the surveys, and where each server may be while an action runs, in every order that `after` permits.

An action's effect on hosts begins when it begins and ends when it ends: a server in flight holds its allocations on both sides. While
action A runs, its predecessors (by `after`, transitively) have ended, its successors have not begun, and any other action may be
anywhere between. So a server *may hold* room on a host while A runs, if the migration that brought it there is no successor of A, and
the one that takes it away is no predecessor of A. A plan in which everything that may hold fits, fits in every order. (The converse does
not hold: two that are ordered between themselves, but not with A, are both counted. The planner keeps clear of that.)

Most of what a host holds cannot be elsewhere by then, and nearly everything in a plan is unordered with nearly everything else. So a scene
is asked for the exceptions: who has left for sure, or cannot have come yet.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from decamp.model.amounts import subtract, total
from decamp.model.plan import MIGRATIONS, Action, Plan, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Group, Host, Resource, Server, Survey
from decamp.planning.ordering import Precedence


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
    GOAL = "goal"
    """What the goal rules out is not done."""
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


class Stay(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A server's time on a host, between two moves (by their index in the plan); null: since before, or to the end."""

    server: str
    host: str
    arrival: int | None
    departure: int | None


class Guests(msgspec.Struct, frozen=True, kw_only=True):
    """All that a host has to do with servers in the course of the plan."""

    servers: tuple[str, ...]
    """That ever are there."""
    held: Mapping[str, int]
    """By all of them together."""
    comes: tuple[tuple[int, int], ...]
    """The moves that bring some, as `Precedence.by_place` gives them."""
    goes: tuple[int, ...]
    """The moves that take some away."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    plan: Plan
    surveys: Mapping[str, Survey]
    policy: Policy
    hosts: Mapping[str, Host]
    """Of the old cloud, as are the servers, groups and resources."""
    servers: Mapping[str, Server]
    groups: Mapping[str, Group]
    resources: Mapping[Ref, Resource]
    never_move: frozenset[str]
    never_touch: frozenset[str]
    """Of the policy, to be looked up."""
    precedence: Precedence
    stays: Mapping[str, tuple[Stay, ...]]
    """By server, in the plan's order."""
    guests: Mapping[str, Guests]
    """By host."""
    moves: Mapping[str, tuple[int, ...]]
    """Server -> what takes it from a host, its migrations and a shelving, in the plan's order."""
    members: Mapping[str, tuple[str, ...]]
    """Group -> servers."""
    on_targets: Mapping[Ref, tuple[int, ...]]
    """Target -> the actions on it, in the plan's order."""

    @property
    def actions(self) -> tuple[Action, ...]:
        return self.plan.actions

    def precedes(self, first: int, second: int) -> bool:
        """Whether the first action has ended before the second begins, in every order."""
        return self.precedence.precedes(first, second)

    def ordered(self, one: int, other: int) -> bool:
        return self.precedes(one, other) or self.precedes(other, one)

    def may_be_on(self, host: str, server: str, at: int) -> bool:
        """Whether the server may hold room on the host while the action runs."""
        return any(self._may_last(stay, at) for stay in self.stays.get(server, ()) if stay.host == host)

    def may_be_elsewhere(self, host: str, server: str, at: int) -> bool:
        return any(self._may_last(stay, at) for stay in self.stays.get(server, ()) if stay.host != host)

    def _may_last(self, stay: Stay, at: int) -> bool:
        begun = stay.arrival is None or not self.precedes(at, stay.arrival)
        ended = stay.departure is not None and self.precedes(stay.departure, at)
        return begun and not ended

    def may_hold(self, host: str, at: int) -> list[str]:
        """Servers that may hold room on the host while the action runs; the one that the action brings is among them."""
        guests = self.guests.get(host)
        return [server for server in guests.servers if self.may_be_on(host, server, at)] if guests else []

    def held(self, host: str, at: int) -> dict[str, int]:
        """By all that may hold room on the host while the action runs, together."""
        guests = self.guests.get(host)
        if guests is None:
            return {}
        moves = self.precedence.following(at, guests.comes) + [move for move in guests.goes if self.precedes(move, at)]
        absent = {server for server in (self.actions[move].target.id for move in moves) if not self.may_be_on(host, server, at)}
        return subtract(guests.held, total(self.servers[server].allocations for server in absent)) if absent else dict(guests.held)

    def on(self, target: Ref, *verbs: Verb) -> tuple[int, ...]:
        """The actions on the target with one of these verbs."""
        return tuple(number for number in self.on_targets.get(target, ()) if self.actions[number].verb in verbs)

    def violation(self, at: int | None, rule: Rule, text: str) -> Violation:
        return Violation(action=None if at is None else self.actions[at].id, rule=rule, text=text)


def is_migration(action: Action) -> bool:
    """Whether it is one, with all that makes it one."""
    return action.verb in MIGRATIONS and _is_of_a_server_on_a_host(action) and isinstance(action.args.get("to"), str)


def is_shelving(action: Action) -> bool:
    return action.verb is Verb.SHELVE and _is_of_a_server_on_a_host(action)


def _is_of_a_server_on_a_host(action: Action) -> bool:
    return action.target.kind == "server" and isinstance(action.args.get("from"), str)


def takes_away(action: Action) -> bool:
    """Whether it takes a server from a host, to another one or nowhere."""
    return is_migration(action) or is_shelving(action)


def destination(action: Action) -> str:
    return str(action.args["to"])


def whereto(action: Action) -> str | None:
    """Where the server that an action takes away is afterwards; null: on no host."""
    return destination(action) if is_migration(action) else None


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
        if takes_away(action):
            moves.setdefault(action.target.id, []).append(number)
    members: dict[str, list[str]] = {}
    for server in servers.values():
        if server.group is not None:
            members.setdefault(server.group, []).append(server.id)
    precedence = Precedence([[index[name] for name in action.after] for action in plan.actions])
    stays = {server.id: _stays(plan.actions, server, moves.get(server.id, ())) for server in servers.values()}
    return Scene(
        plan=plan,
        surveys=surveys,
        policy=policy,
        hosts={host.name: host for host in old.hosts} if old else {},
        servers=servers,
        groups={group.id: group for group in old.groups} if old else {},
        resources=old.by_ref() if old else {},
        never_move=frozenset(policy.never_move_servers),
        never_touch=frozenset(policy.never_touch_hosts),
        precedence=precedence,
        stays=stays,
        guests=_guests(stays, servers, precedence),
        moves={server: tuple(numbers) for server, numbers in moves.items()},
        members={group: tuple(several) for group, several in members.items()},
        on_targets={target: tuple(numbers) for target, numbers in on_targets.items()},
    )


def _stays(actions: tuple[Action, ...], server: Server, moves: Sequence[int]) -> tuple[Stay, ...]:
    stays: list[Stay] = []
    for arrival, departure in pairwise([None, *moves, None]):
        host = server.host if arrival is None else whereto(actions[arrival])
        if host is not None:
            stays.append(Stay(server=server.id, host=host, arrival=arrival, departure=departure))
    return tuple(stays)


def _guests(stays: Mapping[str, tuple[Stay, ...]], servers: Mapping[str, Server], precedence: Precedence) -> dict[str, Guests]:
    there: dict[str, list[Stay]] = {}
    for several in stays.values():
        for stay in several:
            there.setdefault(stay.host, []).append(stay)
    found: dict[str, Guests] = {}
    for host, several in there.items():
        names = tuple(dict.fromkeys(stay.server for stay in several))
        found[host] = Guests(
            servers=names,
            held=total(servers[server].allocations for server in names),
            comes=tuple(precedence.by_place(stay.arrival for stay in several if stay.arrival is not None)),
            goes=tuple(stay.departure for stay in several if stay.departure is not None),
        )
    return found
