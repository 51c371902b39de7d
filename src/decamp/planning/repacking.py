"""Small exact problems within a large one: a few hosts are packed anew, all at once, so that servers without a place find one.

The guests of the hosts (servers that came from elsewhere) and the servers without a place are shared out again, by class, as a whole-numbered
program; what it puts where it was stays.
"""

from __future__ import annotations

from random import Random

import numpy as np

from decamp.planning.estate import Ints
from decamp.planning.pace import Pace
from decamp.planning.packing import NOWHERE, Packing
from decamp.planning.programs import Builder
from decamp.planning.solver import solve

HOSTS = 8
"""Packed anew at a time: more find more, and take much longer."""
HOMELESS = 40
"""Looked at in one problem, at most."""
NODES = 20
"""Of a branch-and-bound tree: what is not found soon is not found."""
PATIENCE = 14
"""Problems without success before it is given up."""


def repack(packing: Packing, homeless: list[int], random: Random, pace: Pace, *, most: int = 10**6) -> list[int]:
    """Returns those that are still without a place."""
    failures = 0
    while homeless and failures < PATIENCE and most > 0 and not pace.is_over():
        most -= 1
        hosts = _neighbours(packing, homeless[random.randrange(len(homeless))], random)
        left = _pack_anew(packing, hosts, homeless) if len(hosts) else homeless
        failures = 0 if left is not homeless else failures + 1
        homeless = left
    return homeless


def _neighbours(packing: Packing, server: int, random: Random) -> Ints:
    """Hosts that may take the server, those with more to spare more likely."""
    hosts = packing.candidates(int(packing.estate.class_of[server]))
    left = np.maximum(packing.free[hosts], 0) @ packing.worth
    chances = left + left.mean() if len(left) else left
    keys = [random.random() ** (1 / chance) if chance > 0 else 0.0 for chance in (chances / max(chances.max(initial=0), 1e-300)).tolist()]
    return np.sort(hosts[np.argsort(keys, kind="stable")[::-1][:HOSTS]])


def _pack_anew(packing: Packing, hosts: Ints, homeless: list[int]) -> list[int]:
    estate = packing.estate
    pool: dict[int, list[int]] = {}
    room = packing.free[hosts].copy()
    before = 0.0
    for place, host in enumerate(hosts.tolist()):
        for server in sorted(packing.on[host]):
            if estate.home[server] != host and packing.is_free_to_go(server):
                pool.setdefault(int(estate.class_of[server]), []).append(server)
                room[place] += estate.demand[estate.class_of[server]]
                before += packing.size[estate.class_of[server]]
    fits = estate.fits_kind[:, estate.kind_of[hosts]]
    for server in [one for one in homeless if packing.is_free_to_go(one) and fits[estate.class_of[one]].any()][:HOMELESS]:
        pool.setdefault(int(estate.class_of[server]), []).append(server)
    classes = np.array(sorted(pool), dtype=np.int64)
    counts = _most_placed(packing, classes, np.array([len(pool[one]) for one in classes.tolist()]), fits[classes], room, before)
    if counts is None:
        return homeless
    left = {*homeless, *(server for several in pool.values() for server in several)}
    _carry_out(packing, hosts, {number: (pool[number], row) for number, row in zip(classes.tolist(), counts.tolist(), strict=True)})
    return sorted((server for server in left if packing.at[server] == NOWHERE), key=packing.rank)


def _most_placed(packing: Packing, classes: Ints, supply: Ints, fits: Ints, room: Ints, before: float) -> Ints | None:
    """By class and host: how many, so that more is placed than before; null where that cannot be."""
    if not len(classes):
        return None
    demand, size = packing.estate.demand[classes], packing.size[classes]
    pairs = np.argwhere(fits)
    build = Builder()
    x = build.columns(len(pairs), cost=-size[pairs[:, 0]], upper=supply[pairs[:, 0]], whole=True)
    build.enter(build.rows(np.full(len(classes), -np.inf), supply)[pairs[:, 0]], x)
    scale = np.tile(np.maximum(demand.max(axis=0), 1).astype(float), len(room))
    capacity = build.rows(np.full(room.size, -np.inf), room.ravel(), scale=scale).reshape(room.shape)
    for resource in range(room.shape[1]):
        asking = demand[pairs[:, 0], resource] > 0
        build.enter(capacity[pairs[asking, 1], resource], x[asking], demand[pairs[asking, 0], resource])
    more = build.rows(np.array([before + float(size.min()) / 2]), np.array([np.inf]))
    build.enter(np.repeat(more, len(x)), x, size[pairs[:, 0]])
    solution = solve(build.program(), nodes=NODES)
    if solution is None:
        return None
    counts = np.zeros(fits.shape, dtype=np.int64)
    counts[pairs[:, 0], pairs[:, 1]] = np.rint(solution.values[x]).astype(np.int64)
    return counts if (counts.T @ demand <= np.maximum(room, 0)).all() else None


def _carry_out(packing: Packing, hosts: Ints, wanted: dict[int, tuple[list[int], list[int]]]) -> None:
    """Who may stay stays; then the others leave, and then they arrive."""
    numbers = hosts.tolist()
    arriving: list[tuple[list[int], list[int]]] = []
    for servers, row in wanted.values():
        lack = dict(zip(numbers, row, strict=True))
        moving: list[int] = []
        for server in servers:
            if lack.get(packing.at[server], 0) > 0:
                lack[packing.at[server]] -= 1
            else:
                moving.append(server)
        for server in moving:
            packing.put(server, NOWHERE)
        arriving.append((moving, [host for host, number in lack.items() for _ in range(number)]))
    for moving, places in arriving:
        for server, host in zip(moving, places, strict=False):
            packing.put(server, host)


