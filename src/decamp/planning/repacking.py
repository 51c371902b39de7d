"""Small exact problems within a large one: a few hosts are packed anew, all at once, so that servers without a place find one.

The guests of the hosts (servers that came from elsewhere) and the servers without a place are shared out again, by class, as a
whole-numbered program; what it puts where it was stays. Where that does not help, residents (servers that were on these hosts from the
beginning) are moved as well, as few bytes of them as possible.
"""

# pyright: standard
from __future__ import annotations

from random import Random

import numpy as np

from decamp.planning.estate import Bools, Ints
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
GAP = 0.02
STAYING = 0.3
"""What it is worth that a resident stays, as a share of what it is worth that a server of its size finds a place."""
PATIENCE = 14
"""Problems without success before it is given up."""


def repack(packing: Packing, homeless: list[int], random: Random, pace: Pace, *, residents: bool, most: int) -> tuple[list[int], int]:
    """Returns those that are still without a place, and how many problems were solved: no more than `most`."""
    failures = tried = 0
    while homeless and failures < PATIENCE and tried < most and not pace.is_over():
        hosts = _neighbours(packing, homeless[random.randrange(len(homeless))], random)
        left = _pack_anew(packing, hosts, homeless, residents) if len(hosts) else homeless
        failures = 0 if left is not homeless else failures + 1
        tried += 1
        homeless = left
    return homeless, tried


def _neighbours(packing: Packing, server: int, random: Random) -> Ints:
    """Hosts that may take the server, those with more to spare more likely."""
    hosts = packing.candidates(int(packing.estate.class_of[server]))
    left = np.maximum(packing.free[hosts], 0) @ packing.worth
    chances = left + left.mean() if len(left) else left
    keys = [random.random() ** (1 / chance) if chance > 0 else 0.0 for chance in (chances / max(chances.max(initial=0), 1e-300)).tolist()]
    return np.sort(hosts[np.argsort(keys, kind="stable")[::-1][:HOSTS]])


def _pack_anew(packing: Packing, hosts: Ints, homeless: list[int], residents: bool) -> list[int]:
    estate = packing.estate
    fits = estate.fits_kind[:, estate.kind_of[hosts]]
    there = [(one, place) for place, host in enumerate(hosts.tolist()) for one in sorted(packing.on[host]) if packing.is_free_to_go(one)]
    at_home = [
        (one, place)
        for one, place in there
        if residents and estate.home[one] == hosts[place] and estate.is_movable[one] and fits[estate.class_of[one], place]
    ]
    at_home.sort(key=lambda one: (-int(estate.bytes[one[0]]), one))  # of a class the lightest are moved
    guests = [(one, place) for one, place in there if estate.home[one] != hosts[place]]
    room = packing.free[hosts].copy()
    for server, place in (*at_home, *guests):
        room[place] += estate.demand[estate.class_of[server]]
    lost = [one for one in homeless if packing.is_free_to_go(one) and fits[estate.class_of[one]].any()][:HOMELESS]
    pool: dict[tuple[bytes, bytes], list[int]] = {}
    sort_of: dict[int, tuple[bytes, bytes]] = {}
    for server in (*(one for one, _ in at_home), *(one for one, _ in guests), *lost):
        number = int(estate.class_of[server])
        if number not in sort_of:
            sort_of[number] = estate.demand[number].tobytes(), fits[number].tobytes()
        pool.setdefault(sort_of[number], []).append(server)
    row = {sort: at for at, sort in enumerate(pool)}
    classes = np.array([estate.class_of[several[0]] for several in pool.values()], dtype=np.int64)
    own = np.zeros((len(classes), len(hosts)), dtype=np.int64)
    for server, place in at_home:
        own[row[sort_of[int(estate.class_of[server])]], place] += 1
    before = float(sum(packing.size[estate.class_of[one]] for one, _ in (*at_home, *guests)))
    supply = np.array([len(several) for several in pool.values()])
    counts = _most_placed(packing, classes, supply, own, fits[classes], room, before)
    if counts is None:
        return homeless
    left = {*homeless, *(server for several in pool.values() for server in several)}
    carry_out(packing, hosts, [(several, counts[at].tolist()) for at, several in enumerate(pool.values())])
    return sorted((server for server in left if packing.at[server] == NOWHERE), key=packing.rank)


def _most_placed(packing: Packing, classes: Ints, supply: Ints, own: Ints, fits: Bools, room: Ints, before: float) -> Ints | None:
    """By class and host: how many, so that more is placed than before; null where that cannot be.

    `own`: by class and host, residents, each of which has to be somewhere, and best stays where it is.
    """
    if not len(classes):
        return None
    demand, size = packing.estate.demand[classes], packing.size[classes]
    pairs, homes = np.argwhere(fits | (own > 0)), np.argwhere(own)
    build = Builder()
    x = build.columns(len(pairs), cost=-size[pairs[:, 0]], upper=supply[pairs[:, 0]], whole=True)
    build.enter(build.rows(own.sum(axis=1), supply)[pairs[:, 0]], x)
    build.fit(x, pairs, demand, room)
    more = build.rows(np.array([before + float(size.min()) / 2]), np.array([np.inf]))
    build.enter(np.repeat(more, len(x)), x, size[pairs[:, 0]])
    if len(homes):
        stay = build.columns(len(homes), cost=-size[homes[:, 0]] * STAYING, upper=own[homes[:, 0], homes[:, 1]])
        pair_of = np.full(fits.shape, -1)
        pair_of[pairs[:, 0], pairs[:, 1]] = x
        rows = build.rows(np.full(len(homes), -np.inf), np.zeros(len(homes)))
        build.enter(rows, stay)
        build.enter(rows, pair_of[homes[:, 0], homes[:, 1]], -1)
    solution = solve(build.program(), nodes=NODES, gap=GAP)
    if solution is None:
        return None
    counts = np.zeros(fits.shape, dtype=np.int64)
    counts[pairs[:, 0], pairs[:, 1]] = np.rint(solution.values[x]).astype(np.int64)
    return counts if (counts.T @ demand <= np.maximum(room, 0)).all() else None


def carry_out(packing: Packing, hosts: Ints, wanted: list[tuple[list[int], list[int]]]) -> None:
    """`wanted`: servers that are as good as each other, and how many of them each host is to have.

    The heaviest that may be at home are there, of the others who may stay stays; then the rest leave, and then they arrive.
    """
    estate, numbers = packing.estate, hosts.tolist()
    arriving: list[tuple[int, int]] = []
    for servers, row in wanted:
        lack = dict(zip(numbers, row, strict=True))
        goes: dict[int, int] = {}
        for server in sorted(servers, key=lambda one: (-int(estate.bytes[one]), one)):
            _give(goes, lack, server, int(estate.home[server]))
        for server in servers:
            if server not in goes:
                _give(goes, lack, server, packing.at[server])
        left = (host for host, number in lack.items() for _ in range(number))
        goes.update(zip((server for server in servers if server not in goes), left, strict=False))
        for server in servers:
            if goes.get(server, NOWHERE) != packing.at[server]:
                packing.put(server, NOWHERE)
        arriving += goes.items()
    for server, host in arriving:
        if packing.at[server] != host:
            packing.put(server, host)


def _give(goes: dict[int, int], lack: dict[int, int], server: int, host: int) -> None:
    if lack.get(host, 0) > 0:
        lack[host] -= 1
        goes[server] = host
