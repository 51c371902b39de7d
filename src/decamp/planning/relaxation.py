"""Linear programs that every plan satisfies: what they say cannot be done, no plan does; what they propose, a packing can begin with.

Servers are poured, class by class, into what the kept hosts of each kind have free in sum. That forgets that a server is not divided
between hosts, that a group's members are apart, and in which order servers move. Whatever a plan does, its end keeps all that is left: so
a program's optimum bounds every plan's (`outlook` says what of).
"""

# pyright: standard
from __future__ import annotations

import math

import msgspec
import numpy as np

from decamp.planning.estate import Bools, Estate, Ints
from decamp.planning.programs import Builder
from decamp.planning.solver import Floats, solve

ROUNDING = 1e-6
"""Of a bound on a number of hosts: what a solver's tolerances may add to it."""


RELUCTANCE = 1e-4
"""What it costs, in servers of middling size, to move one off a kept host, beside its bytes, of which it may have none: it is a move."""

BUCKETS = 6
"""Hosts of one kind are told apart by which of the two scarcest resources they have more left of, in so many steps."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A fractional optimum."""

    kept: Floats
    """By host, 0 to 1."""
    quota: Floats
    """By class and sort of hosts: how many servers arrive."""
    leaves: Floats
    """By class and sort of hosts: how many servers leave hosts that are kept."""
    bytes: float
    """No plan that keeps no more hosts moves less."""
    prices: Floats
    """By class: what one server more would cost that has to find a place, in `Relaxation.unit` bytes."""


