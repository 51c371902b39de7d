"""Where servers are while a planner tries: hosts that take servers, what is free on them, and the choice of a host for a server."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from decamp.model.amounts import add, shortage, subtract, total
from decamp.model.plan import Reason
from decamp.model.policy import Policy
from decamp.model.survey import Host, Server, Survey
from decamp.planning.constraints import capacity, groups, receives, spare, traits, zone


class NoPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Why no host can take a server."""

    server: str
    reason: Reason
    text: str
    """Goes on from the server's name: "needs ..."."""


class Packing:
    """Mutable, and made anew for each plan. A host that is closed takes nothing; one that is emptied stays closed.

    Hosts that are emptied never take a server, and hosts that take servers are never emptied, or give up to others what they took. So
    room that a migration needs is never room that another one has to free first, and the peak of each host is its end state.
    """

    def __init__(self, survey: Survey, policy: Policy) -> None:
        self.hosts = {host.name: host for host in survey.hosts}
        self.servers = {server.id: server for server in survey.servers if server.host in self.hosts}
        self.groups = {group.id: group for group in survey.groups}
        self.policy = policy
        self.at = {server.id: server.host for server in self.servers.values() if server.host is not None}
        self.on: dict[str, set[str]] = {name: set() for name in self.hosts}
        for server, host in self.at.items():
            self.on[host].add(server)
        self.room = {name: capacity.capacity(host) for name, host in self.hosts.items()}
        self.free = {
            name: subtract(self.room[name], total(self.servers[server].allocations for server in self.on[name])) for name in self.hosts
        }
        self.members: dict[str, set[str]] = {}
        for server in survey.servers:
            if server.group is not None and server.host is not None:
                self.members.setdefault(server.group, set()).add(server.id)
        self.closed = {name for name, host in self.hosts.items() if not receives.allows(host) or name in policy.never_touch_hosts}
        self.freed: list[str] = []
        self.scarcest = scarcest_class(survey)
        self._lacking = self._lacks_of_spare()

    def held(self, host: str) -> dict[str, int]:
        return subtract(self.room[host], self.free[host])

    def load(self, host: str) -> float:
        """The largest share of a class that servers hold of the host; 0 for an empty one."""
        return max((_share(amount, self.room[host].get(name, 0)) for name, amount in self.held(host).items()), default=0.0)

    def size(self, server: Server) -> float:
        """Its demand of the scarcest class: the larger, the harder to place."""
        return float(server.allocations.get(self.scarcest, 0))

    def empty(self, host: str) -> tuple[NoPlace, ...]:
        """Move every server off the host and close it; where some have no place, nothing is moved, and all of those are returned."""
        closed, moved, homeless = host in self.closed, list[str](), list[NoPlace]()
        self.closed.add(host)
        for server in sorted(self.on[host], key=lambda one: (-self.size(self.servers[one]), one)):
            chosen = self.choose(self.servers[server])
            if isinstance(chosen, NoPlace):
                homeless.append(chosen)
            else:
                self._move(server, chosen)
                moved.append(server)
        self.freed.append(host)
        if homeless or self.spare_eaten():
            self.freed.remove(host)
            for server in moved:
                self._move(server, host)
            if not closed:
                self.closed.discard(host)
        return tuple(homeless)

    def spare_eaten(self) -> dict[str, int]:
        """What policy wants kept and is not, with the hosts gone that are freed."""
        return spare.eaten(self._lacking, self._lacks_of_spare())

    def choose(self, server: Server) -> str | NoPlace:
        """The host where it fits best: soft group policies first, then where least of the scarcest class is left, then by name."""
        hosts = [self.hosts[name] for name in self.hosts if name not in self.closed]
        if not hosts:
            return NoPlace(server=server.id, reason=Reason.NO_HOST, text="has nowhere to go: no other host is up, enabled and to be kept")
        fitting = [host for host in hosts if zone.allows(server, host) and not traits.missing(server, host)]
        if not fitting:
            return NoPlace(server=server.id, reason=Reason.NO_HOST, text=_no_host(server, hosts))
        allowed = [host.name for host in fitting if self._group_allows(server, host.name)]
        if not allowed:
            return NoPlace(server=server.id, reason=Reason.GROUP_POLICY, text=self._no_place_for_group(server, fitting))
        lacks = {name: shortage(server.allocations, self.free[name]) for name in allowed}
        roomy = [name for name in allowed if not lacks[name]]
        if not roomy:
            closest = min(allowed, key=lambda name: (len(lacks[name]), sum(lacks[name].values()), name))
            needs, lack = capacity.told(server.allocations), capacity.told(lacks[closest])
            text = f"needs {needs}; the closest, {closest}, lacks {lack} beside what it is to hold"
            return NoPlace(server=server.id, reason=Reason.NO_CAPACITY, text=text)
        group = self.groups.get(server.group or "")
        return min(roomy, key=lambda name: (groups.dislike(group, self._siblings_on(server, name)), self._left(server, name), name))

    def _left(self, server: Server, host: str) -> float:
        """The share of the scarcest class that is free on the host with the server on it."""
        left = self.free[host].get(self.scarcest, 0) - server.allocations.get(self.scarcest, 0)
        return _share(left, self.room[host].get(self.scarcest, 0))

    def _move(self, server: str, host: str) -> None:
        demand, source = self.servers[server].allocations, self.at[server]
        self.on[source].discard(server)
        self.on[host].add(server)
        self.free[source] = add(self.free[source], demand)
        self.free[host] = subtract(self.free[host], demand)
        self.at[server] = host

    def _siblings_on(self, server: Server, host: str) -> int:
        return len((self.members.get(server.group or "", set()) - {server.id}) & self.on[host])

    def _group_allows(self, server: Server, host: str) -> bool:
        group = self.groups.get(server.group or "")
        if group is None:
            return True
        there = self._siblings_on(server, host)
        return groups.allows(group, there, len(self.members[group.id] - {server.id}) - there)

    def _no_place_for_group(self, server: Server, hosts: Iterable[Host]) -> str:
        group = self.groups[server.group or ""]
        names = ", ".join(sorted(host.name for host in hosts))
        limit = group.max_server_per_host
        return f"is in {group.policy} group {group.id}, which allows {limit} a host, and every other host has that ({names})"

    def _lacks_of_spare(self) -> dict[str, int]:
        if not self.policy.spare_hosts:
            return {}
        kept = [host for name, host in self.hosts.items() if name not in self.freed]
        return spare.lacking(kept, {host.name: self.held(host.name) for host in kept}, self.policy.spare_hosts)


def scarcest_class(survey: Survey) -> str:
    """The resource class of which the largest share is in use, over the hosts that take servers."""
    demand = total(server.allocations for server in survey.servers)
    room = total(capacity.capacity(host) for host in survey.hosts if host.receives)
    return max(sorted(demand), key=lambda name: _share(demand[name], room.get(name, 0)), default="")


def _no_host(server: Server, hosts: Iterable[Host]) -> str:
    in_zone = [host for host in hosts if zone.allows(server, host)]
    if not in_zone:
        return f"asks for availability zone {server.zone}, and no other host there takes servers"
    closest = min((traits.missing(server, host) for host in in_zone), key=lambda names: (len(names), names))
    return f"requires traits that no other host of its zone has: {', '.join(closest)}"


def _share(amount: float, whole: float) -> float:
    if whole > 0:
        return amount / whole
    return float("inf") if amount > 0 else 0.0
