"""Where servers are while a planner tries: what is free on the hosts that take some, the choice of a host for a server, and how room is
made.

Hosts that are freed take nothing, and hosts that take servers give up to others only what they took. So room that a migration needs is
never room that another one has to free first, and the peak of each host is its end state.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

import msgspec
import numpy as np

from decamp.planning.constraints import groups, spare
from decamp.planning.estate import Bools, Estate, Ints
from decamp.planning.relaxation import Proposal, Relaxation
from decamp.planning.solver import Floats

NOWHERE = -1
"""Of a server that has left its host and has no other yet, or that is shelved."""

BREADTH, DEPTH, TRIES = 24, 2, 6
"""Of the search for room: hosts that are looked at for one server, how often what is put out may itself put out others, servers tried on
each.
"""

BEAM = 8
"""Of the search for a host's best filling: more find hardly more (`bench/vacate`)."""


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """How many servers of each class go to each sort of hosts."""

    quota: Floats
    """By class and sort; fractions are rounded."""
    sort_of: Ints
    """By host."""


class Packing:
    """Mutable; `copy` before trying."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.at: list[int] = estate.home.tolist()
        self.on: list[set[int]] = [set(several) for several in estate.on]
        self.free: Ints = estate.room - estate.held()
        self.takes: Bools = estate.takes.copy()
        self.freed: dict[int, None] = {}
        """In the order in which they were freed."""
        room = np.maximum(estate.room, 0)[estate.takes].sum(axis=0).astype(float)
        demand = np.bincount(estate.class_of[estate.is_movable], minlength=len(estate.demand)) @ estate.demand if len(estate.demand) else 0
        self.scarcity: Floats = np.where(room > 0, demand / np.maximum(room, 1), 0.0)
        """Of each resource: the share of all room that servers which may move ask for."""
        self.worth: Floats = self.scarcity / np.maximum(room / max(1, int(estate.takes.sum())), 1)
        """Of a unit of each resource: the scarcer, the more."""
        self.size: Floats = estate.demand @ self.worth if len(estate.demand) else np.zeros(0)
        """Of a class."""
        self._needs = [np.flatnonzero(demand > 0) for demand in estate.demand]
        self._lacking = self._lacks_of_spare()

    def copy(self) -> Packing:
        twin = object.__new__(Packing)
        twin.__dict__.update(self.__dict__)
        twin.at, twin.on, twin.freed = list(self.at), [set(several) for several in self.on], dict(self.freed)
        twin.free, twin.takes = self.free.copy(), self.takes.copy()
        return twin

    def release(self, host: int) -> list[int]:
        """Free the host; returns its servers, which are nowhere then: those that are not shelved have to find a place."""
        self.takes[host] = False
        self.freed[host] = None
        leaving = sorted(self.on[host])
        for server in leaving:
            self.put(server, NOWHERE)
        return [server for server in leaving if not self.estate.is_shelved[server]]

    def take_back(self, host: int) -> None:
        """The host is not freed after all: its own servers return, from wherever they were put."""
        del self.freed[host]
        self.takes[host] = self.estate.takes[host]
        for server in self.estate.on[host]:
            self.put(server, host)

    def empty(self, host: int, *, all_reasons: bool = False) -> list[int]:
        """Free the host if each of its servers fits somewhere as things stand, and nothing that policy keeps is eaten.

        Returns those that fit nowhere (the first, or with `all_reasons` all of them); nothing has changed then.
        """
        there, homeless = sorted(self.on[host]), list[int]()
        for server in sorted(self.release(host), key=self.rank):
            if (chosen := self.choose(server)) is not None:
                self.put(server, chosen)
            else:
                homeless.append(server)
                if not all_reasons:
                    break
        if homeless or self.spare_eaten():
            del self.freed[host]
            self.takes[host] = self.estate.takes[host]
            for server in there:
                self.put(server, host)
        return homeless

    def load(self, host: int) -> float:
        """The largest share of a resource that servers hold of the host; 0 for an empty one."""
        room = self.estate.room[host]
        held = room - self.free[host]
        return max((one / all_ if all_ > 0 else np.inf for one, all_ in zip(held, room, strict=True) if one > 0), default=0.0)

    def put(self, server: int, host: int) -> None:
        before, demand = self.at[server], self.estate.demand[self.estate.class_of[server]]
        if before != NOWHERE:
            self.on[before].discard(server)
            self.free[before] += demand
        if host != NOWHERE:
            self.on[host].add(server)
            self.free[host] -= demand
        self.at[server] = host

    def place(self, servers: Iterable[int], shares: Shares | None = None) -> list[int]:
        """Find a host for each; returns those that found none.

        Those that are bound by a group or by what the goal avoids go first, each where it fits best. The others are taken host by host,
        the fullest first, each with the servers that leave the shortest rest, as a vector. With shares, no more of a class
        go to a sort of hosts than it says, before every sort has had its own.
        """
        waiting: dict[int, list[int]] = {}
        homeless: list[int] = []
        for server in sorted(servers, key=self.rank):
            if self.is_free_to_go(server):
                waiting.setdefault(int(self.estate.class_of[server]), []).append(server)
            elif (host := self.choose(server)) is None:
                homeless.append(server)
            else:
                self.put(server, host)
        left = np.zeros(len(self.estate.demand), dtype=np.int64)
        for number, several in waiting.items():
            left[number] = len(several)
        hosts = np.flatnonzero(self.takes)
        if shares is not None:
            for sort in range(shares.quota.shape[1]):
                share = np.minimum(np.rint(shares.quota[:, sort]).astype(np.int64), left)
                left -= share
                self._fill(hosts[shares.sort_of[hosts] == sort], share, waiting)
                left += share
        self._fill(hosts, left, waiting)
        return sorted((*homeless, *(server for several in waiting.values() for server in several)), key=self.rank)

    def _fill(self, hosts: Ints, left: Ints, waiting: dict[int, list[int]]) -> None:
        """`left`: by class, how many may be placed; is lowered by those that were."""
        largest_first = np.argsort(-self.size, kind="stable")
        for host in hosts[np.argsort(np.maximum(self.free[hosts], 0) @ self.worth, kind="stable")].tolist():
            if not left.any():
                return
            live = largest_first[(left > 0)[largest_first] & self.estate.fits_kind[largest_first, self.estate.kind_of[host]]]
            live = live[((self.estate.demand[live] <= self.free[host]) | (self.estate.demand[live] == 0)).all(axis=1)]
            if not len(live):
                continue
            for number, count in zip(live.tolist(), self._best_filling(host, live, left[live]).tolist(), strict=True):
                for _ in range(count):
                    self.put(waiting[number].pop(), host)
                left[number] -= count

    def _best_filling(self, host: int, classes: Ints, left: Ints) -> Ints:
        """How many of each class, so that what remains of the host is the shortest vector: a search that keeps the best BEAM fillings of
        each number of servers.
        """
        demand = self.estate.demand[classes]
        rests, counts, last = (
            np.maximum(self.free[host], 0)[None, :],
            np.zeros((1, len(classes)), dtype=np.int64),
            np.zeros(1, dtype=np.int64),
        )
        best, shortest, numbers = counts[0], math.inf, np.arange(len(classes))
        while True:
            may_follow = (numbers[None, :] >= last[:, None]) & (counts < left[None, :])
            after, at = np.nonzero(may_follow)
            rest = rests[after] - demand[at]
            fits = (rest >= 0).all(axis=1)
            after, at, rest = after[fits], at[fits], rest[fits]
            if not len(at):
                return best
            length = ((rest * self.worth) ** 2).sum(axis=1)
            kept = np.argsort(length, kind="stable")[:BEAM]
            counts = counts[after[kept]]
            counts[np.arange(len(kept)), at[kept]] += 1
            rests, last = rest[kept], at[kept]
            if length[kept[0]] < shortest:
                best, shortest = counts[0], float(length[kept[0]])

    def is_free_to_go(self, server: int) -> bool:
        """Whether any host may take it that suits its class."""
        return server not in self.estate.group_of and server not in self.estate.avoid

    def choose(self, server: int, *, but: Collection[int] = ()) -> int | None:
        """The host where it fits best: soft group policies first, then where least is left, then by name."""
        number = int(self.estate.class_of[server])
        hosts = self.allowed(server, self.candidates(number))
        if but:
            hosts = hosts[~np.isin(hosts, list(but))]
        hosts = hosts[self._has_room(number, hosts)]
        if not len(hosts):
            return None
        left = (self.free[hosts] - self.estate.demand[number]) @ self.worth
        group = self.estate.group_of.get(server)
        if group is not None and "soft" in group.policy:
            dislike = np.array([groups.dislike(group, there) for there in self._siblings_on(server, hosts)])
            hosts, left = hosts[dislike == dislike.min()], left[dislike == dislike.min()]
        return int(hosts[left.argmin()])

    def make_room(self, server: int, depth: int = DEPTH, but: Collection[int] = ()) -> bool:
        """Put the server somewhere, where needed in the place of smaller ones that came from elsewhere and find another place."""
        if (host := self.choose(server, but=but)) is not None:
            self.put(server, host)
            return True
        if depth == 0:
            return False
        number = int(self.estate.class_of[server])
        hosts = self.allowed(server, self.candidates(number))
        hosts = hosts[~np.isin(hosts, list(but))] if but else hosts
        lacks = np.maximum(self.estate.demand[number] - self.free[hosts], 0) * (self.estate.demand[number] > 0)
        nearest = hosts[np.argsort(lacks @ self.worth, kind="stable")[:BREADTH]].tolist()
        return any(self._put_out(server, host, depth, (*but, host)) for host in nearest)

    def _put_out(self, server: int, host: int, depth: int, but: Collection[int]) -> bool:
        """Put it on this host, and one or more smaller guests of it elsewhere; changes nothing where that fails."""
        needs = self.estate.demand[self.estate.class_of[server]]
        for guests in self._that_make_room(host, needs, float(self.size[self.estate.class_of[server]])):
            for guest in guests:
                self.put(guest, NOWHERE)
            self.put(server, host)
            done: list[int] = []
            for guest in guests:
                if not self.make_room(guest, depth - 1, but):
                    break
                done.append(guest)
            if len(done) == len(guests):
                return True
            for guest in done:
                self.put(guest, NOWHERE)
            self.put(server, NOWHERE)
            for guest in guests:
                self.put(guest, host)
        return False

    def _that_make_room(self, host: int, needs: Ints, size: float) -> Iterator[tuple[int, ...]]:
        lacks = np.where(needs > 0, needs - self.free[host], 0)
        estate = self.estate
        guests = [one for one in self.on[host] if estate.home[one] != host and self.size[estate.class_of[one]] < size]
        guests.sort(key=lambda one: (self.size[estate.class_of[one]], one))
        seen: set[int] = set()
        for guest in guests:
            kind = int(estate.class_of[guest])
            if kind not in seen and (estate.demand[kind] >= lacks).all():
                seen.add(kind)
                yield (guest,)
                if len(seen) == TRIES:
                    return
        if not seen:
            chosen: list[int] = []
            given = np.zeros_like(lacks)
            for guest in reversed(guests):
                helps = np.minimum(estate.demand[estate.class_of[guest]], np.maximum(lacks - given, 0))
                if helps.any():
                    chosen.append(guest)
                    given = given + estate.demand[estate.class_of[guest]]
                if (given >= lacks).all():
                    yield tuple(chosen)
                    return

    def candidates(self, number: int) -> Ints:
        """Hosts that take servers of the class, room or not."""
        return np.flatnonzero(self.takes & self.estate.fits_kind[number][self.estate.kind_of])

    def _has_room(self, number: int, hosts: Ints) -> Bools:
        needs = self._needs[number]
        return (self.free[hosts][:, needs] >= self.estate.demand[number][needs]).all(axis=1)

    def allowed(self, server: int, hosts: Ints) -> Ints:
        """Without those that its group forbids, or that the goal says to avoid."""
        if avoided := self.estate.avoid.get(server):
            hosts = hosts[~np.isin(hosts, list(avoided))]
        group = self.estate.group_of.get(server)
        if group is None or group.policy != groups.ANTI_AFFINITY:
            return hosts
        return hosts[self._siblings_on(server, hosts) < group.max_server_per_host]

    def _siblings_on(self, server: int, hosts: Ints) -> Ints:
        group = self.estate.group_of[server]
        where = [self.at[one] for one in self.estate.members[group.id] if one != server and self.at[one] != NOWHERE]
        return np.bincount(np.array(where, dtype=np.int64), minlength=len(self.free))[hosts]

    def rank(self, server: int) -> tuple[float, int]:
        return -float(self.size[self.estate.class_of[server]]), server

    def spare_eaten(self) -> dict[str, int]:
        """What policy wants kept and is not, with the hosts gone that are freed."""
        return spare.eaten(self._lacking, self._lacks_of_spare())

    def _lacks_of_spare(self) -> dict[str, int]:
        policy, estate = self.estate.policy, self.estate
        if not policy.spare_hosts and not policy.spare_fraction:
            return {}
        kept = [number for number in range(len(estate.hosts)) if number not in self.freed]
        held = estate.room - self.free
        amounts = {estate.hosts[n].name: dict(zip(estate.resources, held[n].tolist(), strict=True)) for n in kept}
        return spare.lacking([estate.hosts[n] for n in kept], amounts, policy)


def packed_as_proposed(relaxation: Relaxation, proposal: Proposal, kept: int) -> tuple[Packing, list[int]]:
    """Frees all but the `kept` hosts that it is surest of, and places by its shares; with those for whom there is no room."""
    packing, hosts = Packing(relaxation.estate), np.flatnonzero(relaxation.freeable)
    ranks = np.lexsort((hosts, -proposal.kept[hosts].round(6)))
    leaving = [server for host in np.sort(hosts[ranks[kept:]]).tolist() for server in packing.release(host)]
    return packing, packing.place(leaving, Shares(quota=proposal.quota, sort_of=relaxation.sort_of))
