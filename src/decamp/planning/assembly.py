"""A filling for every host, so that all that has to leave has a place and few bytes are moved.

A linear program chooses among fillings, its prices say which others are worth having, and so on, until there are none (column generation,
as Gilmore and Gomory cut paper with it). Only some dozens of hosts are divided between several fillings then; these are decided as whole
numbers.
"""

# pyright: standard
from __future__ import annotations

import math

import msgspec
import numpy as np

from decamp.planning.estate import Bools, Ints
from decamp.planning.fillings import Fillings, Found, Prices
from decamp.planning.pace import Pace
from decamp.planning.packing import NOWHERE, Packing, packed_as_proposed
from decamp.planning.programs import Builder
from decamp.planning.relaxation import Relaxation
from decamp.planning.solver import Floats, Solution, solve

SCALES = (0.8, 1.0)
"""Of the relaxation's prices, at which the first fillings are looked for."""
VARIANTS, SPREAD = 3, 0.1
"""For each, with prices of types that differ by so much: different fillings, before the program says which it misses."""
ROUNDS = 10
"""Of new prices and fillings, at most."""
ENOUGH = 1e-3
"""What a round has to save of the bytes, or it is the last."""
MORE, MORE_SHARE = 25, 0.4
"""A host is freed for certain, where the relaxation frees it also if so many more are kept: the program is smaller without it."""
NO_PLACE = 50.0
"""What it costs that a server has no place, where a middling one is worth its bytes."""
WHOLE = 1e-6
OPEN, FREED, STAYS = -1, -2, -3
"""Of a host, in place of the number of its filling: not decided yet; to be freed; not freed, and takes no servers."""
DIVES, DECIDED = 12, 0.2
"""How often some more hosts are decided, and which share of those that are divided."""
FEW, NODES, GAP = 25, 50, 2e-3
"""So many are decided at once as whole numbers, in a tree of so many nodes, or so near to what is possible."""


class Assembled(msgspec.Struct, frozen=True, kw_only=True):
    freed: Bools
    """By host."""
    found: Found
    """Fillings of the hosts that take servers; of those that are freed it is of no use."""
    quota: Ints
    """By class and kind of hosts: guests."""


class _Program(msgspec.Struct, frozen=True, kw_only=True):
    """A solution, and where things stand in it."""

    solution: Solution
    table: Ints
    """The fillings: the place of the host among those that take servers, the departure, and how many guests of each type."""
    filled: Ints
    freed: Ints
    guests: Ints
    missing: Ints
    supply: Ints
    places: Ints

    @property
    def lacks_places(self) -> bool:
        return float(self.solution.values[self.missing].sum()) > WHOLE

    @property
    def prices(self) -> Prices:
        return Prices(of_class=self.solution.prices[self.supply], of_type=self.solution.prices[self.places])