class Relaxation:
    def __init__(self, estate: Estate, freeable: Bools) -> None:
        """`freeable`: the hosts that may be freed, of those that can be."""
        self.estate = estate
        self.freeable = freeable
        self.movers = estate.is_movable & (freeable | estate.takes)[estate.home]
        """Servers that may have to find a new place: those elsewhere stay."""
        self.bytes_leaving: Floats = np.bincount(
            estate.home, weights=estate.bytes * ~estate.is_shelved, minlength=len(estate.hosts)
        ).astype(np.float64)
        """By host: what its servers are to move if it is freed."""
        self.classes = len(estate.demand)
        self.kinds = estate.fits_kind.shape[1]
        may_hold = estate.fits_kind & np.isin(np.arange(self.kinds), estate.kind_of[estate.takes])[None, :]
        here = self.movers & estate.takes[estate.home]
        may_hold[estate.class_of[here], estate.kind_of[estate.home[here]]] = True  # where it is it may stay, fitting or not
        self.pairs = np.argwhere(may_hold)
        self.pairs = self.pairs[np.bincount(estate.class_of[self.movers], minlength=self.classes)[self.pairs[:, 0]] > 0]
        self.grain = self._grain()
        self.spare = _Spare(estate, freeable)
        self.sort_of, self.sorts = self._subdivide()
        self._fewest_kept: dict[bool, int] = {}

    def fewest_kept(self, *, spare: bool = True, seconds: float = math.inf) -> int | None:
        """How many of the freeable hosts every plan keeps, at least.

        Only sums count, and a kept host offers all that it has, so hosts of one kind are alike, and their number is one whole-numbered
        variable. What was found once is not looked for again.
        """
        if spare not in self._fewest_kept and (found := self._find_fewest_kept(spare, seconds)) is not None:
            self._fewest_kept[spare] = found
        return self._fewest_kept.get(spare)

    def _find_fewest_kept(self, spare: bool, seconds: float) -> int | None:
        estate, movers = self.estate, self.movers
        offered = self._offered()
        takes = estate.takes
        free_takes = np.flatnonzero(takes & self.freeable)
        shut = np.flatnonzero(self.freeable & ~takes & np.isin(np.arange(len(estate.hosts)), estate.home[movers]))
        keys = np.concatenate([estate.kind_of[free_takes, None], offered[free_takes]], axis=1)
        sorts, count = np.unique(keys, axis=0, return_counts=True) if len(keys) else (keys, np.zeros(0, dtype=np.int64))
        build = Builder()
        y = build.columns(len(sorts), cost=1, upper=count, whole=True)
        z = build.columns(len(shut), cost=1, upper=1, whole=True)
        w = build.columns(len(self.pairs))
        total = np.bincount(estate.class_of[movers], minlength=self.classes)
        rows = build.rows(total, total)
        build.enter(rows[self.pairs[:, 0]], w)
        here = movers & np.isin(estate.home, shut)
        build.enter(rows[estate.class_of[here]], z[np.searchsorted(shut, estate.home[here])])
        constant = np.zeros((self.kinds, len(estate.resources)))
        always = takes & ~self.freeable
        np.add.at(constant, estate.kind_of[always], offered[always])
        capacity = self._capacity_rows(build, constant)
        self._enter_demand(build, capacity, w)
        for resource in range(len(estate.resources)):
            build.enter(capacity[sorts[:, 0], resource], y, -sorts[:, 1 + resource])
        if spare:
            self.spare.enter_sorts(build, y, free_takes, keys, sorts)
        solution = solve(build.program(), seconds=seconds)
        return None if solution is None else math.ceil(solution.bound - ROUNDING)

    def fewest_kept_by_sums(self) -> int:
        """The same without a solver, and weaker: each resource by itself, the roomiest hosts first."""
        offered = self._offered()
        demand = self.estate.demand[self.estate.class_of[self.movers]].sum(axis=0)
        always = offered[self.estate.takes & ~self.freeable].sum(axis=0)
        needed = 0
        for rest, rooms in zip((demand - always).tolist(), np.sort(offered[self.freeable], axis=0)[::-1].T, strict=True):
            if rest > 0:
                needed = max(needed, int(np.searchsorted(rooms.cumsum(), rest)) + 1)
        return min(needed, int(self.freeable.sum()))

    def propose(self, most_kept: int, *, residents: bool = True, seconds: float = math.inf) -> Proposal | None:
        """The cheapest way, in bytes, to keep no more of the freeable hosts than that. Null where there is none."""
        estate, movers = self.estate, self.movers
        hosts = np.flatnonzero(self.freeable)
        sort_of = self.sort_of
        kind_of_sort = np.zeros(self.sorts, dtype=np.int64)
        kind_of_sort[sort_of] = estate.kind_of
        present = np.zeros(self.sorts, dtype=bool)
        present[sort_of[estate.takes]] = True
        fits = np.zeros((self.classes, self.kinds), dtype=bool)
        fits[self.pairs[:, 0], self.pairs[:, 1]] = True
        pairs = np.argwhere(fits[:, kind_of_sort] & present[None, :])
        column = np.full(len(estate.hosts), -1)
        column[hosts] = np.arange(len(hosts))
        leaving = self.bytes_leaving[hosts] / self.unit
        build = Builder()
        z = build.columns(len(hosts), cost=-leaving, upper=1)
        x = build.columns(len(pairs))
        leaves, on_hosts, cost = self._that_may_leave()
        u = build.columns(len(leaves), cost=cost / self.unit + RELUCTANCE, upper=on_hosts * residents)
        of_freeable = movers & self.freeable[estate.home]
        total = np.bincount(estate.class_of[of_freeable], minlength=self.classes)
        rows = build.rows(total, total)
        build.enter(rows[pairs[:, 0]], x)
        build.enter(rows[leaves[:, 0]], u, -1)
        build.enter(rows[estate.class_of[of_freeable]], z[column[estate.home[of_freeable]]])
        residual = np.maximum(self._floored(estate.room - estate.held()), 0)
        if not residents:
            residual = self._usable(residual)
        constant = np.zeros((self.sorts, len(estate.resources)))
        always = estate.takes & ~self.freeable
        np.add.at(constant, sort_of[always], residual[always])
        capacity = self._capacity_rows(build, constant)
        takes = estate.takes[hosts]
        for resource in range(len(estate.resources)):
            build.enter(capacity[pairs[:, 1], resource], x, estate.demand[pairs[:, 0], resource])
            build.enter(capacity[leaves[:, 1], resource], u, -estate.demand[leaves[:, 0], resource])
            build.enter(capacity[sort_of[hosts[takes]], resource], z[takes], -residual[hosts[takes], resource])
        build.enter(build.rows(np.array([-np.inf]), np.array([most_kept]))[np.zeros(len(hosts), dtype=int)], z)
        self.spare.enter_hosts(build, z, hosts)
        solution = solve(build.program(), seconds=seconds)
        if solution is None:
            return None
        kept = np.ones(len(estate.hosts))
        kept[hosts] = solution.values[z]
        quota = np.zeros((self.classes, self.sorts))
        quota[pairs[:, 0], pairs[:, 1]] = solution.values[x]
        reluctance = RELUCTANCE * (on_hosts.sum() if residents else 0)
        leaving_kept = np.zeros((self.classes, self.sorts))
        np.add.at(leaving_kept, (leaves[:, 0], leaves[:, 1]), solution.values[u])
        return Proposal(
            kept=kept,
            quota=quota,
            leaves=leaving_kept,
            bytes=(solution.bound + leaving.sum() - reluctance) * self.unit,
            prices=solution.prices[rows],
        )

    @property
    def unit(self) -> float:
        """Bytes, so that the program's numbers are neither huge nor tiny."""
        return max(1.0, float(self.estate.bytes.sum()) / max(1, len(self.estate.bytes)))

    def _subdivide(self) -> tuple[Ints, int]:
        """By what is left on hosts."""
        estate = self.estate
        left = np.maximum(estate.room - estate.held(), 0).astype(float)
        load = estate.demand[estate.class_of[self.movers]].sum(axis=0) / np.maximum(estate.room[estate.takes].sum(axis=0), 1)
        first, second = np.argsort(-load, kind="stable")[:2] if len(load) > 1 else (0, 0)
        share = left / np.maximum(estate.room, 1)
        angle = np.arctan2(share[:, second], share[:, first]) if len(load) else np.zeros(len(left))
        bucket = np.minimum((angle / (np.pi / 2) * BUCKETS).astype(int), BUCKETS - 1)
        both = estate.kind_of * BUCKETS + bucket
        _, sort = np.unique(both, return_inverse=True)
        return sort.ravel(), int(sort.max(initial=-1)) + 1

    def _usable(self, residual: Ints) -> Ints:
        """What of it can be filled: no more of one resource than the others allow by the class that asks for most of it beside them."""
        demand = self.estate.demand[np.unique(self.pairs[:, 0])].astype(float)
        usable = residual.astype(float)
        for one in range(demand.shape[1]):
            asking = demand[demand[:, one] > 0]
            for other in range(demand.shape[1]):
                if other != one and len(asking) and (asking[:, other] > 0).all():
                    usable[:, one] = np.minimum(usable[:, one], residual[:, other] * (asking[:, one] / asking[:, other]).max())
        return usable.astype(np.int64)

    def _that_may_leave(self) -> tuple[Ints, Ints, Floats]:
        """Servers on hosts that may be kept, by class, sort of hosts, and how much is to move, in powers of two; how many they are; and
        what each moves at least.
        """
        estate = self.estate
        staying = np.flatnonzero(self.movers & estate.takes[estate.home])
        weight = np.log2(estate.bytes[staying] + 1.0).astype(np.int64)
        keys = np.stack([estate.class_of[staying], self.sort_of[estate.home[staying]], weight], axis=1).reshape(-1, 3)
        found, of, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        least = np.full(len(found), np.inf)
        np.minimum.at(least, of.ravel(), estate.bytes[staying].astype(float))
        return found, count, least

    def _offered(self) -> Ints:
        """By host: what movers can hold of it, at most. A host that holds more than it has can go on holding that."""
        estate = self.estate
        fixed = np.zeros_like(estate.room)
        own = np.zeros_like(estate.room)
        stay = ~estate.is_movable & ~(self.freeable[estate.home] & estate.is_shelved)
        np.add.at(fixed, estate.home[stay], estate.demand[estate.class_of[stay]])
        np.add.at(own, estate.home[self.movers], estate.demand[estate.class_of[self.movers]])
        return np.maximum(self._floored(np.maximum(estate.room - fixed, 0)), own)

    def _grain(self) -> Ints:
        """By kind and resource: the greatest common divisor of what movers that may go there ask for. What is free beyond its
        multiples is lost.
        """
        estate = self.estate
        grain = np.zeros((self.kinds, len(estate.resources)), dtype=np.int64)
        present = np.zeros((self.classes, self.kinds), dtype=bool)
        present[self.pairs[:, 0], self.pairs[:, 1]] = True
        here = self.movers & estate.takes[estate.home]
        present[estate.class_of[here], estate.kind_of[estate.home[here]]] = True
        for kind in range(self.kinds):
            grain[kind] = np.gcd.reduce(estate.demand[present[:, kind]], axis=0) if present[:, kind].any() else 0
        return np.maximum(grain, 1)

    def _floored(self, amounts: Ints) -> Ints:
        grain = self.grain[self.estate.kind_of]
        return amounts // grain * grain

    def _capacity_rows(self, build: Builder, constant: Floats) -> Ints:
        """One for each kind and resource: demand less what is offered by variables is no more than the constant."""
        rows = build.rows(np.full(constant.size, -np.inf), constant.ravel(), scale=np.tile(self._scale(), len(constant)))
        return rows.reshape(constant.shape)

    def _enter_demand(self, build: Builder, capacity: Ints, columns: Ints) -> None:
        for resource in range(len(self.estate.resources)):
            build.enter(capacity[self.pairs[:, 1], resource], columns, self.estate.demand[self.pairs[:, 0], resource])

    def _scale(self) -> Floats:
        return np.maximum(self.estate.demand.max(axis=0, initial=1), 1).astype(float)


