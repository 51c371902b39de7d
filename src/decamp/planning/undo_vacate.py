"""Planning the way back from a vacate: hosts take servers again, shelved servers return, and migrated ones too where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import msgspec

from decamp.model.documents import sha256
from decamp.model.ledger import Entry
from decamp.model.plan import MIGRATIONS, Action, Plan, Reason, Refusal, UndoGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Host, Server, Survey
from decamp.planning.constraints import locks, pinned
from decamp.planning.constraints.scene import is_migration
from decamp.planning.drafts import Draft, ordered
from decamp.planning.ordering import ancestors
from decamp.planning.replay import replay

SHELVED = frozenset({"SHELVED", "SHELVED_OFFLOADED"})


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One of the runs that are undone together, a run and what followed it."""

    plan: Plan
    own: Mapping[str, Entry]
    """Action -> its entry in the ledger, of those that had an effect."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An action that had an effect which is still of interest."""

    number: int
    """In the order in which they were done."""
    stage: int
    action: Action
    facts: dict[str, Any]


class Returning(msgspec.Struct, frozen=True, kw_only=True):
    """A server that the runs migrated, and the way back."""

    server: Server
    home: str
    """The host that it was on before."""
    away: str
    """The one that it was brought to."""
    first: Done
    """The action that took it from there."""
    last: Done
    """The one that brought it where it is: the same, where it was migrated once."""


class _Way:
    """What is found out about the way back, host by host and server by server."""

    def __init__(self, stages: Sequence[Stage], old: Survey, policy: Policy) -> None:
        self.stages, self.old, self.policy = stages, old, policy
        self.hosts = {host.name: host for host in old.hosts}
        self.servers = {server.id: server for server in old.servers}
        self.drafts: dict[str, Draft] = {}
        self.refusals: list[Refusal] = []

    def say(self, ref: Ref, reason: Reason, text: str) -> None:
        self.refusals.append(Refusal(ref=ref, reason=reason, text=text))

    def done(self, *verbs: Verb) -> list[Done]:
        """In an order in which they may have been done."""
        own = (
            (number, stage, action) for number, stage in enumerate(self.stages) for action in stage.plan.actions if action.id in stage.own
        )
        return [
            Done(number=number, stage=of, action=action, facts=stage.own[action.id].facts)
            for number, (of, stage, action) in enumerate(own)
            if action.verb in verbs and not stage.own[action.id].facts.get("gone")
        ]


def undo_vacate(stages: Sequence[Stage], run: str, *, old: Survey, policy: Policy, move_back: bool) -> tuple[list[Draft], list[Refusal]]:
    """`old` is how the cloud is now. A server goes back only where the independent checker finds nothing against it."""
    way = _Way(stages, old, policy)
    cordons = way.done(Verb.DISABLE_SERVICE)
    # the first cordon knows how the host was before
    for cordon in {one.action.target: one for one in reversed(cordons)}.values():
        _release(way, cordon)
    for done in way.done(Verb.SHELVE):
        _unshelve(way, done.action)
    returning = _returning(way)
    if move_back:
        _move_back(way, returning, run)
    elif returning:
        _say_they_stay(way, returning, run)
    return list(way.drafts.values()), way.refusals


def _release(way: _Way, cordon: Done) -> None:
    """As the host was before: its status, its reason, its aggregates."""
    target, facts = cordon.action.target, cordon.facts
    host = way.hosts.get(target.id)
    if host is None:
        text = f"The compute service of {target.id} is deleted. Start nova-compute there, which registers it, and undo again."
        way.say(target, Reason.UNSUPPORTED, text)
        return
    if host.state != "up":
        way.say(target, Reason.HOST_DOWN, f"nova-compute on {host.name} is {host.state}: start it again there.")
    before = {"status": "enabled"} | {name: facts[name] for name in ("status", "disabled_reason", "aggregates") if facts.get(name)}
    enable = Action(
        id=_enable(host.name),
        verb=Verb.ENABLE_SERVICE,
        target=target,
        args=before,
        locks=(f"host:{host.name}",),
        changes={"status": (host.status, before["status"])} if before["status"] != host.status else {},
        why="the run disabled it",
    )
    way.drafts[enable.id] = (enable, set())


def _enable(host: str) -> str:
    return f"{Verb.ENABLE_SERVICE}/host/{host}"


def _unshelve(way: _Way, shelve: Action) -> None:
    server = way.servers.get(shelve.target.id)
    if server is None or server.status not in SHELVED:
        return
    home = shelve.args["from"]
    unshelve = Action(
        id=f"{Verb.UNSHELVE}/server/{server.id}",
        verb=Verb.UNSHELVE,
        target=shelve.target,
        args={"to": home} if home in way.hosts else {},
        locks=(locks.of_server(server.id),),
        changes={"status": (server.status, "SHUTOFF")},
        why=f"the run shelved {server.name or server.id}; Nova starts it for a moment before it can be stopped again",
    )
    way.drafts[unshelve.id] = (unshelve, {_enable(home)})


def _returning(way: _Way) -> list[Returning]:
    """Servers that are where the runs brought them."""
    moves: dict[str, list[Done]] = {}
    for done in way.done(*MIGRATIONS):
        moves.setdefault(done.action.target.id, []).append(done)
    found = [
        Returning(
            server=server, home=several[0].action.args["from"], away=several[-1].action.args["to"], first=several[0], last=several[-1]
        )
        for one, several in moves.items()
        if (server := way.servers.get(one))
    ]
    return [one for one in found if one.server.host == one.away != one.home]


