"""Bytes saved when all have a place: servers of hosts that stay, which had to make room, are brought home again.

First one by one, where there is room by now or somebody to change places with; then as small exact problems: a few hosts that such servers
link are packed anew so that as few bytes as possible are away from home, and all that was on them still is.
"""

# pyright: standard
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from decamp.planning.estate import Bools, Ints
from decamp.planning.pace import Pace
from decamp.planning.packing import NOWHERE, Packing
from decamp.planning.programs import Builder
from decamp.planning.repacking import carry_out
from decamp.planning.solver import solve

HOSTS = 10
"""Packed anew at a time. Of 1,000 hosts of which 900 are in use, 60 problems of 6, 10 and 14 hosts bring home 57, 74 and 80 % of the bytes,
and take 5, 10 and 15 s.
"""
NODES = 20
"""Of a branch-and-bound tree: what is not found soon is not found."""
GAP = 0.02


def send_home(packing: Packing) -> None:
    """Each returns where there is room for it by now, or one of its class that came from elsewhere."""
    estate = packing.estate
    for server, home in enumerate(estate.home.tolist()):
        at, number = packing.at[server], estate.class_of[server]
        if at in {home, NOWHERE} or home in packing.freed:
            continue
        demand = estate.demand[number]
        if ((packing.free[home] >= demand) | (demand == 0)).all():
            packing.put(server, home)
            continue
        others = (one for one in sorted(packing.on[home]) if estate.class_of[one] == number and estate.home[one] != home)
        guest = next((one for one in others if packing.is_free_to_go(one)), None)
        if guest is not None:
            packing.put(guest, NOWHERE)
            packing.put(server, home)
            packing.put(guest, at)


def bring_home(packing: Packing, pace: Pace, *, most: int) -> None:
    """The heaviest first, each in a problem of the hosts around it; no more than `most` problems."""
    tried: set[int] = set()
    while len(tried) < most and not pace.is_over():
        away = _away(packing)
        first = next((server for server in away if server not in tried), None)
        if first is None:
            return
        tried.add(first)
        _pack_anew(packing, _around(packing, first, away))


def _away(packing: Packing) -> list[int]:
    """Servers of hosts that stay which are on others, the heaviest first."""
    estate, at = packing.estate, np.array(packing.at)
    away = np.flatnonzero((at != estate.home) & (at != NOWHERE) & packing.takes[estate.home])
    return [server for server in away[np.argsort(-estate.bytes[away], kind="stable")].tolist() if packing.is_free_to_go(server)]


def _around(packing: Packing, first: int, away: Sequence[int]) -> Ints:
    """Its home, where it is, and the hosts that most bytes link with these; else those with the most room."""
    estate = packing.estate
    links: dict[int, dict[int, int]] = {}
    for server in away:
        home, at = int(estate.home[server]), packing.at[server]
        for one, other in ((home, at), (at, home)):
            there = links.setdefault(one, {})
            there[other] = there.get(other, 0) + int(estate.bytes[server])
    around: dict[int, None] = {}
    near: dict[int, float] = dict.fromkeys((int(estate.home[first]), packing.at[first]), math.inf)
    while len(around) < HOSTS:
        linked = [host for host in sorted(near) if host not in around]
        if not linked:
            break
        nearest = max(linked, key=near.__getitem__)
        around[nearest] = None
        for other, weight in links.get(nearest, {}).items():
            near[other] = near.get(other, 0) + weight
    hosts = np.flatnonzero(packing.takes)
    roomiest = hosts[np.argsort(-(np.maximum(packing.free[hosts], 0) @ packing.worth), kind="stable")].tolist()
    for host in roomiest[:HOSTS]:
        if len(around) < HOSTS:
            around.setdefault(host)
    return np.array(sorted(around), dtype=np.int64)


def _pack_anew(packing: Packing, hosts: Ints) -> None:
    estate, place = packing.estate, {host: number for number, host in enumerate(hosts.tolist())}
    fits = estate.fits_kind[:, estate.kind_of[hosts]]
    room = packing.free[hosts].copy()
    pool: dict[tuple[bytes, bytes], list[int]] = {}
    for host, number in place.items():
        for server in sorted(packing.on[host]):
            kind = estate.class_of[server]
            if packing.is_free_to_go(server) and estate.is_movable[server] and fits[kind, number]:
                pool.setdefault((estate.demand[kind].tobytes(), fits[kind].tobytes()), []).append(server)
                room[number] += estate.demand[kind]
    bytes_of: dict[tuple[int, int], list[int]] = {}
    """By sort and host: of the servers whose home it is, the heaviest first."""
    away = 0
    for sort, several in enumerate(pool.values()):
        for server in sorted(several, key=lambda one: -int(estate.bytes[one])):
            home = place.get(int(estate.home[server]))
            if home is not None and fits[estate.class_of[server], home]:
                bytes_of.setdefault((sort, home), []).append(int(estate.bytes[server]))
                away += int(estate.bytes[server]) if packing.at[server] != estate.home[server] else 0
    wanted = _most_at_home(packing, list(pool.values()), bytes_of, fits, room) if away else None
    if wanted is not None and sum(sum(several[wanted[where] :]) for where, several in bytes_of.items()) < away:
        carry_out(packing, hosts, list(zip(pool.values(), wanted.tolist(), strict=True)))


def _most_at_home(
    packing: Packing, pool: list[list[int]], bytes_of: dict[tuple[int, int], list[int]], fits: Bools, room: Ints
) -> Ints | None:
    """By sort and host: how many of them, so that all have a place and most bytes are at home; null where none is found."""
    estate = packing.estate
    classes = np.array([estate.class_of[several[0]] for several in pool], dtype=np.int64)
    demand, supply = estate.demand[classes], np.array([len(several) for several in pool])
    pairs = np.argwhere(fits[classes])
    build = Builder()
    x = build.columns(len(pairs), upper=supply[pairs[:, 0]], whole=True)
    build.enter(build.rows(supply, supply)[pairs[:, 0]], x)
    build.fit(x, pairs, demand, room)
    weights = [(row, *np.unique(several, return_counts=True)) for row, several in enumerate(bytes_of.values())]
    row_of = np.concatenate([np.full(len(bytes_), row) for row, bytes_, _ in weights])
    weight = np.concatenate([bytes_ for _, bytes_, _ in weights])
    many = np.concatenate([count for _, _, count in weights])
    home = build.columns(len(weight), cost=-weight / max(1, weight.max()), upper=many)
    at_home = build.rows(np.full(len(bytes_of), -np.inf), np.zeros(len(bytes_of)))
    build.enter(at_home[row_of], home)
    pair_of = np.zeros((len(pool), len(room)), dtype=np.int64)
    pair_of[pairs[:, 0], pairs[:, 1]] = x
    build.enter(at_home, pair_of[tuple(np.array(list(bytes_of)).T)], -1)
    solution = solve(build.program(), nodes=NODES, gap=GAP)
    if solution is None:
        return None
    counts = np.zeros((len(pool), len(room)), dtype=np.int64)
    counts[pairs[:, 0], pairs[:, 1]] = np.rint(solution.values[x]).astype(np.int64)
    holds = (counts.T @ demand <= np.maximum(room, 0)).all() and (counts.sum(axis=1) == supply).all()
    return counts if holds else None
