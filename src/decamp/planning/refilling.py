"""Hosts filled better, one at a time: one or two servers leave a host, and others, for which there was no place, use more of it.

What is without a place is the medium of exchange: with each host that is filled better it becomes less, in sum.
"""

# pyright: standard
from __future__ import annotations

from itertools import combinations

import numpy as np

from decamp.planning.estate import Ints
from decamp.planning.pace import Pace
from decamp.planning.packing import NOWHERE, Packing
from decamp.planning.solver import Floats

BEAM = 24
"""Fillings that are followed up, of each number of servers that come."""
ROUNDS = 12
"""Over all hosts, at most: the first rounds gain the most."""
LARGE_FIRST = 1.5
"""The power of a server's size that its having a place is worth: what is left without one are small servers, which find one sooner."""
LEAST_GAIN = 1e-9
STAYING = 0.3
"""What it is worth that a resident of middling bytes stays, as a share of what it is worth that a server of middling size has a place."""


class _Values:
    """What things are worth here."""

    def __init__(self, packing: Packing) -> None:
        estate = packing.estate
        self.of_class: Floats = packing.size**LARGE_FIRST
        """That a server of it has a place."""
        of_server = self.of_class[estate.class_of]
        share = estate.bytes / max(1.0, float(estate.bytes.sum()))
        self.of_resident: Floats = of_server + STAYING * of_server.sum() * share
        """That it stays where it was from the beginning: also for the bytes that it does not move."""

    def price(self, packing: Packing, servers: tuple[int, ...]) -> float:
        """Of their leaving where they are."""
        estate = packing.estate
        return sum(
            float(self.of_resident[one] if packing.at[one] == estate.home[one] else self.of_class[estate.class_of[one]]) for one in servers
        )


def refill(packing: Packing, homeless: list[int], pace: Pace, *, residents: bool) -> list[int]:
    """Returns those that are without a place then; servers that were on a kept host from the beginning are never among them.

    With `residents`, such servers may change places as well.
    """
    estate, pool = packing.estate, dict[int, list[int]]()
    for server in homeless:
        if packing.is_free_to_go(server):
            pool.setdefault(int(estate.class_of[server]), []).append(server)
    same = np.unique(estate.demand, axis=0, return_inverse=True)[1].ravel()
    values = _Values(packing)
    for _ in range(ROUNDS):
        hosts = np.flatnonzero(packing.takes)
        gained = False
        for host in hosts[np.argsort(-(np.maximum(packing.free[hosts], 0) @ packing.worth), kind="stable")].tolist():
            if pool and not pace.is_over():
                gained = _refill(packing, host, pool, same, values, residents=residents) or gained
        if not gained:
            break
    rest = {*homeless, *(one for several in pool.values() for one in several)}
    while stray := [one for one in sorted(rest) if packing.at[one] == NOWHERE and not _is_leaving(packing, one)]:
        for server in stray:
            rest.update(_put_home(packing, server))
    return sorted((one for one in rest if packing.at[one] == NOWHERE), key=packing.rank)


def _refill(packing: Packing, host: int, pool: dict[int, list[int]], same: Ints, values: _Values, *, residents: bool) -> bool:
    """Whether anything was changed."""
    coming = _that_may_come(packing, host, pool, same)
    going = _that_may_go(packing, host, residents)
    most = np.array([len(pool[one]) for one in coming.tolist()], dtype=np.int64)
    found = _best_exchange(packing, host, going, coming, most, values)
    if found is None:
        return False
    left, counts = found
    for server in left:
        packing.put(server, NOWHERE)
    for number, count in zip(coming.tolist(), counts, strict=True):
        for _ in range(count):
            packing.put(pool[number].pop(), host)
        if not pool[number]:
            del pool[number]
    for server in left:
        pool.setdefault(int(packing.estate.class_of[server]), []).append(server)
    return True


def _best_exchange(
    packing: Packing, host: int, going: list[tuple[int, ...]], coming: Ints, most: Ints, values: _Values
) -> tuple[tuple[int, ...], list[int]] | None:
    """Who goes, and how many of each class come, no more than `most`: a search that keeps the best BEAM of each number that comes."""
    estate, worth = packing.estate, values.of_class[coming]
    demand = estate.demand[coming]
    rests = np.array([packing.free[host] + estate.demand[estate.class_of[list(several)]].sum(axis=0) for several in going])
    gains = -np.array([values.price(packing, several) for several in going])
    of, last, numbers = np.arange(len(going)), np.zeros(len(going), dtype=np.int64), np.arange(len(coming))
    counts = np.zeros((len(going), len(coming)), dtype=np.int64)
    best, found = LEAST_GAIN, None
    while len(rests):
        before, at = np.nonzero((numbers[None, :] >= last[:, None]) & (counts < most[None, :]))
        rests = rests[before] - demand[at]
        fits = ((rests >= 0) | (demand[at] == 0)).all(axis=1)
        before, at, rests = before[fits], at[fits], rests[fits]
        gains = gains[before] + worth[at]
        kept = np.argsort(-gains, kind="stable")[:BEAM]
        rests, gains, last, of, counts = rests[kept], gains[kept], at[kept], of[before[kept]], counts[before[kept]]
        counts[np.arange(len(kept)), last] += 1
        if len(kept) and gains[0] > best:
            best, found = float(gains[0]), (going[int(of[0])], counts[0].tolist())
    return found


def _that_may_come(packing: Packing, host: int, pool: dict[int, list[int]], same: Ints) -> Ints:
    """Classes of the pool that suit the host, the largest first, and one of several that ask for the same amounts."""
    suits = packing.estate.fits_kind[:, packing.estate.kind_of[host]]
    found: dict[int, int] = {}
    for number in sorted(pool):
        if suits[number]:
            found.setdefault(int(same[number]), number)
    return np.array(sorted(found.values(), key=lambda one: (-packing.size[one], one)), dtype=np.int64)


def _that_may_go(packing: Packing, host: int, residents: bool) -> list[tuple[int, ...]]:
    """Nobody, one server or two: of a class those that cost least."""
    estate = packing.estate
    by_demand: dict[bytes, list[int]] = {}
    there = [
        one
        for one in packing.on[host]
        if packing.is_free_to_go(one) and (estate.home[one] != host or (residents and estate.is_movable[one]))
    ]
    for server in sorted(there, key=lambda one: (estate.home[one] == host, estate.bytes[one], one)):
        by_demand.setdefault(estate.demand[estate.class_of[server]].tobytes(), []).append(server)
    ones = [several[0] for several in by_demand.values()]
    twos = [(several[0], several[1]) for several in by_demand.values() if len(several) > 1]
    return [(), *((one,) for one in ones), *twos, *combinations(ones, 2)]


def _is_leaving(packing: Packing, server: int) -> bool:
    return int(packing.estate.home[server]) in packing.freed


def _put_home(packing: Packing, server: int) -> list[int]:
    """Back where it was from the beginning; returns the guests that are put out for it, the smallest that suffice."""
    home, out = int(packing.estate.home[server]), list[int]()
    guests = sorted((one for one in packing.on[home] if packing.estate.home[one] != home), key=packing.rank, reverse=True)
    demand = packing.estate.demand[packing.estate.class_of[server]]
    for guest in guests:
        if ((packing.free[home] >= demand) | (demand == 0)).all():
            break
        packing.put(guest, NOWHERE)
        out.append(guest)
    packing.put(server, home)
    return out
