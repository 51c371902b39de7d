"""The order of a vacate: from where each server is to go to the actions that bring it there, in the order in which they are best begun.

Cordons come first. Migrations wait for the cordon of the host that they leave, for the previous member of an anti-affinity group, and
where a host that stays has to give up something first, for that (`waiting`). How many are in flight at a time is said by locks, for each
host by itself and never for the cloud. The list is in the order of the timetable (`timetable`): whoever begins, whenever something
ends, the first of the list that may begin, carries the timetable out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from decamp.model.plan import Action, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Host, Server, Survey
from decamp.planning.constraints import groups, locks, pinned
from decamp.planning.ordering import reduced
from decamp.planning.timetable import Emptied, Job, Line, Started, lower_bound, timetable
from decamp.planning.waiting import Move, Waiting, waiting

ASSUMED_NIC_MBPS = 10_000
"""Of a host whose NIC the survey does not tell: the commonest in compute hosts of the last ten years."""

MIB = 2**20


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    actions: tuple[Action, ...] = ()
    seconds: float = 0.0
    """Until the last migration ends, each at its share of the NICs of its two hosts."""
    seconds_lower_bound: float = 0.0
    """No order of these migrations takes less."""
    proof: str = ""
    """Of the lower bound, a clause; what it rests on stands in `timetable.lower_bound`."""
    free_after_seconds: dict[str, float] = {}
    """Freed host -> when the last server has left it."""
    stuck: tuple[str, ...] = ()
    """Servers that no order brings to their targets: Placement holds both sides of a migration, and there is no room for that. No actions
    then: other targets are needed."""


def steps(old: Survey, policy: Policy, freed: Sequence[str], targets: Mapping[str, str | None], shun: Collection[str] = ()) -> Steps:
    """Every host of `freed` cordoned, left by its servers, proved empty, stopped and deleted; its first ones first if all else is equal.

    `targets` says for each server that moves where it goes: to a host, or with null nowhere (it is shelved). Servers of hosts that stay may
    be among them, to make room; one that has to go halfway first goes to no host of `shun`. That the targets are good ones is not asked
    here (`replay` does), only in which order they can be reached.
    """
    hosts = {host.name: host for host in old.hosts}
    order = {name: number for number, name in enumerate(freed)}
    moving = [server for server in old.servers if server.id in targets and server.host in hosts]
    moving.sort(key=lambda one: (order.get(one.host or "", -1), -one.migration_bytes, one.id))
    moves = [Move(server=one, source=one.host or "", target=targets[one.id]) for one in moving]
    found = waiting(old, freed, moves, shun=(*policy.never_touch_hosts, *shun))
    if found.stuck:
        return Steps(stuck=found.stuck)
    apart = {group.id for group in old.groups if group.policy == groups.ANTI_AFFINITY}
    lines, jobs = lines_of(old.hosts), _jobs(old.hosts, found, apart)
    bound = lower_bound(lines, jobs)
    table = timetable(lines, jobs, bound)
    actions = _Actions(old, freed, found, apart)
    actions.add_all(table.events, [line.name for line in lines])
    return Steps(
        actions=actions.in_order(),
        seconds=table.seconds,
        seconds_lower_bound=bound.seconds,
        proof=bound.proof,
        free_after_seconds=actions.free_after_seconds,
    )


def bytes_to_move(server: Server) -> int:
    """A live migration moves memory and local disk; a cold one, or a shelving, has no memory to move."""
    if pinned.verb_for(server) is Verb.COLD_MIGRATE:
        return max(0, server.migration_bytes - server.allocations.get("MEMORY_MB", 0) * MIB)
    return server.migration_bytes


def nic_bytes_per_second(host: Host) -> float:
    return (host.nic_mbps or ASSUMED_NIC_MBPS) * 1e6 / 8


def lines_of(hosts: Iterable[Host]) -> list[Line]:
    return [Line(name=host.name, bytes_per_second=nic_bytes_per_second(host), turns=max(1, host.max_live_migrations)) for host in hosts]


def _jobs(hosts: Iterable[Host], found: Waiting, apart: set[str]) -> list[Job]:
    """A shelving is no migration: its group's members need not wait for it."""
    numbers = {host.name: number for number, host in enumerate(hosts)}
    of_group = {group: number for number, group in enumerate(sorted(apart))}
    return [
        Job(
            bytes=bytes_to_move(move.server),
            source=numbers[move.source],
            target=None if move.target is None else numbers[move.target],
            group=of_group.get(move.server.group or "") if move.target is not None else None,
            after=found.after.get(number, ()),
        )
        for number, move in enumerate(found.moves)
    ]


