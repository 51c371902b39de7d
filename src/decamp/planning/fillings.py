"""What hosts may look like in the end, and what that is worth: a filling says which of a host's servers leave it, and which others come.

At given prices (what it is worth that a server of a class has a place) the best filling of every host is found at once: a table says, for
each kind of hosts, what guests are worth that fit into so much of the two scarcest resources, and each host looks up there what it has
free, with and without some of its own servers.
"""

# pyright: standard
from __future__ import annotations

import msgspec
import numpy as np

from decamp.planning.estate import Bools, Ints
from decamp.planning.packing import Packing
from decamp.planning.relaxation import Relaxation
from decamp.planning.solver import Floats

CELLS = 128
"""Of a table, in each direction, at most: where amounts are finer, their units are larger, and are rounded down."""
LEAVING, LEAVING_SHARE = 3, 0.25
"""Of the servers on a host that is kept, so many leave it at most, which hold at most this share of a middling host."""
RESERVES = (1e-6, 0.1, 0.4)
"""What it costs to fill a host with the other resources, as shares of what a full host is worth: so that some fillings spare these."""
NOBODY = -1
LEAST = 1e-9
"""Of a difference in worth."""


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What it is worth that a server has a place, in `Relaxation.unit` bytes."""

    of_class: Floats
    of_type: Floats
    """By type and kind of hosts: what a guest there is worth."""


class Departures(msgspec.Struct, frozen=True, kw_only=True):
    """Ways in which servers of a host may leave it, though it is kept: of each host one after the other, first the one of nobody."""

    host: Ints
    freed: Ints
    """By departure and resource: what they held."""
    bytes: Floats
    of: Ints
    """Entries: which departure, of what class, how many, of how many bytes each."""
    number: Ints
    many: Ints
    weight: Ints


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A filling of each host, side by side."""

    host: Ints
    departure: Ints
    guests: Ints
    """By filling and type."""


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    """By kind of hosts, and units of the first and of the second resource that there is room for."""

    worth: Floats
    last: Ints
    """The type of one of the guests, or NOBODY."""


