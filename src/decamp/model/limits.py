"""Limits on what is moved at a time and how fast, over all runs of one state database: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from decamp.model.plan import Action, MoveGoal, Plan, Verb


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of a run, as policy was when it was begun. Null: no limit."""

    moves: int | None = None
    """Moves at a time."""
    moves_per_project: int | None = None
    moves_per_host: int | None = None
    """By the host in the old cloud. It is shown to administrators only: of a tenant's servers none is known, and nothing is limited."""
    copy_rate: int | None = None
    """Bytes a second."""
    copy_rate_per_project: int | None = None

    @property
    def bound_moves(self) -> bool:
        return any(limit is not None for limit in (self.moves, self.moves_per_project, self.moves_per_host))

    @property
    def bound_copies(self) -> bool:
        return self.copy_rate is not None or self.copy_rate_per_project is not None


UNLIMITED = Limits()


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What is handed over at a time: a server; of those that come up together, or wait for each other, all."""

    name: str
    """`server/ID`, of several the first in the plan."""
    project: str | None = None
    hosts: tuple[str, ...] = ()


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A move that has its place among those that are allowed at a time."""

    run: str
    move: Move


class Full(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that leaves no room."""

    field: str
    """Of policy."""
    limit: int
    where: str = ""
    """`of project ...`, `of host ...`; empty: anywhere."""
    turns: tuple[Turn, ...]
    """Who has the places."""

    @property
    def text(self) -> str:
        what = f"{self.limit} server{'s are' if self.limit > 1 else ' is'} moved at a time"
        return f"waits for its turn: {what}{self.where and ' '}{self.where} (policy.{self.field})"


def project_of(action: Action) -> str | None:
    """In the old cloud, the one that owns what is made."""
    return _made(action).get("project")


def moves_of(plan: Plan) -> dict[str, Move]:
    """Action -> the move that it is a part of: all that is done to a server and its copy, and the copying of its disks.

    What else is made (networks, images) belongs to no move. Where an action of one server comes after one of another, however far, both
    are one move: so no move that has its place waits for one that has none.
    """
    if not isinstance(plan.goal, MoveGoal):
        return {}
    owner = _owners(plan)
    leader = {server: server for server in owner.values()}

    def led(server: str) -> str:
        while leader[server] != server:
            server = leader[server]
        return server

    behind: dict[str, frozenset[str]] = {}
    """Action -> servers of which something comes before it, or it is of."""
    for action in plan.actions:
        servers = frozenset[str]().union(*(behind[other] for other in action.after))
        if action.id in owner:
            servers = frozenset({led(one) for one in (*servers, owner[action.id])})
            first = next(server for server in leader if server in servers)
            leader.update(dict.fromkeys(servers, first))
            servers = frozenset({first})
        behind[action.id] = servers
    return _joined(plan, {action: led(server) for action, server in owner.items()})


def _owners(plan: Plan) -> dict[str, str]:
    """Action -> server, in the order of the plan."""
    disks = {
        str(need[1]): action.target.id
        for action in plan.actions
        if action.target.kind == "server" and action.verb is not Verb.ADOPT
        for need in _made(action).get("needs", ())
        if need[0] == "volume"
    }
    owner: dict[str, str] = {}
    for action in plan.actions:
        target = action.target
        if action.verb is Verb.ADOPT:
            continue
        if target.kind in {"server", "server_snapshot"}:
            owner[action.id] = target.id
        elif target.kind == "volume" and action.args.get("manner") == "copy" and target.id in disks:
            owner[action.id] = disks[target.id]
    return owner


def _joined(plan: Plan, leader: dict[str, str]) -> dict[str, Move]:
    projects: dict[str, str | None] = {}
    hosts: dict[str, list[str]] = {}
    for action in plan.actions:
        if action.id in leader and action.target.kind == "server" and (resource := _made(action)):
            projects.setdefault(leader[action.id], resource.get("project"))
            info: dict[str, Any] = resource.get("info") or {}
            if host := info.get("host"):
                hosts.setdefault(leader[action.id], []).append(str(host))
    moves = {
        server: Move(name=f"server/{server}", project=projects.get(server), hosts=tuple(dict.fromkeys(hosts.get(server, ()))))
        for server in leader.values()
    }
    return {action: moves[server] for action, server in leader.items()}


def _made(action: Action) -> dict[str, Any]:
    """The resource that it makes, as the plan has it; empty: none."""
    return action.args.get("resource") or {}


class _Places:
    """Who has one, counted as the limits count."""

    def __init__(self, turns: Iterable[Turn], limits: Limits) -> None:
        self._limits = limits
        self._turns: list[Turn] = []
        self._counts: Counter[tuple[str, str | None]] = Counter()
        for turn in turns:
            self.give(turn)

    def give(self, turn: Turn) -> None:
        self._turns.append(turn)
        self._counts.update(_counted(turn.move))

    def against(self, move: Move) -> Full | None:
        for key in _counted(move):
            field, whose = key
            limit: int | None = getattr(self._limits, field)
            if limit is not None and self._counts[key] >= limit:
                where = {"moves": "", "moves_per_project": f"of project {whose}", "moves_per_host": f"of host {whose}"}[field]
                having = tuple(turn for turn in self._turns if key in _counted(turn.move))
                return Full(field=field, limit=limit, where=where, turns=having)
        return None


def _counted(move: Move) -> tuple[tuple[str, str | None], ...]:
    """(field of policy, project or host) of each limit that it counts for."""
    return ("moves", None), ("moves_per_project", move.project), *(("moves_per_host", host) for host in move.hosts)


def admit(
    asked: Sequence[Turn], held: Iterable[Turn], ahead: Iterable[Turn], limits: Limits, most: int
) -> tuple[tuple[Turn, ...], tuple[tuple[Turn, Full], ...]]:
    """(those that have their turn now, `most` of them; those that have not, and why), in the order in which they were asked for.

    `ahead`: who goes before these, in order. A place that one of them could have counts as taken.
    """
    places = _Places(held, limits)
    for turn in ahead:
        if places.against(turn.move) is None:
            places.give(turn)
    granted: list[Turn] = []
    waiting: list[tuple[Turn, Full]] = []
    for turn in asked:
        full = places.against(turn.move)
        if full:
            waiting.append((turn, full))
        elif len(granted) < most:
            places.give(turn)
            granted.append(turn)
    return tuple(granted), tuple(waiting)
