"""The cloud as arrays: hosts by their kind, servers by their class, so that ten thousand hosts are a few numbers.

Servers of one class ask for the same: amounts, zone, traits. Hosts of one kind offer the same: zone, the traits that anybody asks for,
room. Hosts and servers are numbered by their names and ids in order, so that the order in which a survey lists them changes nothing.
"""

# pyright: standard
from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from decamp.model.amounts import total
from decamp.model.plan import Reason, VacateGoal
from decamp.model.policy import Policy
from decamp.model.survey import Host, Server, Survey
from decamp.planning.constraints import capacity, receives, traits, zone
from decamp.planning.obstacles import Obstacles, empties_itself
from decamp.planning.steps import bytes_to_move, nic_bytes_per_second

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_KINDS = 64
"""Above that many, hosts are told apart by zone and traits alone: a kind then stands for the roomiest of them, and bounds become weaker."""


class Estate:
    """Made once for each plan, and not changed."""

    def __init__(self, survey: Survey, policy: Policy, goal: VacateGoal) -> None:
        self.policy, self.goal, self.obstacles = policy, goal, Obstacles(survey, policy, goal)
        self.hosts: list[Host] = sorted(survey.hosts, key=lambda host: host.name)
        self.number: dict[str, int] = {host.name: number for number, host in enumerate(self.hosts)}
        self.servers: list[Server] = sorted((one for one in survey.servers if one.host in self.number), key=lambda one: one.id)
        self.home: Ints = np.array([self.number[one.host or ""] for one in self.servers], dtype=np.int64)
        self.resources: list[str] = sorted(total(one.allocations for one in self.servers))
        self.on: list[list[int]] = [[] for _ in self.hosts]
        for server, host in enumerate(self.home.tolist()):
            self.on[host].append(server)
        self._classify()
        self._look_for_obstacles(survey)
        self._find_groups()
        column = {name: number for number, name in enumerate(self.resources)}
        avoided = {server: numbers for server, names in goal.avoid.items() if (numbers := {self.number.get(name, -1) for name in names})}
        self.avoid = {number: avoided[one.id] for number, one in enumerate(self.servers) if one.id in avoided}
        self.scarcest = column.get(self._scarcest(), 0)

    def _classify(self) -> None:
        self.room: Ints = _table([capacity.capacity(host) for host in self.hosts], self.resources)
        asked = frozenset(name for one in self.servers for name in one.traits)
        offers = [
            (host.zone, frozenset(host.traits) & asked, tuple(room)) for host, room in zip(self.hosts, self.room.tolist(), strict=True)
        ]
        if len(set(offers)) > MOST_KINDS:
            offers = [(where, offered, ()) for where, offered, _ in offers]
        kinds = {offer: number for number, offer in enumerate(dict.fromkeys(offers))}
        self.kind_of: Ints = np.array([kinds[offer] for offer in offers], dtype=np.int64)
        examples = [self.hosts[offers.index(kind)] for kind in kinds]
        wishes = [(tuple(sorted(one.allocations.items())), one.zone, tuple(sorted(set(one.traits)))) for one in self.servers]
        classes = {wish: number for number, wish in enumerate(sorted(set(wishes), key=str))}
        self.class_of: Ints = np.array([classes[wish] for wish in wishes], dtype=np.int64)
        first: dict[int, Server] = {}
        for server, number in zip(self.servers, self.class_of.tolist(), strict=True):
            first.setdefault(number, server)
        asking = [first[number] for number in range(len(classes))]
        self.demand: Ints = _table([server.allocations for server in asking], self.resources)
        largest = np.zeros((len(kinds), len(self.resources)), dtype=np.int64)
        np.maximum.at(largest, self.kind_of, self.room)
        fits = np.array(
            [[zone.allows(server, host) and not traits.missing(server, host) for host in examples] for server in asking], dtype=bool
        ).reshape(len(asking), len(examples))
        self.fits_kind: Bools = fits & (self.demand[:, None, :] <= np.maximum(largest, 0)[None, :, :]).all(axis=2)
        self.suits_kind: Bools = fits
        """By zone and traits alone."""

    def _look_for_obstacles(self, survey: Survey) -> None:
        self.bytes: Ints = np.array([bytes_to_move(one) for one in self.servers], dtype=np.int64)
        self.bytes_per_second = np.array([nic_bytes_per_second(host) for host in self.hosts])
        found = ((number, self.obstacles.of(one)) for number, one in enumerate(self.servers))
        self.stays: dict[int, tuple[Reason, str]] = {number: why for number, why in found if why is not None}
        self.is_shelved: Bools = np.array([self.obstacles.is_shelved(one) for one in self.servers], dtype=bool)
        self.is_shelved[list(self.stays)] = False
        self.is_movable: Bools = ~self.is_shelved
        self.is_movable[list(self.stays)] = False
        self.emptied_by = {
            number: last
            for number, on in enumerate(self.on)
            if (last := empties_itself([self.servers[one] for one in on], survey.taken_at, self.policy.leaves_within_days))
        }
        never = {self.number[name] for name in self.policy.never_touch_hosts if name in self.number}
        self.is_untouched: Bools = _mask(len(self.hosts), never)
        self.is_freeable: Bools = np.array([self._is_freeable(number, host) for number, host in enumerate(self.hosts)], dtype=bool)
        self.is_freeable &= ~self.is_untouched
        self.receives: Bools = np.array([receives.allows(host) for host in self.hosts], dtype=bool)
        """In Nova's eyes."""
        self.takes: Bools = self.receives & ~self.is_untouched & ~_mask(len(self.hosts), self.emptied_by)
        """Whether this plan may send servers there; what the goal shuns, and what it wants free whatever it takes, is no place for them."""
        self.takes[[self.number[name] for name in self.goal.closed if name in self.number]] = False

    def _is_freeable(self, number: int, host: Host) -> bool:
        on = self.on[number]
        known = host.provider is not None and bool(host.inventories) and not host.other_allocations
        return known and (host.state == "up" or not on) and number not in self.emptied_by and not any(one in self.stays for one in on)

    def _find_groups(self) -> None:
        groups, members = self.obstacles.groups, self.obstacles.members
        number = {one.id: at for at, one in enumerate(self.servers)}
        self.group_of = {at: group for at, one in enumerate(self.servers) if (group := groups.get(one.group or "")) is not None}
        self.members: dict[str, list[int]] = {}
        for group, several in members.items():
            self.members[group] = [number[one] for one in several if one in number]

    def _scarcest(self) -> str:
        """The resource class of which the largest share is in use, over the hosts that take servers."""
        demand = total(server.allocations for server in self.servers)
        room = total(capacity.capacity(host) for host in self.hosts if host.receives)
        shares = {name: amount / room[name] if room.get(name, 0) > 0 else float(amount > 0) * np.inf for name, amount in demand.items()}
        return max(sorted(shares), key=lambda name: shares[name], default="")

    def held(self) -> Ints:
        """By host, as surveyed."""
        held = np.zeros_like(self.room)
        np.add.at(held, self.home, self.demand[self.class_of])
        return held


def _table(amounts: Collection[dict[str, int]], columns: list[str]) -> Ints:
    rows = [[one.get(name, 0) for name in columns] for one in amounts]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(columns))


def _mask(length: int, numbers: Collection[int]) -> Bools:
    mask = np.zeros(length, dtype=bool)
    mask[list(numbers)] = True
    return mask