class Assembly:
    """For the hosts that may be freed of one cloud. Fillings that were found for one number of hosts serve for the next."""

    def __init__(self, relaxation: Relaxation, *, seed: int = 0, pace: Pace | None = None) -> None:
        self.relaxation, self.estate, self.pace = relaxation, relaxation.estate, pace or Pace()
        packing = Packing(self.estate)
        self.fillings = Fillings(packing, relaxation)
        self.freeable = np.flatnonzero(relaxation.freeable)
        size = packing.size / max(1e-12, float(packing.size[self.estate.class_of].mean()))
        self.no_place: Floats = NO_PLACE * np.maximum(size, WHOLE)
        self._may_stay: Bools = ~relaxation.freeable
        self._reaches = -1
        """Kept hosts, at most, for which what is left out of the program is freed for certain."""
        self._known: dict[bytes, Ints] = {}
        self._random = np.random.default_rng(seed)

    def assemble(self, freed: int) -> Assembled | None:
        """So many hosts freed, at few bytes. Null where there is no optimiser or no time."""
        is_known = len(self.freeable) - freed <= self._reaches
        program = self._priced(freed) if is_known or self._begin(freed) else None
        return None if program is None else self._assembled(self._decided(program, freed), freed)

    def _begin(self, freed: int) -> bool:
        """Fillings as a packing by rules of thumb has them, and those that are best at about the relaxation's prices."""
        kept = len(self.freeable) - freed
        proposal = self.relaxation.propose(kept, seconds=self.pace.seconds_left())
        if proposal is None:
            return False
        more = min(kept + max(MORE, math.ceil(kept * MORE_SHARE)), len(self.freeable))
        wider = self.relaxation.propose(more, seconds=self.pace.seconds_left())
        self._may_stay |= (proposal.kept > 0) | (wider is None or wider.kept > 0)
        self._reaches = (kept + more) // 2
        self._add(self.fillings.of(packed_as_proposed(self.relaxation, proposal, kept)[0]))
        for scale in SCALES:
            for _ in range(VARIANTS):
                by_type = 1 + SPREAD * self._random.standard_normal(len(self.fillings.types))
                self._collect(self.fillings.consistent(scale * proposal.prices * by_type[self.fillings.type_of]))
        return True

    def _collect(self, prices: Prices) -> int:
        """How many fillings are new."""
        return sum(map(self._add, self.fillings.best(prices)))

    def _add(self, found: Found) -> int:
        before = len(self._known)
        rows = np.column_stack([np.arange(len(found.host)), found.departure, found.guests])
        for row in rows[self._may_stay[found.host]]:
            self._known.setdefault(row.tobytes(), row)
        return len(self._known) - before

    def _priced(self, freed: int) -> _Program | None:
        """The program's optimum, when no more fillings are found that would be worth having."""
        smooth: Prices | None = None
        program = self._solved(freed)
        for _ in range(ROUNDS):
            if program is None or self.pace.is_over():
                break
            smooth = program.prices if smooth is None else _between(smooth, program.prices)
            found = self._collect(program.prices) + self._collect(smooth)
            before, program = program.solution.bound, (self._solved(freed) if found else None) or program
            if before - program.solution.bound < ENOUGH * before:
                if not program.lacks_places or self._may_stay.all():
                    break
                self._may_stay[:] = True
        return program

    def _decided(self, program: _Program, freed: int) -> _Program:
        """Decides what is nearest to it, and looks for fillings that suit the rest at its prices; the last are decided at once."""
        hosts = np.arange(len(self.estate.hosts))
        decided = np.where(np.isin(hosts, self.freeable) | np.isin(hosts, self.fillings.hosts), OPEN, STAYS)
        for _ in range(DIVES):
            divided = self._decide(decided, program)
            if not divided or self.pace.is_over():
                break
            if divided > FEW:
                self._collect(program.prices)
            program = self._solved(freed, decided, whole=divided <= FEW) or program
            if divided <= FEW:
                break
        return program

    def _decide(self, decided: Ints, program: _Program) -> int:
        """All hosts that are not divided, and where those are many, some of the others; how many are left."""
        freed = program.solution.values[program.freed]
        most, choice = np.zeros(len(decided)), np.full(len(decided), FREED)
        hosts, columns, values = self._largest(program)
        most[hosts], choice[hosts] = values, columns
        shut = np.setdiff1d(self.freeable, self.fillings.hosts)
        stays = 1 - freed[np.isin(self.freeable, shut)]
        most[shut], choice[shut] = stays, STAYS
        gone = self.freeable[freed > most[self.freeable]]
        most[gone], choice[gone] = freed[freed > most[self.freeable]], FREED
        waiting = np.flatnonzero(decided == OPEN)
        waiting = waiting[np.argsort(-most[waiting], kind="stable")]
        divided = int((most[waiting] < 1 - WHOLE).sum())
        left = divided - math.ceil(divided * DECIDED) if divided > FEW else divided
        now = waiting[: len(waiting) - left]
        decided[now] = choice[now]
        return left

    def _largest(self, program: _Program) -> tuple[Ints, Ints, Floats]:
        """Of each host that has one, the filling that it is most of: the host, the filling's number, how much of it."""
        filled = program.solution.values[program.filled]
        ranked = np.lexsort((-filled, program.table[:, 0]))
        places, first = np.unique(program.table[ranked, 0], return_index=True)
        return self.fillings.hosts[places], ranked[first], filled[ranked[first]]

    def _assembled(self, program: _Program, freed: int) -> Assembled:
        values, found = program.solution.values, self.fillings.nothing()
        _, columns, _ = self._largest(program)
        chosen = program.table[columns]
        found.departure[chosen[:, 0]], found.guests[chosen[:, 0]] = chosen[:, 1], chosen[:, 2:]
        gone = np.zeros(len(self.estate.hosts), dtype=bool)
        gone[self.freeable[np.argsort(-values[program.freed], kind="stable")[:freed]]] = True
        quota = np.zeros(self.estate.fits_kind.shape, dtype=np.int64)
        quota[tuple(self.relaxation.pairs.T)] = np.rint(values[program.guests]).astype(np.int64)
        return Assembled(freed=gone, found=found, quota=quota)

    def _solved(self, freed: int, decided: Ints | None = None, *, whole: bool = False) -> _Program | None:
        """With some hosts decided already: by host OPEN, FREED, STAYS or the number of its filling; `whole`: none is divided.

        A host that takes servers has one filling or is freed. Of each class, those that leave any host are guests somewhere or are missing;
        guests of a class go to kinds of hosts that suit it, no more of a type than fillings of that kind have places for.
        """
        fillings, relaxation = self.fillings, self.relaxation
        table = np.array(list(self._known.values()), dtype=np.int64).reshape(len(self._known), -1)
        place, departure = table[:, 0], table[:, 1]
        decided = np.full(len(self.estate.hosts), OPEN) if decided is None else decided
        of_place, of_freeable = decided[fillings.hosts[place]], decided[self.freeable]
        chosen, gone = of_place == np.arange(len(table)), of_freeable == FREED
        cost = fillings.departures.bytes[departure] / relaxation.unit
        leaving = relaxation.bytes_leaving[self.freeable] / relaxation.unit
        build = Builder()
        x = build.columns(len(table), cost=cost, lower=chosen, upper=chosen | (of_place == OPEN), whole=whole)
        z = build.columns(len(self.freeable), cost=leaving, lower=gone, upper=gone | (of_freeable == OPEN), whole=whole)
        y = build.columns(len(relaxation.pairs), upper=np.where(self.estate.fits_kind[tuple(relaxation.pairs.T)], np.inf, 0))
        missing = build.columns(relaxation.classes, cost=self.no_place)
        one = build.rows(np.ones(len(fillings.hosts)), np.ones(len(fillings.hosts)))
        build.enter(one[place], x)
        takes = np.flatnonzero(self.estate.takes[self.freeable])
        build.enter(one[np.searchsorted(fillings.hosts, self.freeable[takes])], z[takes])
        number = build.rows(np.array([freed]), np.array([freed]))
        build.enter(np.repeat(number, len(z)), z)
        supply = self._supply(build, x, z, departure)
        build.enter(supply[relaxation.pairs[:, 0]], y)
        build.enter(supply, missing)
        places = self._places(build, x, table)
        build.enter(places[fillings.type_of[relaxation.pairs[:, 0]], relaxation.pairs[:, 1]], y, -1)
        if relaxation.spare.is_wanted:
            kept = build.columns(len(z), upper=1)
            either = build.rows(np.ones(len(z)), np.ones(len(z)))
            build.enter(either, z)
            build.enter(either, kept)
            relaxation.spare.enter_hosts(build, kept, self.freeable)
        solution = solve(build.program(), nodes=NODES, gap=GAP, seconds=self.pace.seconds_left())
        if solution is None:
            return None
        return _Program(solution=solution, table=table, filled=x, freed=z, guests=y, missing=missing, supply=supply, places=places)

    def _supply(self, build: Builder, x: Ints, z: Ints, departure: Ints) -> Ints:
        """A row for each class: what is placed or missing, less what leaves."""
        supply = build.rows(np.zeros(self.relaxation.classes), np.zeros(self.relaxation.classes))
        on = self.fillings.on[self.freeable]
        hosts, classes = np.nonzero(on)
        build.enter(supply[classes], z[hosts], -on[hosts, classes])
        ways = self.fillings.departures
        first, last = np.searchsorted(ways.of, departure), np.searchsorted(ways.of, departure, side="right")
        counts = last - first
        entry = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
        build.enter(supply[ways.number[entry]], np.repeat(x, counts), -ways.many[entry])
        return supply

    def _places(self, build: Builder, x: Ints, table: Ints) -> Ints:
        """A row for each type and kind: what fillings have places for, less what is placed."""
        shape = self.fillings.suits.shape
        places = build.rows(np.zeros(shape[0] * shape[1]), np.full(shape[0] * shape[1], np.inf)).reshape(shape)
        column, types = np.nonzero(table[:, 2:])
        kinds = self.estate.kind_of[self.fillings.hosts[table[column, 0]]]
        build.enter(places[types, kinds], x[column], table[column, types + 2])
        return places