class _Actions:
    """The actions as the timetable comes to them."""

    def __init__(self, old: Survey, freed: Sequence[str], found: Waiting, apart: set[str]) -> None:
        self.hosts = {host.name: host for host in old.hosts}
        self.found, self.apart = found, apart
        self.free_after_seconds = dict.fromkeys(freed, 0.0)
        self.ids = _ids(found.moves)
        self.leaving: dict[str, list[str]] = {name: [] for name in freed}
        for move, name in zip(found.moves, self.ids, strict=True):
            if move.source in self.leaving:
                self.leaving[move.source].append(name)
        there: dict[str, list[str]] = {name: [] for name in freed}
        for server in old.servers:
            if server.host in there:
                there[server.host].append(server.id)
        self.cordons = {name: _cordon(self.hosts[name], there[name]) for name in freed}
        self.last_of_group: dict[str, str] = {}
        self.made: list[Action] = list(self.cordons.values())

    def add_all(self, events: Iterable[Started | Emptied], names: Sequence[str]) -> None:
        for name, leaving in self.leaving.items():
            if not leaving:
                self._quiesce(name)
        for event in events:
            if isinstance(event, Started):
                self._move(event)
            elif names[event.host] in self.cordons:
                self.free_after_seconds[names[event.host]] = event.seconds
                self._quiesce(names[event.host])

    def in_order(self) -> tuple[Action, ...]:
        direct = reduced([action.id for action in self.made], {action.id: action.after for action in self.made})
        return tuple(msgspec.structs.replace(action, after=direct[action.id]) for action in self.made)

    def _quiesce(self, name: str) -> None:
        host, cordon = self.hosts[name], self.cordons[name]
        proof = _host_action(Verb.PROVE_EMPTY, host, (cordon.id, *self.leaving[name]))
        stop = _host_action(Verb.STOP_COMPUTE, host, (proof.id,))
        self.made += [proof, stop, _host_action(Verb.DELETE_SERVICE, host, (stop.id,))]

    def _move(self, started: Started) -> None:
        move, name = self.found.moves[started.job], self.ids[started.job]
        after = [self.ids[other] for other in self.found.after.get(started.job, ())]
        if move.source in self.cordons:
            after.append(self.cordons[move.source].id)
        group = move.server.group
        if group in self.apart and move.target is not None:
            if group in self.last_of_group:
                after.append(self.last_of_group[group])
            self.last_of_group[group] = name
        held = [locks.slots(self.hosts[move.source])[started.source_turn]]
        if move.target is not None and started.target_turn is not None:
            held.append(locks.slots(self.hosts[move.target])[started.target_turn])
        self.made.append(_action(name, move, after, (*held, locks.of_server(move.server.id)), frees=move.source in self.cordons))


def _ids(moves: Sequence[Move]) -> list[str]:
    """Numbered where a server goes halfway first."""
    twice = {move.server.id for move in moves if move.halfway}
    return [
        f"{_verb(move)}/server/{move.server.id}" + (f"/{1 if move.halfway else 2}" if move.server.id in twice else "") for move in moves
    ]


def _verb(move: Move) -> Verb:
    """A server in a state that accepts no migration does not belong among the targets; the checker says so if it is one."""
    return Verb.SHELVE if move.target is None else pinned.verb_for(move.server) or Verb.LIVE_MIGRATE


def _action(id: str, move: Move, after: Iterable[str], held: tuple[str, ...], *, frees: bool) -> Action:
    verb, server = _verb(move), move.server
    args = {"from": move.source, **({"to": move.target} if move.target is not None else {}), "bytes": bytes_to_move(server)}
    return Action(
        id=id,
        verb=verb,
        target=Ref("server", server.id),
        args={**args, "block_migration": "auto"} if verb is Verb.LIVE_MIGRATE else args,
        after=tuple(after),
        locks=held,
        expects=msgspec.structs.replace(server, host=move.source).placement_fingerprint(),
        changes={"host": (move.source, move.target)},
        why=f"{server.name or server.id} {_why(move, frees=frees)}.",
    )


def _why(move: Move, *, frees: bool) -> str:
    reason = f"leaves {move.source}, so that it becomes free" if frees else f"leaves {move.source}, to make room there"
    if move.target is None:
        return f"{reason}; it is stopped, and policy says to shelve it"
    if move.halfway:
        return f"{reason}; it waits on {move.target} for room where it is to stay"
    return f"{reason}; it fits {move.target} best"


def _cordon(host: Host, servers: Iterable[str]) -> Action:
    args = {"reason": "vacated by decamp", "servers": sorted(servers)}
    return msgspec.structs.replace(_host_action(Verb.DISABLE_SERVICE, host, ()), args=args)


def _host_action(verb: Verb, host: Host, after: tuple[str, ...]) -> Action:
    changes: Mapping[Verb, dict[str, tuple[str | None, str | None]]] = {
        Verb.DISABLE_SERVICE: {"status": (host.status, "disabled")} if host.status != "disabled" else {},
        Verb.STOP_COMPUTE: {"state": (host.state, "down")} if host.state != "down" else {},
        Verb.DELETE_SERVICE: {"service": (host.name, None)},
    }
    whys = {
        Verb.DISABLE_SERVICE: f"No new server may come to {host.name} while it is emptied.",
        Verb.PROVE_EMPTY: "A host is free when Nova, its migrations and Placement all say so.",
        Verb.STOP_COMPUTE: "A service that is deleted while it runs registers itself again.",
        Verb.DELETE_SERVICE: f"{host.name} is free, and its machine can be used elsewhere.",
    }
    return Action(
        id=f"{verb}/host/{host.name}",
        verb=verb,
        target=Ref("host", host.name),
        after=after,
        changes=changes.get(verb, {}),
        why=whys[verb],
    )
