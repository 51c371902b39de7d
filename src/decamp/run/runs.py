"""Runs, and those that follow each other, as any process may see them at any time, and ask them to stop: nothing here takes work."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from decamp.model.chain import Chain, Link
from decamp.model.documents import decode_plan
from decamp.model.errors import BadInput
from decamp.model.plan import Action, Plan
from decamp.model.run import ActionReport, ActionState, Conclusion, RunReport, RunState, RunSummary
from decamp.model.setbacks import Setback
from decamp.run import chains, journal, schema, workers
from decamp.run.database import Database, open_database
from decamp.run.ledger import Ledger, with_facts
from decamp.run.performing import GONE

WATCH_SECONDS = 0.2
LOOK_SECONDS = 1.0
"""Between two accounts of how all stands."""
OVERLAP_SECONDS = 30.0
"""Workers' clocks may differ by this much without a change being missed by `watch`; its last report misses nothing in any case."""

_RUNS, _ACTIONS = schema.runs, schema.actions


class Runs:
    """Where there is no database yet there are no runs."""

    def __init__(self, database: Database | None) -> None:
        self._database = database
        self.ledger = Ledger(database)

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *_: object) -> None:
        if self._database:
            self._database.close()

    def all(self) -> tuple[RunSummary, ...]:
        """The youngest first."""
        if self._database is None:
            return ()
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_RUNS).order_by(_RUNS.c.began_at.desc(), _RUNS.c.id)).all()
            counted: dict[str, dict[str, int]] = {}
            counts = sa.select(_ACTIONS.c.run, _ACTIONS.c.state, sa.func.count()).group_by(_ACTIONS.c.run, _ACTIONS.c.state)
            for run, state, count in connection.execute(counts):
                counted.setdefault(run, {})[state] = count
            about = _done_about(rows)
            return tuple(
                RunSummary(
                    id=row.id,
                    plan=row.plan,
                    goal=msgspec.json.decode(row.goal),
                    state=_state(connection, row),
                    chain=row.chain,
                    whole=_whole(connection, row),
                    began_at=row.began_at,
                    ended_at=row.ended_at,
                    actions={state: counted.get(row.id, {})[state] for state in ActionState if state in counted.get(row.id, {})},
                    undone_by=about.get((row.id, "undo")),
                    confirmed_by=about.get((row.id, "confirm")),
                    waits_until=_waits_until(row),
                    priority=journal.schedule_of(row).priority,
                )
                for row in rows
            )

    def resolve(self, given: str) -> str:
        """The id of the run whose id begins like this. Raises BadInput if there is none, or several."""
        ids = [run for run in self._ids() if run.startswith(given)] if given else []
        if given in ids:
            return given
        if len(ids) == 1:
            return ids[0]
        if ids:
            raise BadInput(f"several runs begin with {given!r}: {', '.join(sorted(ids)[:5])}")
        raise BadInput(f"there is no run {given!r}: see `decamp runs`")

    def plan(self, run: str) -> Plan:
        """The plan that it applies."""
        database, run = self._there(), self.resolve(run)
        query = sa.select(schema.plans.c.document).join(_RUNS, _RUNS.c.plan == schema.plans.c.id).where(_RUNS.c.id == run)
        with database.reading() as connection:
            return decode_plan(connection.execute(query).scalar_one(), f"plan of run {run}")

    def report(self, run: str) -> RunReport:
        run = self.resolve(run)
        actions = {action.id: action for action in self.plan(run).actions}
        with self._there().reading() as connection:
            rows = connection.execute(sa.select(_ACTIONS).where(_ACTIONS.c.run == run).order_by(_ACTIONS.c.position)).all()
            return _report(connection, run, tuple(_action(actions[row.id], row) for row in rows))

    def chain(self, run: str) -> Chain:
        """All runs of those that follow each other of which this is one."""
        run = self.resolve(run)
        with self._there().reading() as connection:
            ids = chains.in_order(connection, run)
        return Chain(links=tuple(self._link(one) for one in ids))

    def last(self, run: str) -> str:
        """The id of the last run of those that follow each other of which this is one."""
        return chains.last(self._there(), self.resolve(run))

    def cancel(self, run: str) -> RunState:
        """Ask the run, or what follows it, to stop. RUNNING: its workers will; INTERRUPTED: there are none (`Engine.settle`).

        Raises Refused if it is over.
        """
        return journal.ask_cancel(self._there(), self.last(run))

    def unsettled(self, run: str) -> tuple[str, ...]:
        """Ids of its actions of which nobody knows whether an attempt left something behind (`Engine.settle` finds out)."""
        return journal.unsettled(self._there(), self.resolve(run))

    def watch(
        self,
        run: str,
        on_event: Callable[[ActionReport], None] | None = None,
        on_look: Callable[[Chain], None] | None = None,
        until: Callable[[], bool] | None = None,
    ) -> RunReport:
        """Tell every change of an action of the run and of those that follow it, and now and then how all stands.

        Until nothing goes on any more, or `until` says so. Returns the last run as it then is.
        """
        run = self.resolve(run)
        earlier = list(self.chain(run).links) if on_look else []
        earlier = earlier[: next((number for number, link in enumerate(earlier) if link.report.id == run), 0)]
        while True:
            head = self._watch_one(run, on_event, on_look and (lambda link: on_look(Chain(links=(*earlier, link)))), until)
            followed_by = chains.standing(self._there(), run).followed_by
            if followed_by is None or (until and until()):
                return self.report(head.id)
            if on_look:
                earlier.append(self._link(run))
            run = followed_by

    def _watch_one(
        self,
        run: str,
        on_event: Callable[[ActionReport], None] | None,
        on_look: Callable[[Link], None] | None,
        until: Callable[[], bool] | None,
    ) -> RunReport:
        """Until another run follows, or nothing goes on any more."""
        database, plan = self._there(), self.plan(run)
        actions = {action.id: action for action in plan.actions}
        seen: dict[str, ActionReport] = {}
        since, looked_at = 0.0, float("-inf")
        while True:
            with database.reading() as connection:
                head = _report(connection, run, ())
                rows = connection.execute(
                    sa.select(_ACTIONS).where(_ACTIONS.c.run == run, _ACTIONS.c.changed >= since).order_by(_ACTIONS.c.changed)
                ).all()
            for row in rows:
                report = _action(actions[row.id], row)
                if on_event and report != seen.get(row.id) and (row.id in seen or report.state is not ActionState.WAITING):
                    on_event(report)
                seen[row.id] = report
                since = max(since, row.changed - OVERLAP_SECONDS)
            over = head.whole is not RunState.RUNNING or chains.standing(database, run).followed_by is not None
            if on_look and (over or time.monotonic() - looked_at >= LOOK_SECONDS):
                in_order = tuple(seen[action.id] for action in plan.actions)
                on_look(Link(plan=plan, report=msgspec.structs.replace(head, actions=in_order)))
                looked_at = time.monotonic()
            if over or (until and until()):
                return head
            time.sleep(WATCH_SECONDS)

    def _link(self, run: str) -> Link:
        with self._there().reading() as connection:
            gone = with_facts(connection, run, GONE)
        return Link(plan=self.plan(run), report=self.report(run), gone=gone)

    def _ids(self) -> tuple[str, ...]:
        if self._database is None:
            return ()
        with self._database.reading() as connection:
            return tuple(connection.execute(sa.select(_RUNS.c.id)).scalars())

    def _there(self) -> Database:
        if self._database is None:
            raise BadInput("there are no runs yet")
        return self._database