def carry_out(packing: Packing, fillings: Fillings, assembled: Assembled) -> list[int]:
    """Puts servers where the fillings have places for them; returns those for which there is none."""
    estate, found = packing.estate, assembled.found
    homeless = [server for host in np.flatnonzero(assembled.freed).tolist() for server in packing.release(host)]
    kept = np.flatnonzero(~assembled.freed[found.host])
    for at in kept.tolist():
        homeless += _leave(packing, fillings, int(found.host[at]), int(found.departure[at]))
    places: dict[tuple[int, int], dict[int, int]] = {}
    """By type and kind: hosts, and how many guests each takes."""
    for at, number in np.argwhere(found.guests * ~assembled.freed[found.host, None]).tolist():
        host = int(found.host[at])
        places.setdefault((number, int(estate.kind_of[host])), {})[host] = int(found.guests[at, number])
    quota = assembled.quota.copy()
    left: list[int] = []
    # whom a group binds goes first, and those whom few kinds of hosts suit
    suiting = estate.fits_kind.sum(axis=1)
    order = sorted(homeless, key=lambda one: (packing.is_free_to_go(one), int(suiting[estate.class_of[one]]), packing.rank(one)))
    for within in (True, False):
        for server in order:
            number = int(estate.class_of[server])
            kinds = np.flatnonzero(quota[number] > 0) if within else np.flatnonzero(estate.fits_kind[number])
            for kind in kinds.tolist():
                hosts = places.get((int(fillings.type_of[number]), kind), {})
                if (host := _allowed(packing, server, hosts)) is not None:
                    packing.put(server, host)
                    quota[number, kind] -= 1
                    hosts[host] -= 1
                    if not hosts[host]:
                        del hosts[host]
                    break
            else:
                left.append(server)
        order, left = left, []
    return sorted(order, key=packing.rank)


def _leave(packing: Packing, fillings: Fillings, host: int, departure: int) -> list[int]:
    ways, estate, left = fillings.departures, packing.estate, list[int]()
    there = [one for one in sorted(packing.on[host]) if fillings.movers[one] and packing.is_free_to_go(one)]
    for entry in range(*np.searchsorted(ways.of, [departure, departure + 1]).tolist()):
        alike = [one for one in there if (estate.class_of[one], estate.bytes[one]) == (ways.number[entry], ways.weight[entry])]
        left += alike[: int(ways.many[entry])]
    for server in left:
        packing.put(server, NOWHERE)
    return left


def _allowed(packing: Packing, server: int, hosts: dict[int, int]) -> int | None:
    """The first of them that may take it."""
    if packing.is_free_to_go(server):
        return next(iter(hosts), None)
    return next(iter(packing.allowed(server, np.array(list(hosts), dtype=np.int64)).tolist()), None)


def _between(one: Prices, other: Prices) -> Prices:
    return Prices(of_class=(one.of_class + other.of_class) / 2, of_type=(one.of_type + other.of_type) / 2)
