"""Which moves wait for others: for room, or for a place in a group, that another server has to leave first.

Hosts that are freed take nothing, so only what leaves a host that stays can make room for what comes there. Placement holds both sides of
a move in flight, and a plan has to be feasible in every order that its `after` permits: so what waits on a host comes after all that has
to leave, and after all that came before. A server is moved twice only where some wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from decamp.model.amounts import Amounts, add, shortage, subtract, total
from decamp.model.survey import Server, Survey
from decamp.planning.constraints import capacity, groups, receives, traits, zone


class Move(msgspec.Struct, frozen=True, kw_only=True):
    server: Server
    source: str
    target: str | None
    """null: it leaves and goes nowhere."""
    halfway: bool = False
    """It goes where it waits, and on from there."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    moves: tuple[Move, ...]
    """In an order in which each has room when its turn comes, a server's second one included."""
    after: dict[int, tuple[int, ...]]
    """Move -> those that have to end before it begins, by their numbers in `moves`."""
    stuck: tuple[str, ...] = ()
    """Servers for which there is no such order, halfway or not."""


def waiting(old: Survey, freed: Iterable[str], moves: Sequence[Move], shun: Iterable[str]) -> Waiting:
    """`moves` in the order in which the planner likes them; those that make room come first. Nothing goes halfway to a host of `shun`."""
    ground = _Ground(old, frozenset(freed), moves, frozenset(shun))
    todo = sorted(moves, key=lambda move: move.source in ground.freed)
    while todo:
        left = [move for move in todo if not ground.go(move)]
        if len(left) == len(todo) and not ground.go_halfway(left):
            return Waiting(moves=(), after={}, stuck=tuple(sorted(move.server.id for move in left)))
        todo = [ground.onward.pop(move.server.id, move) for move in left]
    return Waiting(moves=tuple(ground.gone), after=ground.orders())


class _Ground:
    """Where servers are while the moves are gone through one by one."""

    def __init__(self, old: Survey, freed: frozenset[str], moves: Sequence[Move], shun: frozenset[str]) -> None:
        self.hosts = {host.name: host for host in old.hosts}
        self.groups = {group.id: group for group in old.groups}
        self.freed, self.shun = freed, shun
        self.gone: list[Move] = []
        self.onward: dict[str, Move] = {}
        """The second move of a server that has gone halfway."""
        held = _held(old.servers)
        self.free = {name: subtract(capacity.capacity(host), held.get(name, {})) for name, host in self.hosts.items()}
        """At the beginning."""
        self.coming: dict[str, dict[str, int]] = {}
        self.members: dict[tuple[str, str], set[str]] = {}
        for server in old.servers:
            if server.host is not None and self._apart(server):
                self.members.setdefault((server.group or "", server.host), set()).add(server.id)
        self.crowd = {key: len(members) for key, members in self.members.items()}
        """How many there would be if nobody left."""
        for move in moves:
            self._expect(move)
        self.tight = {name: dict(self.free[name]) for name, coming in self.coming.items() if shortage(coming, self.free[name])}
        """What is free by now where not all that comes fits before something has left."""

    def _expect(self, move: Move) -> None:
        if move.target is None:
            return
        self.coming[move.target] = add(self.coming.get(move.target, {}), move.server.allocations)
        if self._apart(move.server):
            key = (move.server.group or "", move.target)
            self.crowd[key] = self.crowd.get(key, 0) + 1

    def go(self, move: Move) -> bool:
        """Whether it has room now; it goes there then."""
        server, target = move.server, move.target
        if target in self.tight and shortage(server.allocations, self.tight[target]):
            return False
        if target is not None and not self._welcome(server, target):
            return False
        if target in self.tight:
            self.tight[target] = subtract(self.tight[target], server.allocations)
        if move.source in self.tight:
            self.tight[move.source] = add(self.tight[move.source], server.allocations)
        if self._apart(server):
            self.members[server.group or "", move.source].discard(server.id)
            if target is not None:
                self.members.setdefault((server.group or "", target), set()).add(server.id)
        self.gone.append(move)
        return True

    def go_halfway(self, stuck: list[Move]) -> bool:
        """Take the smallest of them that leaves a host that stays to a host with room that nobody else waits for."""
        makers = [move for move in stuck if move.source not in self.freed and move.target is not None]
        for move in sorted(makers, key=lambda one: (one.server.migration_bytes, one.server.id)):
            house = next((name for name in sorted(self.hosts) if self._is_halfway_house(move, name)), None)
            if house is not None:
                first = msgspec.structs.replace(move, target=house, halfway=True)
                self._expect(first)
                self.onward[move.server.id] = msgspec.structs.replace(move, source=house)
                return self.go(first)
        return False

    def orders(self) -> dict[int, tuple[int, ...]]:
        after: dict[int, list[int]] = {}
        last: dict[str, int] = {}
        for number, move in enumerate(self.gone):
            if move.server.id in last:
                after.setdefault(number, []).append(last[move.server.id])
            last[move.server.id] = number
        for name in self.tight:
            self._order_room(name, after)
        for group in sorted({group for (group, _), crowd in self.crowd.items() if crowd > self.groups[group].max_server_per_host}):
            numbers = [number for number, move in enumerate(self.gone) if move.server.group == group]
            for earlier, later in pairwise(numbers):
                after.setdefault(later, []).append(earlier)
        return {number: tuple(dict.fromkeys(others)) for number, others in after.items()}

    def _order_room(self, name: str, after: dict[int, list[int]]) -> None:
        """In batches: each has room beside all those before it and its own, once what it comes after has left."""
        free, leaving, left = self.free[name], list[int](), list[int]()
        before, batch = list[int](), list[int]()
        for number, move in enumerate(self.gone):
            if move.source == name:
                leaving.append(number)
            if move.target != name:
                continue
            demand = move.server.allocations
            if batch and shortage(demand, free):
                before, batch = batch, []
            while shortage(demand, free):
                free = add(free, self.gone[leaving[0]].server.allocations)
                left.append(leaving.pop(0))
            free = subtract(free, demand)
            batch.append(number)
            after.setdefault(number, []).extend((*left, *before))

    def _welcome(self, server: Server, target: str) -> bool:
        """Affinity is not asked for: what a move may break of it does not hang on the order."""
        if not self._apart(server):
            return True
        group = self.groups[server.group or ""]
        return groups.allows(group, len(self.members.get((group.id, target), ())), 0)

    def _apart(self, server: Server) -> bool:
        return server.group in self.groups and self.groups[server.group].policy == groups.ANTI_AFFINITY

    def _is_halfway_house(self, move: Move, name: str) -> bool:
        host, server = self.hosts[name], move.server
        return (
            name not in {move.source, move.target}
            and name not in self.freed
            and name not in self.shun
            and receives.allows(host)
            and zone.allows(server, host)
            and not traits.missing(server, host)
            and not shortage(add(self.coming.get(name, {}), server.allocations), self.free[name])
            and self._welcome(server, name)
        )


def _held(servers: Iterable[Server]) -> dict[str, dict[str, int]]:
    held: dict[str, list[Amounts]] = {}
    for server in servers:
        if server.host is not None:
            held.setdefault(server.host, []).append(server.allocations)
    return {name: total(several) for name, several in held.items()}
