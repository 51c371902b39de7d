"""What a run has done, told whole: per resource and per server, with what changed, what was lost and why, bytes and times; pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

import msgspec

from decamp.model.chain import Chain, Link
from decamp.model.errors import Refused
from decamp.model.ledger import Entry
from decamp.model.plan import Action, MoveGoal, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionReport, ActionState, RunState, RunSummary

SCHEMA = "decamp.report/1"
LOST = "not_carried"
"""Name of the change that tells what its kind cannot carry, under which moves plan it."""
SERVING = ("volume", "port", "server_snapshot")
"""Kinds whose bytes count as their server's."""


class Outcome(enum.StrEnum):
    COPIED = "copied"
    """A copy was made in the new cloud, and proved."""
    ADOPTED = "adopted"
    """What the new cloud had already stands for it."""
    MIGRATED = "migrated"
    """It is on another host of the same cloud."""
    SHELVED = "shelved"
    FREED = "freed"
    """A host of which nothing is left in its cloud."""
    REMOVED = "removed"
    """It was deleted, or its copy was taken away again."""
    DONE = "done"
    """What was to be done with it is done."""
    UNDONE = "undone"
    """Taken back, since a hook of its server failed."""
    FAILED = "failed"
    NOT_DONE = "not_done"
    """It is to be done still, or something before it failed."""


