"""What the executor writes of runs that follow each other. Every write names the round in which it was decided: the fence."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from decamp.model.chain import FollowUp
from decamp.model.errors import Refused
from decamp.model.limits import Limits
from decamp.model.run import ActionState, Conclusion, RunState
from decamp.model.timing import Schedule
from decamp.run import journal, schema, workers
from decamp.run.database import Database, timestamp

_RUNS = schema.runs


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands among those that follow each other."""

    chain: str
    round: int
    concurrency: int
    over: bool
    concluded: bool
    cancel_asked: bool
    drained: bool
    schedule: Schedule
    followed_by: str | None


def standing(database: Database, run: str) -> Standing:
    with database.reading() as connection:
        row = journal.run_of(connection, run)
        return Standing(
            chain=row.chain,
            round=row.round,
            concurrency=row.concurrency,
            over=row.outcome is not None,
            concluded=row.concluded_at is not None,
            cancel_asked=row.cancel_asked_at is not None,
            drained=row.drained_at is not None,
            schedule=journal.schedule_of(row),
            followed_by=_followed_by(connection, run),
        )


class Bearings(msgspec.Struct, frozen=True, kw_only=True):
    """What of a run never changes."""

    chain: str
    sources: tuple[str, ...]
    """Runs whose facts its actions may read, the one that counts most last: what it undoes or confirms, or the first that it follows."""
    bytes_per_second: int | None
    limits: Limits


def bearings(database: Database, run: str) -> Bearings:
    with database.reading() as connection:
        row = journal.run_of(connection, run)
        sources = [run]
        while (before := journal.run_of(connection, sources[-1]).follows) and not journal.run_of(connection, before).reopened_at:
            sources.append(before)
        if row.about:
            sources.insert(0, row.about)
        limits = journal.limits_of(row)
        return Bearings(chain=row.chain, sources=tuple(sources), bytes_per_second=row.bytes_per_second, limits=limits)


def in_order(connection: sa.Connection, run: str) -> tuple[str, ...]:
    """Ids of the whole chain that the run belongs to, the first first."""
    chain = journal.run_of(connection, run).chain
    follows = {row.follows: row.id for row in connection.execute(sa.select(_RUNS.c.id, _RUNS.c.follows).where(_RUNS.c.chain == chain))}
    ids = [chain]
    while ids[-1] in follows:
        ids.append(follows[ids[-1]])
    return tuple(ids)


def last(database: Database, run: str) -> str:
    """The last run of the chain that this one belongs to."""
    with database.reading() as connection:
        return in_order(connection, run)[-1]


def resume(database: Database, run: str, worker: workers.Worker, *, now: bool = False) -> int:
    """Begin another round of the last run of a chain, on which `worker` works: of its walk, or of what follows it. The new round's number.

    What failed stays as it is: what follows plans it anew. Of a chain that was concluded, what failed so far does not count any more.
    `now`: without its schedule.
    Raises Refused if it is running, or done.
    """
    with database.writing() as connection:
        row = journal.run_of(connection, run)
        if row.whole == RunState.DONE:
            raise Refused(f"run {row.chain} is done: there is nothing to resume")
        journal.refuse_if_live(connection, run)
        values: dict[str, Any] = {"round": row.round + 1, "cancel_asked_at": None, "said": None}
        values |= {"schedule": None} if now else {}
        if row.concluded_at:
            values |= {"concluded_at": None, "whole": None, "conclusion": None, "reopened_at": timestamp()}
        connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run).values(**values))
        if row.outcome is None:
            journal.take_up_again(connection, run, {ActionState.RUNNING, ActionState.CANCELLED})
        workers.enter(connection, worker, listens=row.chain)
        return row.round + 1


def drain(database: Database, run: str, round: int) -> None:
    """Nothing more of the run begins, also of what waits for a lock or for its turn."""
    with database.writing() as connection:
        where = (_RUNS.c.id == run, _RUNS.c.round == round, _RUNS.c.drained_at.is_(None))
        connection.execute(sa.update(_RUNS).where(*where).values(drained_at=timestamp()))


def say(database: Database, run: str, round: int, text: str) -> None:
    """What is done now, between two runs."""
    with database.writing() as connection:
        connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run, _RUNS.c.round == round).values(said=text))


def take_up(database: Database, run: str, round: int, follow_up: FollowUp, *, cancelled: bool) -> str | None:
    """Store the run that follows; its id. There is one at most: where it is there already, that one's.

    None: another round has begun, or somebody has asked to cancel (was that known already, say `cancelled`). What leaves the cloud clean
    waits for no time.
    """
    try:
        with database.writing() as connection:
            row = journal.run_of(connection, run)
            if there := _followed_by(connection, run):
                return there
            if row.round != round or (row.cancel_asked_at is not None) != cancelled:
                return None
            kept = _json(follow_up.conclusion) if follow_up.conclusion else None
            connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run).values(said=None, conclusion=kept))
            return journal.insert(
                database,
                connection,
                follow_up.plan,
                number=1,
                round=round,
                chain=row.chain,
                follows=run,
                concurrency=row.concurrency,
                bytes_per_second=row.bytes_per_second,
                limits=row.limits,
                schedule=None if follow_up.conclusion else row.schedule,
            )
    except IntegrityError:
        return standing(database, run).followed_by


def conclude(database: Database, run: str, round: int, conclusion: Conclusion) -> None:
    """Nothing follows the run any more."""
    with database.writing() as connection:
        where = (_RUNS.c.id == run, _RUNS.c.round == round, _RUNS.c.concluded_at.is_(None))
        values = {"concluded_at": timestamp(), "whole": conclusion.state, "conclusion": _json(conclusion), "said": None}
        connection.execute(sa.update(_RUNS).where(*where).values(**values))


def _followed_by(connection: sa.Connection, run: str) -> str | None:
    return connection.execute(sa.select(_RUNS.c.id).where(_RUNS.c.follows == run)).scalar()


def _json(conclusion: Conclusion) -> str:
    return msgspec.json.encode(conclusion).decode()
