"""What a careful operator does with a runbook: cordon the least loaded hosts, as many as the sums allow, and let Nova place their servers.

`nova host-evacuate-live` and its like, host by host, the least loaded first. Nova passes by hosts that are cordoned, full, in another
zone, without the traits, or refused by the server's group, and of the others takes the one with the most free (its default weighers). What
finds no valid host stays, and so does its host, which is enabled again at the end.
"""

from __future__ import annotations

import numpy as np

from decamp.model.amounts import add, shortage, subtract, total
from decamp.model.survey import Host, Server, Survey
from decamp.planning.constraints import capacity, groups, pinned, traits, zone

HEADROOM = 0.1
"""Of what the hosts that stay can hold, which such a runbook leaves free."""

Moves = list[tuple[str, str, str]]
"""Server, from, to."""


def run(old: Survey) -> Moves:
    return _Cloud(old).empty()


class _Cloud:
    def __init__(self, old: Survey) -> None:
        self.hosts = {host.name: host for host in old.hosts}
        self.groups = {group.id: group for group in old.groups}
        self.on: dict[str, list[Server]] = {name: [] for name in self.hosts}
        for server in old.servers:
            self.on[server.host or ""].append(server)
        self.room = {name: capacity.capacity(host) for name, host in self.hosts.items()}
        self.free = {name: subtract(self.room[name], total(one.allocations for one in on)) for name, on in self.on.items()}
        self.largest = {
            name: max((room.get(name, 0) for room in self.room.values()), default=1) for name in ("MEMORY_MB", "VCPU", "DISK_GB")
        }

    def empty(self) -> Moves:
        moves: Moves = []
        cordoned = self._least_loaded()
        left = set(self.hosts) - set(cordoned)
        self.stay = [self.hosts[name] for name in sorted(left, reverse=True)]
        self.place = {host.name: number for number, host in enumerate(self.stay)}
        self.weights = np.array([self._weight(host.name) for host in self.stay])
        for name in cordoned:
            for server in list(self.on[name]):
                target = self._scheduled(server)
                if target is not None:
                    self._move(server, name, target)
                    moves.append((server.id, name, target))
        return moves

    def _least_loaded(self) -> list[str]:
        """Such that the others can hold everything in sum, with headroom; hosts with servers that cannot be migrated are not among them."""
        demand, rest = total(one.allocations for on in self.on.values() for one in on), total(self.room.values())
        chosen: list[str] = []
        for name in sorted(self.hosts, key=lambda one: (self._load(one), one)):
            if any(one.pinned is not None or pinned.verb_for(one) is None or self._keeps_together(one) for one in self.on[name]):
                continue
            rest = subtract(rest, self.room[name])
            if shortage(demand, {key: int(amount * (1 - HEADROOM)) for key, amount in rest.items()}):
                break
            chosen.append(name)
        return chosen

    def _load(self, name: str) -> float:
        return max((1 - self.free[name][key] / amount for key, amount in self.room[name].items() if amount), default=0.0)

    def _keeps_together(self, server: Server) -> bool:
        return server.group is not None and self.groups[server.group].policy == groups.AFFINITY

    def _scheduled(self, server: Server) -> str | None:
        """Of those that pass the one with the most free; of equal ones the last by name."""
        weights = self.weights.copy()
        for _ in self.stay:
            best = int(weights.argmax())
            if self._passes(server, self.stay[best]):
                return self.stay[best].name
            weights[best] = -np.inf
        return None

    def _passes(self, server: Server, host: Host) -> bool:
        if shortage(server.allocations, self.free[host.name]) or not zone.allows(server, host) or traits.missing(server, host):
            return False
        group = self.groups.get(server.group or "")
        return group is None or groups.allows(group, sum(one.group == group.id for one in self.on[host.name]), 0)

    def _weight(self, name: str) -> float:
        return sum(self.free[name].get(key, 0) / largest for key, largest in self.largest.items())

    def _move(self, server: Server, source: str, target: str) -> None:
        self.on[source].remove(server)
        self.on[target].append(server)
        self.free[source] = add(self.free[source], server.allocations)
        self.free[target] = subtract(self.free[target], server.allocations)
        self.weights[self.place[target]] = self._weight(target)