class _Spare:
    """What policy keeps free, in sums: a bound of the rule in `constraints.spare`, exact for hosts that are alike."""

    def __init__(self, estate: Estate, freeable: Bools) -> None:
        self.estate, self.policy, self.freeable = estate, estate.policy, freeable

    def enter_sorts(self, build: Builder, y: Ints, hosts: Ints, keys: Ints, sorts: Ints) -> None:
        """Hosts of one sort may differ in what others than movers hold: the roomiest counts."""
        if not self.is_wanted or not len(sorts):
            return
        room = np.zeros((len(sorts), len(self.estate.resources)))
        _, sort_of = np.unique(keys, axis=0, return_inverse=True)
        np.maximum.at(room, sort_of.ravel(), self.estate.room[hosts])
        self._enter(build, y, room, hosts)

    def enter_hosts(self, build: Builder, z: Ints, hosts: Ints) -> None:
        if self.is_wanted:
            takes = self.estate.takes[hosts]
            self._enter(build, z[takes], self.estate.room[hosts[takes]], hosts[takes])

    @property
    def is_wanted(self) -> bool:
        return self.policy.spare_hosts > 0 or self.policy.spare_fraction > 0

    def _enter(self, build: Builder, columns: Ints, room: Floats | Ints, hosts: Ints) -> None:
        estate = self.estate
        counted = estate.receives
        others = counted.copy()
        others[hosts] = False
        held = estate.held()
        demand = held[counted].sum(axis=0) - self._may_vanish()
        for resource in range(len(estate.resources)):
            rooms = np.sort(estate.room[counted, resource])
            lost = rooms[: self.policy.spare_hosts].sum()
            largest = rooms[::-1][: self.policy.spare_hosts].sum()
            usable = 1 - self.policy.spare_fraction
            before = max(0.0, float(held[counted, resource].sum() - min(rooms.sum() - largest, rooms.sum() * usable)))
            wanted = max(float(demand[resource]) + lost, float(demand[resource]) / usable) - before - 1
            scale = float(self._scale(resource))
            row = build.rows(np.array([wanted - float(estate.room[others, resource].sum())]), np.array([np.inf]), scale=np.array([scale]))
            build.enter(np.repeat(row, len(columns)), columns, room[:, resource])

    def _may_vanish(self) -> Ints:
        """What leaves the hosts that take servers: shelved, or on the way back to nowhere."""
        shelved = self.estate.is_shelved & self.estate.receives[self.estate.home]
        return self.estate.demand[self.estate.class_of[shelved]].sum(axis=0)

    def _scale(self, resource: int) -> int:
        return max(1, int(self.estate.demand[:, resource].max(initial=1)))
