"""What a vacate will cost and bring, and what no plan could undercut: each bound's proof stands in its docstring."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable

from decamp.model.amounts import total
from decamp.model.plan import Action, Forecast, Verb
from decamp.model.policy import Policy
from decamp.model.survey import Host, Server
from decamp.planning.constraints import pinned
from decamp.planning.constraints.scene import destination, is_migration, source
from decamp.planning.packing import Packing

ASSUMED_NIC_MBPS = 10_000
"""Of a host whose NIC the survey does not tell: the commonest in compute hosts of the last ten years. No bound depends on it."""

MIB = 2**20


def forecast(packing: Packing, actions: tuple[Action, ...], *, policy: Policy, immovable: Collection[str], named: bool) -> Forecast:
    """`immovable` are the hosts with servers that no plan could free; `named`: exactly the hosts that are freed were asked for."""
    migrations = [action for action in actions if is_migration(action)]
    leaving = {name: [one for one in packing.servers.values() if one.host == name] for name in packing.hosts}
    freeable = packing.freed if named else [name for name in packing.hosts if name not in immovable]
    burdens = sorted(sum(map(bytes_to_move, leaving[name])) for name in freeable)
    durations = sorted(_seconds_to_leave(packing.hosts[name], leaving[name]) for name in freeable)
    count = len(packing.freed)
    return Forecast(
        freed_hosts=tuple(packing.freed),
        occupied_hosts=sum(1 for servers in packing.on.values() if servers),
        occupied_hosts_lower_bound=occupied_lower_bound(packing, immovable),
        migrations=len(migrations),
        bytes=sum(bytes_to_move(packing.servers[action.target.id]) for action in migrations),
        bytes_lower_bound=sum(burdens[:count]),
        seconds=round(_makespan(packing, migrations, policy.concurrency), 1),
        seconds_lower_bound=round(max(durations[:count], default=0.0), 1),
    )


def bytes_to_move(server: Server) -> int:
    """A live migration moves memory and local disk, a cold one has no memory to move."""
    if pinned.verb_for(server) is Verb.COLD_MIGRATE:
        return max(0, server.migration_bytes - server.allocations.get("MEMORY_MB", 0) * MIB)
    return server.migration_bytes


def occupied_lower_bound(packing: Packing, immovable: Collection[str]) -> int:
    """No plan leaves fewer hosts with servers on them.

    Hosts with servers that cannot leave stay. They and k others can hold no more of a class than the sum of what each can hold, which is
    largest for the k largest; so the least k for which that covers what all servers demand, for the class that asks for most. A host that
    takes no servers can hold what it holds.
    """
    demand = total(server.allocations for server in packing.servers.values())
    room = {name: _can_hold(packing, name) for name in packing.hosts}
    others = [name for name in packing.hosts if name not in immovable]
    needed = 1 if packing.servers and not immovable else 0
    for resource_class, amount in demand.items():
        amount -= sum(room[name].get(resource_class, 0) for name in immovable)
        needed = max(needed, _how_many(amount, (room[name].get(resource_class, 0) for name in others)))
    return len(immovable) + needed


def _can_hold(packing: Packing, name: str) -> dict[str, int]:
    held = total(server.allocations for server in packing.servers.values() if server.host == name)
    if name in packing.policy.never_touch_hosts or not packing.hosts[name].receives:
        return held
    room = packing.room[name]
    return {resource_class: max(room.get(resource_class, 0), held.get(resource_class, 0)) for resource_class in {*room, *held}}


def _how_many(amount: int, rooms: Iterable[int]) -> int:
    count = 0
    for room in sorted(rooms, reverse=True):
        if amount <= 0:
            break
        amount -= room
        count += 1
    return count


def _seconds_to_leave(host: Host, servers: Iterable[Server]) -> float:
    """All that leaves a host goes through its NIC; nothing is known of a host that does not tell of it."""
    return sum(map(bytes_to_move, servers)) * 8 / (host.nic_mbps * 1e6) if host.nic_mbps else 0.0


def _makespan(packing: Packing, migrations: list[Action], concurrency: int) -> float:
    """Seconds until the last migration ends, each begun in the plan's order as soon as its predecessors, its locks and a worker are free.

    A host that takes several at a time shares its NIC among them.
    """
    ends: dict[str, float] = {}
    free_at: dict[str, float] = {}
    workers = [0.0] * max(1, concurrency)
    for action in migrations:
        begin = max(
            heapq.heappop(workers),
            *(ends.get(name, 0.0) for name in action.after),
            *(free_at.get(name, 0.0) for name in action.locks),
        )
        rate = min(_rate(packing.hosts[name]) for name in (source(action), destination(action)))
        end = begin + bytes_to_move(packing.servers[action.target.id]) / rate
        ends[action.id] = end
        free_at.update(dict.fromkeys(action.locks, end))
        heapq.heappush(workers, end)
    return max(ends.values(), default=0.0)


def _rate(host: Host) -> float:
    """Bytes per second of one migration."""
    return (host.nic_mbps or ASSUMED_NIC_MBPS) * 1e6 / 8 / max(1, host.max_live_migrations)
