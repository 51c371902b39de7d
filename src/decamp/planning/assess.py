"""What a move would mean for each server and application of a project: the manners that are possible, what each costs, which is best.

Nothing is estimated that a plan would decide otherwise: the whole project is planned in every manner, and the plans are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from decamp.model import mapping as mapping_module
from decamp.model.ledger import Entry
from decamp.model.plan import MANNERS, Action, MoveGoal, Plan, Reason, Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey
from decamp.planning import fields
from decamp.planning.manners import carried_bytes, volume_bytes
from decamp.planning.move import plan_move
from decamp.planning.ordering import ancestors
from decamp.planning.selection import closure, find_project
from decamp.planning.undo import made_of

BYTES_A_SECOND = 100 << 20
"""From Glance to Glance over a line of 1 Gbit/s, which carries 119 MiB a second at the most."""

BOOT_SECONDS = 60.0
"""From the create call of a server to a guest that serves; what else a server needs takes a few seconds, and is there before."""

AT_A_TIME = 8
"""Servers that come up at the same time: the policy's `concurrency` by default."""

MAKING = (Verb.CREATE, Verb.TAKE_MEMBER)
"""Verbs of what a plan makes."""

IMAGE_TIMES = 2
"""An image lies in Glance, and once more, unpacked, in the cache of the hosts whose servers are overlays of it."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One manner for one subject, moved by itself. Where there are refusals, the figures are of nothing."""

    manner: str
    bytes: int = 0
    """Over the network, at the most."""
    disk_bytes: int = 0
    """Taken in the new cloud when the move is over: overlays of an image begin empty."""
    seconds: float = 0
    downtime_seconds: float = 0
    """From the stop of the old server to its copy's serving; 0 where the old one is stopped after that, or was stopped before."""
    refusals: tuple[Refusal, ...] = ()

    @property
    def is_possible(self) -> bool:
        return not self.refusals


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A server, an application, or all together."""

    kind: str
    """server, stack, tag, server_group, or total."""
    name: str
    id: str | None
    project: str
    servers: int
    ways: tuple[Way, ...]
    """Of every manner that there is; none where it has moved already."""

    @property
    def best(self) -> Way | None:
        """The first of MANNERS that is possible: to share a base image costs least."""
        return next((way for way in self.ways if way.is_possible), None)

    @property
    def costliest(self) -> Way | None:
        return max((way for way in self.ways if way.is_possible), key=lambda way: way.bytes, default=None)

    @property
    def saved_bytes(self) -> int:
        """What the best manner carries less than the costliest."""
        return self.costliest.bytes - self.best.bytes if self.best and self.costliest else 0

    @property
    def saved_disk_bytes(self) -> int:
        return self.costliest.disk_bytes - self.best.disk_bytes if self.best and self.costliest else 0


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    applications: tuple[Subject, ...]
    servers: tuple[Subject, ...]
    total: Way
    """All servers that can move, each in its best manner, with what they share counted once."""
    total_saved: Way
    """What that spares, against every one of them in the possible manner that carries most."""
    movable: int
    """Servers."""


def assess(
    old: Survey,
    new: Survey,
    mapping: mapping_module.Mapping,
    *,
    project: str | None,
    ledger: tuple[Entry, ...] = (),
    bytes_a_second: float = BYTES_A_SECOND,
) -> Assessment:
    """Of one project (id or name), or of all that have servers. Raises BadInput where planning a move does."""
    projects = [find_project(old, project).id] if project else sorted({one.project for one in _servers(old) if one.project})
    sights = [_look(old, new, mapping, one, ledger, bytes_a_second) for one in projects]
    servers = tuple(_subject(sight, "server", server.name, server.id, [server]) for sight in sights for server in sight.servers)
    applications = tuple(_subject(sight, *application) for sight in sights for application in _applications(sight))
    best = {str(server.id): server.best.manner for server in servers if server.best}
    most = {str(server.id): server.costliest.manner for server in servers if server.costliest}
    total, other = _sum(sights, best), _sum(sights, most)
    return Assessment(
        applications=applications,
        servers=servers,
        total=total,
        total_saved=Way(manner="saved", bytes=other.bytes - total.bytes, disk_bytes=other.disk_bytes - total.disk_bytes),
        movable=len(best),
    )


class _Sight(msgspec.Struct, frozen=True, kw_only=True):
    """A project with its plans."""

    project: str
    servers: tuple[Resource, ...]
    resources: Mapping[Ref, Resource]
    plans: Mapping[str, Plan]
    """By manner."""
    making: Mapping[str, Mapping[Ref, Action]]
    """By manner: what the plan makes."""
    stopped_first: Mapping[str, frozenset[Ref]]
    """By manner: servers that are stopped before their copies are there."""
    bytes_a_second: float


def _look(
    old: Survey, new: Survey, mapping: mapping_module.Mapping, project: str, ledger: tuple[Entry, ...], bytes_a_second: float
) -> _Sight:
    plans = {
        manner: plan_move(old, new, mapping, goal=MoveGoal(project=project, manner=manner), made_from={}, ledger=ledger)
        for manner in MANNERS
    }
    return _Sight(
        project=project,
        servers=tuple(sorted((one for one in _servers(old) if one.project == project), key=lambda one: (one.name, one.id))),
        resources=old.by_ref(),
        plans=plans,
        making={manner: {one.target: one for one in plan.actions if one.verb in MAKING} for manner, plan in plans.items()},
        stopped_first={manner: _stopped_first(plan) for manner, plan in plans.items()},
        bytes_a_second=bytes_a_second,
    )


def _servers(old: Survey) -> list[Resource]:
    return [one for one in old.resources if one.kind == "server"]


def _stopped_first(plan: Plan) -> frozenset[Ref]:
    before = ancestors({action.id: action.after for action in plan.actions})
    stops = {action.target: action.id for action in plan.actions if action.verb is Verb.STOP_SERVER}
    return frozenset(action.target for action in plan.actions if action.verb in MAKING and stops.get(action.target) in before[action.id])


def _applications(sight: _Sight) -> list[tuple[str, str, str | None, list[Resource]]]:
    """(kind, name, id, servers), as `decamp plan move` takes them."""
    found: defaultdict[tuple[str, str, str | None], list[Resource]] = defaultdict(list)
    for server in sight.servers:
        if stack := fields.field(server, "stack"):
            found["stack", str(stack), fields.field(server, "stack_id")].append(server)
        if (group := fields.server_group(server)) and group in sight.resources:
            found[group.kind, sight.resources[group].name, group.id].append(server)
        for tag in fields.tags(server):
            found["tag", tag, None].append(server)
    order = ("stack", "server_group", "tag")
    return [(*key, found[key]) for key in sorted(found, key=lambda key: (order.index(key[0]), key[1], str(key[2])))]


def _subject(sight: _Sight, kind: str, name: str, id: str | None, servers: list[Resource]) -> Subject:
    staying = [server for server in servers if not _has_moved(sight, server)]
    ways = tuple(_way(sight, manner, staying) for manner in MANNERS) if staying else ()
    return Subject(kind=kind, name=name, id=id, project=sight.project, servers=len(servers), ways=ways)


def _has_moved(sight: _Sight, server: Resource) -> bool:
    return any(
        action.verb is Verb.ADOPT and action.target == server.ref and action.args["because"] == "moved_earlier"
        for action in sight.plans[MANNERS[0]].actions
    )


def _way(sight: _Sight, manner: str, servers: Iterable[Resource]) -> Way:
    making = sight.making[manner]
    refused = [server for server in servers if server.ref not in making]
    if refused:
        return Way(manner=manner, refusals=tuple(refusal for server in refused for refusal in _against(sight, manner, server)))
    return _cost(sight, {server.ref: manner for server in servers})


def _against(sight: _Sight, manner: str, server: Resource) -> tuple[Refusal, ...]:
    """What the plan refuses of the server and of what it needs: causes before consequences."""
    reach = closure(sight.resources, [server.ref], lambda _: False)
    concerned = {*reach.resources, *reach.missing}
    found = [one for one in sight.plans[manner].refusals if one.ref in concerned]
    causes = [one for one in found if one.reason is not Reason.NEEDS_REFUSED]
    return tuple(causes or found)


def _cost(sight: _Sight, manners: Mapping[Ref, str]) -> Way:
    """Of servers moved together, each in its manner."""
    made: dict[Ref, tuple[Resource, str | None]] = {}
    stopped: set[Ref] = set()
    for server, manner in manners.items():
        own = _made_for(sight.making[manner], server)
        made |= own
        if server in sight.stopped_first[manner]:
            stopped |= own.keys()
    carried = {ref: carried_bytes(resource, manner) for ref, (resource, manner) in made.items()}
    whole = sum(carried.values())
    held = sum(size for ref, size in carried.items() if ref in stopped and ref.kind != "image")
    return Way(
        manner="/".join(sorted(set(manners.values()))),
        bytes=whole,
        disk_bytes=sum(_disk_bytes(resource) for resource, _ in made.values()),
        seconds=whole / sight.bytes_a_second + BOOT_SECONDS * -(-len(manners) // AT_A_TIME) if manners else 0,
        downtime_seconds=held / sight.bytes_a_second + BOOT_SECONDS if stopped else 0,
    )


def _made_for(making: Mapping[Ref, Action], server: Ref) -> dict[Ref, tuple[Resource, str | None]]:
    """All that the plan makes and the server needs, directly or not, with the manner of each."""
    found: dict[Ref, tuple[Resource, str | None]] = {}
    waiting = [server]
    while waiting:
        ref = waiting.pop()
        if ref in found or ref not in making:
            continue
        resource = made_of(making[ref])
        found[ref] = resource, making[ref].args.get("manner")
        waiting.extend(resource.needs)
    return found


def _disk_bytes(resource: Resource) -> int:
    match resource.kind:
        case "image" | "server_snapshot":
            return IMAGE_TIMES * carried_bytes(resource, None)
        case "volume":
            return volume_bytes(resource)
        case _:
            return 0


def _sum(sights: Iterable[_Sight], manners: Mapping[str, str]) -> Way:
    """Projects share nothing that would be counted twice, but for public images that the new cloud lacks."""
    parts = [_cost(sight, {one.ref: manners[one.id] for one in sight.servers if one.id in manners}) for sight in sights]
    return Way(
        manner="best",
        bytes=sum(part.bytes for part in parts),
        disk_bytes=sum(part.disk_bytes for part in parts),
        seconds=sum(part.seconds for part in parts),
        downtime_seconds=max((part.downtime_seconds for part in parts), default=0),
    )