MADE_BY = {
    Verb.CREATE: Outcome.COPIED,
    Verb.TAKE_MEMBER: Outcome.COPIED,
    Verb.ADOPT: Outcome.ADOPTED,
    Verb.REMOVE: Outcome.REMOVED,
    Verb.LIVE_MIGRATE: Outcome.MIGRATED,
    Verb.COLD_MIGRATE: Outcome.MIGRATED,
    Verb.SHELVE: Outcome.SHELVED,
    Verb.DELETE_SERVICE: Outcome.FREED,
}
"""The action that says what became of its target -> what, if all of its actions are done."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it was."""

    what: str
    before: str
    after: str
    """Empty: it is lost."""
    why: str = ""

    @property
    def is_loss(self) -> bool:
        return not self.after

    def __str__(self) -> str:
        return f"loses {self.before}" if self.what == LOST else f"{self.what}: {self.before} -> {self.after or 'nothing'}"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One action."""

    run: str
    action: str
    verb: str
    state: str
    started_at: str | None
    ended_at: str | None
    seconds: float
    bytes: int
    attempts: int
    said: str
    """Its error, its warning, or what it did."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A resource, a host, or whatever else actions had as their target."""

    kind: str
    id: str
    name: str
    project: str | None
    outcome: Outcome
    new_id: str | None = None
    verified_at: str | None = None
    changes: tuple[Change, ...] = ()
    why: str = ""
    """Why it was made, adopted or moved as it was."""
    error: str = ""
    bytes: int = 0
    """Of a server those of its disks, too."""
    seconds: float = 0
    """That its actions took, one after the other."""
    downtime_seconds: float | None = None
    """Of a server: from when it was stopped until its copy was there; null: it was not stopped, or has no copy."""
    steps: tuple[Step, ...] = ()


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for and was not done, as the plan said before."""

    kind: str
    id: str
    reason: str
    text: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = SCHEMA
    run: str
    runs: tuple[str, ...]
    """It and those that followed it."""
    verb: str
    state: str
    old: str
    new: str
    """Names of the clouds."""
    made_at: str
    project: str | None
    """It tells of this project alone; null: of all."""
    began_at: str
    ended_at: str | None
    seconds: float
    bytes: int
    undone_by: str | None
    confirmed_by: str | None
    counts: dict[str, int]
    """Outcome -> how many."""
    items: tuple[Item, ...]
    """Servers first."""
    left: tuple[Left, ...]

    @property
    def servers(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == "server")


def report(
    chain: Chain,
    entries: Iterable[Entry],
    summaries: Iterable[RunSummary],
    *,
    old: str,
    new: str,
    now: datetime,
    project: str | None = None,
) -> Report:
    """Of the runs of a chain; with `project`, only what belongs to it. Raises Refused where nothing does."""
    ledger = {(entry.run, entry.action): entry for entry in entries}
    items = _items(chain, ledger)
    left = tuple(
        Left(kind=one.ref.kind, id=one.ref.id, reason=one.reason.value, text=one.text)
        for link in chain.links
        for one in link.plan.refusals
        if project is None or _project_of(chain) == project
    )
    if project is not None:
        items = [item for item in items if item.project == project]
        if not items and not left:
            raise Refused(f"run {chain.id} has nothing that belongs to project {project}")
    items.sort(key=lambda item: item.kind != "server")
    first = next((one for one in summaries if one.id == chain.id), None)
    ended_at = chain.last.ended_at if chain.state not in {RunState.RUNNING, RunState.INTERRUPTED} else None
    return Report(
        run=chain.id,
        runs=tuple(link.report.id for link in chain.links),
        verb=str(chain.links[0].report.goal["verb"]),
        state=chain.state.value,
        old=old,
        new=new,
        made_at=now.isoformat(timespec="seconds"),
        project=project,
        began_at=chain.links[0].report.began_at,
        ended_at=ended_at,
        seconds=_between(chain.links[0].report.began_at, ended_at or now.isoformat()),
        bytes=sum(step.bytes for item in items for step in item.steps),
        undone_by=first.undone_by if first else None,
        confirmed_by=first.confirmed_by if first else None,
        counts={outcome.value: count for outcome in Outcome if (count := sum(item.outcome is outcome for item in items))},
        items=tuple(items),
        left=tuple(dict.fromkeys(left)),
    )


def _project_of(chain: Chain) -> str | None:
    """Whose all is that the first plan asks for."""
    goal = chain.links[0].plan.goal
    return goal.project if isinstance(goal, MoveGoal) else None


class _Done(msgspec.Struct, frozen=True, kw_only=True):
    """An action with what came of it."""

    link: Link
    action: Action
    report: ActionReport
    entry: Entry | None


def _items(chain: Chain, ledger: dict[tuple[str, str], Entry]) -> list[Item]:
    by_target: dict[Ref, list[_Done]] = {}
    for link in chain.links:
        reports = {one.id: one for one in link.report.actions}
        for action in link.plan.actions:
            entry = ledger.get((link.report.id, action.id))
            done = _Done(link=link, action=action, report=reports[action.id], entry=entry)
            by_target.setdefault(action.target, []).append(done)
    moved = {ref: sum(one.report.bytes for one in several) for ref, several in by_target.items()}
    return [_item(ref, several, by_target, moved) for ref, several in by_target.items()]


def _item(ref: Ref, several: list[_Done], by_target: dict[Ref, list[_Done]], moved: dict[Ref, int]) -> Item:
    main = next((one for one in reversed(several) if one.action.verb in MADE_BY), several[-1])
    resource = next((found for one in several if (found := _resource(one.action))), dict[str, Any]())
    entry = main.entry
    amount = moved[ref]
    if ref.kind == "server":
        serving = {Ref(*need) for need in resource.get("needs", ()) if need[0] in SERVING} | {Ref("server_snapshot", ref.id)}
        amount += sum(moved.get(one, 0) for one in serving)
    return Item(
        kind=ref.kind,
        id=ref.id,
        name=str(resource.get("name") or _named(several) or ""),
        project=resource.get("project") or next((one.action.args["project"] for one in several if one.action.args.get("project")), None),
        outcome=_outcome(several, main),
        new_id=entry.new_id if entry else None,
        verified_at=entry.verified_at if entry else None,
        changes=tuple(change for one in several for change in _changes(one.action)),
        why=main.action.why,
        error="; ".join(one.report.error for one in several if one.report.error),
        bytes=amount,
        seconds=round(sum(_took(one.report) for one in several), 3),
        downtime_seconds=_downtime(several) if ref.kind == "server" else None,
        steps=tuple(map(_step, several)),
    )


def _resource(action: Action) -> dict[str, Any]:
    told = action.args.get("resource")
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}


def _named(several: list[_Done]) -> str | None:
    return next((name for one in several if isinstance(name := one.action.args.get("name"), str)), None)


def _outcome(several: list[_Done], main: _Done) -> Outcome:
    """Of a target that several runs tried, the last of each action counts."""
    states = {one.action.id: one.report.state for one in several}.values()
    for state, outcome in ((ActionState.FAILED, Outcome.FAILED), (ActionState.UNDONE, Outcome.UNDONE)):
        if state in states:
            return outcome
    if any(state is not ActionState.DONE for state in states):
        return Outcome.NOT_DONE
    if main.entry and main.entry.removed_at:
        return Outcome.REMOVED
    return MADE_BY.get(main.action.verb, Outcome.DONE)


def _changes(action: Action) -> tuple[Change, ...]:
    return tuple(
        Change(what=what, before=_words(before), after=_words(after) if after is not None else "", why=action.why)
        for what, (before, after) in action.changes.items()
    )


def _words(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _step(one: _Done) -> Step:
    told = one.report
    return Step(
        run=one.link.report.id,
        action=told.id,
        verb=told.verb.value,
        state=told.state.value,
        started_at=told.started_at,
        ended_at=told.ended_at,
        seconds=_took(told),
        bytes=told.bytes,
        attempts=told.attempts,
        said=told.error or told.warning or told.said,
    )


def _took(told: ActionReport) -> float:
    return _between(told.started_at, told.ended_at) if told.started_at and told.ended_at else 0.0


def _downtime(several: list[_Done]) -> float | None:
    """From the begin of its stop, since nobody knows when in it the server went down."""
    done = {one.action.verb: one.report for one in several if one.report.state is ActionState.DONE}
    stop, create = done.get(Verb.STOP_SERVER), done.get(Verb.CREATE) or done.get(Verb.TAKE_MEMBER)
    if not stop or not create or not stop.started_at or not create.ended_at:
        return None
    return _between(stop.started_at, create.ended_at)


def _between(begin: str, end: str) -> float:
    return round(max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()), 3)
