"""What a planner's moves are worth: hosts freed, bytes, makespan, and the rules that they break, all judged alike whoever planned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from decamp.model.documents import sha256
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Server, Survey
from decamp.planning.constraints import locks, pinned
from decamp.planning.estate import Estate
from decamp.planning.outlook import fewest_bytes
from decamp.planning.pace import Pace
from decamp.planning.relaxation import Relaxation
from decamp.planning.steps import bytes_to_move, lines_of
from decamp.planning.timetable import Bound, Job, lower_bound, timetable
from decamp.planning.vacate import may_be_freed

AT_A_TIME = 2
"""Migrations in flight in the whole cloud: Watcher's default (WeightPlanner, parallelization of migrate), and what runbooks say."""

Move = tuple[str, str, str]
"""Server, from, to."""


class Bounds:
    """Of one instance, for whatever number of hosts a planner frees."""

    def __init__(self, old: Survey) -> None:
        estate = Estate(old, Policy(), VacateGoal(max=True))
        self._relaxation = Relaxation(estate, may_be_freed(estate))

    def bytes(self, freed: int) -> tuple[int, str]:
        return fewest_bytes(self._relaxation, min(freed, int(self._relaxation.freeable.sum())), Pace())


def moves_of(plan: Plan) -> list[Move]:
    return [(action.target.id, action.args["from"], action.args["to"]) for action in plan.actions if "to" in action.args]


def emptied(old: Survey, moves: Sequence[Move]) -> list[str]:
    """Hosts on which no server is at the end."""
    at = {server.id: server.host for server in old.servers}
    at |= {server: target for server, _, target in moves}
    held = set(at.values())
    return [host.name for host in old.hosts if host.name not in held]


def bytes_moved(old: Survey, moves: Sequence[Move]) -> int:
    servers = {server.id: server for server in old.servers}
    return sum(bytes_to_move(servers[server]) for server, _, _ in moves)


def moved_twice(moves: Sequence[Move]) -> int:
    return sum(1 for count in Counter(server for server, _, _ in moves).values() if count > 1)


def makespan(old: Survey, moves: Sequence[Move]) -> tuple[float, Bound]:
    """Seconds in pairs, each after the one before it, as Watcher's planner chains them; and what the same moves need at least."""
    numbers = {host.name: number for number, host in enumerate(old.hosts)}
    servers = {server.id: server for server in old.servers}
    jobs: list[Job] = []
    for place, (server, source, target) in enumerate(moves):
        pair = place // AT_A_TIME * AT_A_TIME
        after = tuple(range(max(0, pair - AT_A_TIME), pair))
        jobs.append(Job(bytes=bytes_to_move(servers[server]), source=numbers[source], target=numbers[target], after=after))
    lines = lines_of(old.hosts)
    bound = lower_bound(lines, jobs)
    return timetable(lines, jobs, bound).seconds, bound


def as_plan(old: Survey, moves: Sequence[Move]) -> Plan:
    """A peer's moves as a plan that the checker can be given: its own order, and all that quiescing needs, which is not its fault."""
    freed = set(emptied(old, moves))
    servers = {server.id: server for server in old.servers}
    cordons = [_on_host(Verb.DISABLE_SERVICE, name) for name in sorted(freed)]
    migrations: list[Action] = []
    leaving: dict[str, list[str]] = {}
    turns: Counter[str] = Counter()
    for place, (server, source, target) in enumerate(moves):
        pair = place // AT_A_TIME * AT_A_TIME
        turns[server] += 1
        before = [one.id for one in migrations[max(0, pair - AT_A_TIME) : pair]]
        after = (*([f"{Verb.DISABLE_SERVICE}/host/{source}"] if source in freed else ()), *before)
        action = _migration(servers[server], source, target, turns[server], after)
        migrations.append(action)
        leaving.setdefault(source, []).append(action.id)
    ends: list[Action] = []
    for cordon in cordons:
        name = cordon.target.id
        proof = _on_host(Verb.PROVE_EMPTY, name, cordon.id, *leaving.get(name, ()))
        stop = _on_host(Verb.STOP_COMPUTE, name, proof.id)
        ends += [proof, stop, _on_host(Verb.DELETE_SERVICE, name, stop.id)]
    return Plan(goal=VacateGoal(max=True), made_from={"old": sha256(old)}, actions=(*cordons, *migrations, *ends))


def _migration(server: Server, source: str, target: str, turn: int, after: tuple[str, ...]) -> Action:
    """Its locks are what Nova sees to by itself, whoever asks for the migration."""
    verb = pinned.verb_for(server) or Verb.LIVE_MIGRATE
    return Action(
        id=f"{verb}/server/{server.id}/{turn}",
        verb=verb,
        target=Ref("server", server.id),
        args={"from": source, "to": target},
        after=after,
        locks=(f"host:{source}", f"host:{source}/1", f"host:{target}", f"host:{target}/1", locks.of_server(server.id)),
        expects=msgspec.structs.replace(server, host=source).placement_fingerprint(),
    )


def _on_host(verb: Verb, name: str, *after: str) -> Action:
    return Action(id=f"{verb}/host/{name}", verb=verb, target=Ref("host", name), after=after)


def ratio(value: float, bound: float) -> float:
    return value / bound if bound else (1.0 if not value else math.inf)