class Fillings:
    """Of all hosts that take servers."""

    def __init__(self, packing: Packing, relaxation: Relaxation) -> None:
        estate = packing.estate
        self.estate, self.relaxation, self.movers = estate, relaxation, relaxation.movers
        self.hosts = np.flatnonzero(estate.takes)
        moving = np.unique(estate.class_of[self.movers])
        self.types, type_of = np.unique(estate.demand[moving], axis=0, return_inverse=True)
        """Demands that differ."""
        self.type_of = np.full(len(estate.demand), NOBODY)
        self.type_of[moving] = type_of.ravel()
        self.suits: Bools = np.zeros((len(self.types), estate.fits_kind.shape[1]), dtype=bool)
        """By type and kind: whether any class of the type may go there."""
        np.logical_or.at(self.suits, self.type_of[moving], estate.fits_kind[moving])
        self.on: Ints = np.zeros((len(estate.hosts), len(estate.demand)), dtype=np.int64)
        """By host and class: movers."""
        np.add.at(self.on, (estate.home[self.movers], estate.class_of[self.movers]), 1)
        self._rest = estate.room - estate.held()
        self._scarce = np.resize(np.argsort(-packing.scarcity, kind="stable"), 2)
        self._unit = self._units(moving)
        self._steps: Ints = self.types[:, self._scarce] // self._unit
        self._sizes, size_of = np.unique(self._steps, axis=0, return_inverse=True)
        self._size_of = size_of.ravel()
        self._others = np.setdiff1d(np.arange(len(estate.resources)), self._scarce)
        self.departures = self._departures(packing)
        self._first = np.searchsorted(self.departures.host, self.hosts)
        self._room: Ints = np.maximum(self._rest[self.departures.host] + self.departures.freed, -1)
        self._cell: Ints = np.maximum(self._room[:, self._scarce] // self._unit, -1)

    def best(self, prices: Prices) -> list[Found]:
        """The best of each host, and others nearly as good that use less of the resources that a table does not know."""
        cost = self._cost(prices)
        full = self._tables(prices.of_type, self._cell.max(axis=0, initial=0)).worth
        whole = full[:, -1, -1]
        load = self._load()
        found: list[Found] = []
        for reserve in RESERVES:
            table = self._tables(prices.of_type - reserve * whole[None, :] * load, self._cell.max(axis=0, initial=0))
            found.append(self._filled(table, self._best_departures(self._worth(table) - cost)))
            if not len(self._others):
                break
        return found

    def nothing(self) -> Found:
        """Nobody leaves, and nobody comes."""
        guests = np.zeros((len(self.hosts), len(self.types)), dtype=np.int64)
        return Found(host=self.hosts, departure=self._first.copy(), guests=guests)

    def of(self, packing: Packing) -> Found:
        """As hosts are filled in a packing in which nobody leaves a host that is kept."""
        found = self.nothing()
        for place, host in enumerate(self.hosts.tolist()):
            for server in packing.on[host]:
                if self.estate.home[server] != host:
                    found.guests[place, self.type_of[self.estate.class_of[server]]] += 1
        return found

    def consistent(self, of_class: Floats) -> Prices:
        """Where a place for a guest of a type is worth as much as any class of it that the kind suits."""
        of_type = np.zeros(self.suits.shape)
        known = np.flatnonzero(self.type_of != NOBODY)
        np.maximum.at(of_type, self.type_of[known], np.maximum(of_class[known, None], 0) * self.estate.fits_kind[known])
        return Prices(of_class=of_class, of_type=of_type)

    def _units(self, moving: Ints) -> Ints:
        demand, room = self.estate.demand[moving][:, self._scarce], self.estate.room[self.hosts][:, self._scarce]
        common = np.gcd.reduce(demand, axis=0) if len(demand) else np.ones(len(self._scarce), dtype=np.int64)
        return np.maximum.reduce([common, -(-room.max(axis=0, initial=1) // CELLS), np.ones_like(common)])

    def _departures(self, packing: Packing) -> Departures:
        estate, scarce = self.estate, self._scarce
        most = np.maximum(estate.room[self.hosts][:, scarce], 0).mean(axis=0) * LEAVING_SHARE
        host, freed, weights, entries, count = [self.hosts[:0]], [self._rest[:0]], [np.zeros(0)], [np.zeros((0, 4), dtype=np.int64)], 0
        for one in self.hosts.tolist():
            free_to_go = [server for server in estate.on[one] if self.movers[server] and packing.is_free_to_go(server)]
            sorts = np.stack([estate.class_of[free_to_go], estate.bytes[free_to_go]], axis=1).reshape(-1, 2)
            sorts, there = np.unique(sorts, axis=0, return_counts=True)
            demand = estate.demand[sorts[:, 0]]
            ways = _ways(there, demand[:, scarce], most)
            at, sort = np.nonzero(ways)
            entries.append(np.stack([at + count, sorts[sort, 0], ways[at, sort], sorts[sort, 1]], axis=1))
            host.append(np.full(len(ways), one))
            freed.append(ways @ demand)
            weights.append((ways @ sorts[:, 1]).astype(np.float64))
            count += len(ways)
        of, number, many, weight = np.concatenate(entries).T
        return Departures(
            host=np.concatenate(host),
            freed=np.concatenate(freed),
            bytes=np.concatenate(weights),
            of=of,
            number=number,
            many=many,
            weight=weight,
        )

    def _load(self) -> Floats:
        """By type and kind: what a server takes of the resources that a table does not know, as a share of what hosts have in the mean."""
        kinds = self.suits.shape[1]
        room = np.zeros((kinds, len(self.estate.resources)))
        np.add.at(room, self.estate.kind_of[self.hosts], np.maximum(self._rest[self.hosts], 0))
        mean = room / np.maximum(np.bincount(self.estate.kind_of[self.hosts], minlength=kinds), 1)[:, None]
        shares = self.types[:, None, self._others] / np.maximum(mean[None, :, self._others], 1)
        return np.minimum(shares, 1).sum(axis=2)

    def _cost(self, prices: Prices) -> Floats:
        """By departure."""
        ways = self.departures
        paid = np.bincount(ways.of, weights=ways.many * prices.of_class[ways.number], minlength=len(ways.host))
        return paid + ways.bytes / self.relaxation.unit

    def _tables(self, of_type: Floats, cells: Ints) -> _Table:
        """For all kinds at once: the best guests for so much room, up to `cells` units of the two resources."""
        value, guest = self._best_of_step(of_type)
        kinds, height, width = value.shape[1], int(cells[0]) + 1, int(cells[1]) + 1
        worth, last = np.zeros((kinds, height, width)), np.full((kinds, height, width), NOBODY, dtype=np.int64)
        steps = [(number, *row) for number, row in enumerate(self._sizes.tolist()) if any(row) and (value[number] > 0).any()]
        for row in range(height):
            for number, first, second in steps:
                if first > row or second >= width:
                    continue
                gains, told = value[number][:, None], worth[:, row, second:]
                for _ in range(1 if first else width // second):
                    with_it = worth[:, row - first, : width - second] + gains
                    better = (with_it > told + LEAST) & (gains > 0)
                    if not better.any():
                        break
                    told[better] = with_it[better]
                    last[:, row, second:][better] = np.broadcast_to(guest[number][:, None], better.shape)[better]
        return _Table(worth=worth, last=last)

    def _best_of_step(self, of_type: Floats) -> tuple[Floats, Ints]:
        """By size, as a table sees it, and kind: what the best type of that size is worth, and which it is."""
        value = np.where(self.suits, of_type, 0.0)
        best, guest = np.zeros((len(self._sizes), value.shape[1])), np.zeros((len(self._sizes), value.shape[1]), dtype=np.int64)
        for number, size in enumerate(self._size_of.tolist()):
            better = value[number] > best[size]
            best[size][better], guest[size][better] = value[number][better], number
        return best, guest

    def _worth(self, table: _Table) -> Floats:
        """By departure: what the guests are worth that have room then."""
        kind, cell = self.estate.kind_of[self.departures.host], self._cell
        has_room = (cell >= 0).all(axis=1)
        return np.where(has_room, table.worth[kind, np.maximum(cell[:, 0], 0), np.maximum(cell[:, 1], 0)], 0.0)

    def _best_departures(self, net: Floats) -> Ints:
        """By host, the first of the best."""
        if not len(self.hosts):
            return self._first
        best = np.maximum.reduceat(net, self._first)
        sizes = np.diff(np.append(self._first, len(net)))
        at = np.flatnonzero(net >= np.repeat(best, sizes) - LEAST)
        chosen = np.zeros(len(self.hosts), dtype=np.int64)
        chosen[np.searchsorted(self._first, at[::-1], side="right") - 1] = at[::-1]
        return chosen

    def _filled(self, table: _Table, departure: Ints) -> Found:
        """Read from the table, and without the largest guests for whom another resource has no room."""
        kind, at = self.estate.kind_of[self.hosts], self._cell[departure].copy()
        guests = np.zeros((len(self.hosts), len(self.types)), dtype=np.int64)
        active = np.flatnonzero((at >= 0).all(axis=1))
        while len(active):
            guest = table.last[kind[active], at[active, 0], at[active, 1]]
            active, guest = active[guest != NOBODY], guest[guest != NOBODY]
            guests[active, guest] += 1
            at[active] -= self._steps[guest]
        room = self._rest[self.hosts] + self.departures.freed[departure]
        while True:
            lacks = guests @ self.types - room
            lacks[(guests @ self.types) == 0] = 0
            over = np.flatnonzero((lacks > 0).any(axis=1))
            if not len(over):
                return Found(host=self.hosts, departure=departure, guests=guests)
            helps = (np.maximum(lacks[over], 0) > 0).astype(np.int64) @ self.types.T * (guests[over] > 0)
            guests[over, helps.argmax(axis=1)] -= 1


def _ways(there: Ints, demand: Ints, most: Floats) -> Ints:
    """Of so many servers of some sorts: the small sets of them, by sort, with nobody first."""
    ways = np.zeros((1, len(there)), dtype=np.int64)
    for sort, count in enumerate(there.tolist()):
        more = np.repeat(ways, min(count, LEAVING) + 1, axis=0)
        more[:, sort] = np.tile(np.arange(min(count, LEAVING) + 1), len(ways))
        ways = more[(more.sum(axis=1) <= LEAVING) & ((more @ demand) <= most).all(axis=1)]
    return ways