def _say_they_stay(way: _Way, returning: list[Returning], run: str) -> None:
    homes = sorted({one.home for one in returning})
    stay = "1 server that was migrated stays where it is" if len(returning) == 1 else f"{len(returning)} servers that were migrated stay"
    text = f"{stay} now: with `decamp undo {run} --move-back` they go back to {', '.join(homes)}, as far as there is room."
    way.say(Ref("host", homes[0]), Reason.POLICY, text)


def _move_back(way: _Way, returning: list[Returning], run: str) -> None:
    """In the reverse of the order in which they came, and none before those that took its place at home."""
    before = [ancestors({action.id: action.after for action in stage.plan.actions}) for stage in way.stages]
    actions: dict[str, tuple[Returning, Action]] = {}
    for number, one in enumerate(returning):
        if obstacle := _obstacle(way, one):
            way.say(Ref("server", one.server.id), Reason.NO_HOST, f"{one.server.name or one.server.id} stays on {one.away}: {obstacle}")
        else:
            actions[one.server.id] = (one, _migration(way, one, number))
    order = [actions[one.server.id] for one in _order([one for one, _ in actions.values()], before)]
    tight: set[str] = set()
    _draft(way, order, before, tight)
    while found := {str(way.drafts[action][0].args["to"]) for action in _against(way, run)} - tight:
        tight |= found
        _draft(way, order, before, tight)
    _drop_what_breaks_rules(way, run)


def _draft(way: _Way, order: list[tuple[Returning, Action]], before: Sequence[Mapping[str, frozenset[str]]], tight: Set[str]) -> None:
    """Each waits for those that have to leave first; at hosts that are `tight`, for all that leave or come earlier."""
    gone: list[tuple[Returning, str]] = []
    for one, action in order:
        earlier = {
            other
            for another, other in gone
            if _came_first(one.last, another.last, before)
            or _took_its_place(another, one, before)
            or (one.home in tight and one.home in {another.away, another.home})
        }
        way.drafts[action.id] = (action, {_enable(one.home), *earlier})
        gone.append((one, action.id))


def _order(returning: Sequence[Returning], before: Sequence[Mapping[str, frozenset[str]]]) -> list[Returning]:
    """The last that came is the first to return, where nobody has to make room for it: where nothing has changed since, each finds the
    room then that it had. Those that took each other's place are left in that order; the checker tells whether there is room for both."""
    guests: dict[str, list[Returning]] = {}
    for one in returning:
        guests.setdefault(one.away, []).append(one)
    begun: set[str] = set()
    order: list[Returning] = []

    def place(one: Returning) -> None:
        if one.server.id in begun:
            return
        begun.add(one.server.id)
        for guest in reversed(guests.get(one.home, [])):
            if _took_its_place(guest, one, before):
                place(guest)
        order.append(one)

    for one in sorted(returning, key=lambda one: one.last.number, reverse=True):
        place(one)
    return order


def _took_its_place(guest: Returning, one: Returning, before: Sequence[Mapping[str, frozenset[str]]]) -> bool:
    return guest.away == one.home and _came_first(one.first, guest.last, before)


def _came_first(one: Done, other: Done, before: Sequence[Mapping[str, frozenset[str]]]) -> bool:
    return one.stage < other.stage or (one.stage == other.stage and one.action.id in before[other.stage][other.action.id])


def _obstacle(way: _Way, one: Returning) -> str | None:
    if one.home not in way.hosts:
        return f"{one.home} is no compute host any more."
    if _enable(one.home) in way.drafts and way.drafts[_enable(one.home)][0].args.get("status") == "disabled":
        return f"{one.home} was disabled before the run, and takes no server."
    if pinned.verb_for(one.server) is None:
        return f"it is {one.server.status}, which neither live nor cold migration accepts."
    return None


def _migration(way: _Way, one: Returning, number: int) -> Action:
    server, verb = one.server, pinned.verb_for(one.server)
    assert verb is not None  # noqa: S101 it would be an obstacle
    args = {"from": one.away, "to": one.home} | ({"block_migration": "auto"} if verb is Verb.LIVE_MIGRATE else {})
    return Action(
        id=f"{verb}/server/{server.id}",
        verb=verb,
        target=Ref("server", server.id),
        args=args,
        locks=(*(_slot(way.hosts[host], number) for host in (one.away, one.home)), locks.of_server(server.id)),
        expects=server.placement_fingerprint(),
        changes={"host": (one.away, one.home)},
        why=f"{server.name or server.id} was on {one.home} before the run.",
    )


def _slot(host: Host, number: int) -> str:
    slots = locks.slots(host)
    return slots[number % len(slots)]


def _drop_what_breaks_rules(way: _Way, run: str) -> None:
    """Until the rest replays clean: without one server's return, another's may not be possible."""
    while against := _against(way, run):
        for migration, text in against.items():
            action, _ = way.drafts.pop(migration)
            name = way.servers[action.target.id].name or action.target.id
            way.say(action.target, Reason.NO_HOST, f"{name} stays on {action.args['from']}: {text}")


def _against(way: _Way, run: str) -> dict[str, str]:
    """Migration -> what the checker has against it."""
    undo = Plan(goal=UndoGoal(run=run), made_from={"old": sha256(way.old)}, actions=ordered(way.drafts.values()))
    against = {one.action: one.text for one in reversed(replay(undo, {"old": way.old}, way.policy)) if one.action}
    return {action.id: against[action.id] for action in undo.actions if is_migration(action) and action.id in against}