def open_runs(url: str) -> Runs:
    """Raises BadInput, Failed or Unreachable if the database cannot be used; makes none."""
    return Runs(open_database(url, create=False))


def _state(connection: sa.Connection, row: Any) -> RunState:
    if row.outcome is not None:
        return RunState(row.outcome)
    return _going_on(connection, row)


def _whole(connection: sa.Connection, row: Any) -> RunState:
    return RunState(row.whole) if row.concluded_at is not None else _going_on(connection, row)


def _going_on(connection: sa.Connection, row: Any) -> RunState:
    return RunState.RUNNING if workers.live_for(connection, row.chain) else RunState.INTERRUPTED


def _waits_until(row: Any) -> str | None:
    """In the zone of its window."""
    if row.outcome is not None or row.cancel_asked_at is not None:
        return None
    schedule = journal.schedule_of(row)
    opens_at = schedule.opens_at(datetime.now(UTC))
    return schedule.shown(opens_at) if opens_at else None


def _report(connection: sa.Connection, run: str, actions: tuple[ActionReport, ...]) -> RunReport:
    row = connection.execute(sa.select(_RUNS).where(_RUNS.c.id == run)).one()
    return RunReport(
        id=row.id,
        plan=row.plan,
        goal=msgspec.json.decode(row.goal),
        state=_state(connection, row),
        concurrency=row.concurrency,
        began_at=row.began_at,
        ended_at=row.ended_at,
        cancel_asked_at=row.cancel_asked_at,
        chain=row.chain,
        follows=row.follows,
        drained_at=row.drained_at,
        concluded_at=row.concluded_at,
        conclusion=None if row.conclusion is None else msgspec.json.decode(row.conclusion, type=Conclusion),
        reopened_at=row.reopened_at,
        whole=_whole(connection, row),
        said=row.said or "",
        bytes_per_second=row.bytes_per_second,
        schedule=journal.schedule_of(row),
        waits_until=_waits_until(row),
        actions=actions,
    )


def _action(action: Action, row: Any) -> ActionReport:
    return ActionReport(
        id=row.id,
        verb=action.verb,
        target=action.target,
        state=ActionState(row.state),
        attempts=row.attempts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        said=row.said,
        error=row.error,
        error_kind=row.error_kind,
        setback=None if row.setback is None else msgspec.json.decode(row.setback, type=Setback),
        warning=row.warning,
        bytes=row.bytes,
        progress=None if row.progress_total is None else (row.progress_done or 0, row.progress_total),
        worker=row.worker,
    )


def _done_about(rows: Any) -> dict[tuple[str, str], str]:
    """(run, undo or confirm) -> the run that did that to it."""
    return {(row.about, msgspec.json.decode(row.goal)["verb"]): row.id for row in rows if row.about and row.outcome == RunState.DONE}
