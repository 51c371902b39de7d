"""Turns: who of all runs in one state database moves something now, where the number of moves at a time is limited.

A move takes all that its limits ask for in one transaction, and keeps it until its last action has ended, also while nobody works on its
run. Who waits for a turn has neither a lock nor a place among the actions that are performed at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import sqlalchemy as sa

from decamp.model.limits import Full, Limits, Move, Turn, admit
from decamp.run import schema
from decamp.run.database import Database, seconds, timestamp
from decamp.run.locks import ASKED_WITHIN_SECONDS

MOST_TOLD = 50
"""Of the moves that a run waits with: so many stand before those of other runs."""

_TURNS, _WAITS = schema.turns, schema.turn_waits


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    granted: tuple[str, ...] = ()
    """Names of moves that have their turn now."""
    waiting: tuple[tuple[str, Full], ...] = ()
    """Those for which there is no room, and why."""


def held(database: Database, run: str) -> tuple[str, ...]:
    """Names of the run's moves that have their turn."""
    with database.reading() as connection:
        return tuple(connection.execute(sa.select(_TURNS.c.name).where(_TURNS.c.run == run).order_by(_TURNS.c.name)).scalars())


def ask(database: Database, run: str, moves: Sequence[Move], limits: Limits, priority: int, most: int = 1) -> Answer:
    """Give turns to the first of these moves, `most` of them, for which the limits leave room; one that has its turn keeps it.

    Runs of a higher priority go first, and of the same those whose last turn was given to them longer ago.
    """
    with database.writing() as connection:
        database.only_one(connection, "decamp_turn")
        holders = [_turn(row) for row in connection.execute(sa.select(_TURNS))]
        mine = {turn.move.name for turn in holders if turn.run == run}
        wanted = [Turn(run=run, move=move) for move in moves if move.name not in mine]
        granted, waiting = admit(wanted, holders, _ahead(connection, run, priority), limits, most)
        for turn in granted:
            move = msgspec.json.encode(turn.move).decode()
            connection.execute(sa.insert(_TURNS).values(run=run, name=turn.move.name, move=move, taken_at=timestamp()))
        _wait(database, connection, run, [turn.move for turn, _ in waiting], priority, anew=bool(granted))
        return Answer(
            granted=tuple(move.name for move in moves if move.name in mine) + tuple(turn.move.name for turn in granted),
            waiting=tuple((turn.move.name, full) for turn, full in waiting),
        )


def give_back(database: Database, run: str, names: Collection[str]) -> None:
    with database.writing() as connection:
        connection.execute(sa.delete(_TURNS).where(_TURNS.c.run == run, _TURNS.c.name.in_(sorted(names))))


def release(connection: sa.Connection, run: str) -> None:
    """All of a run's, that is over."""
    for table in (_TURNS, _WAITS):
        connection.execute(sa.delete(table).where(table.c.run == run))


def _ahead(connection: sa.Connection, run: str, priority: int) -> list[Turn]:
    """What other runs that go first wait for."""
    since = connection.execute(sa.select(_WAITS.c.since).where(_WAITS.c.run == run)).scalar() or seconds(connection)
    rows = connection.execute(
        sa.select(_WAITS)
        .where(_WAITS.c.run != run, _WAITS.c.beat > seconds(connection) - ASKED_WITHIN_SECONDS)
        .where(sa.or_(_WAITS.c.priority > priority, sa.and_(_WAITS.c.priority == priority, _WAITS.c.since < since)))
        .order_by(_WAITS.c.priority.desc(), _WAITS.c.since, _WAITS.c.run)
    )
    return [Turn(run=row.run, move=move) for row in rows for move in msgspec.json.decode(row.moves, type=tuple[Move, ...])]


def _wait(database: Database, connection: sa.Connection, run: str, moves: Sequence[Move], priority: int, *, anew: bool) -> None:
    """`anew`: it got a turn, and stands at the end again."""
    now = seconds(connection)
    told = {"moves": msgspec.json.encode(moves[:MOST_TOLD]).decode(), "priority": priority, "beat": now}
    connection.execute(database.insert_or_leave(_WAITS, {"run": run, "since": now, **told}))
    connection.execute(sa.update(_WAITS).where(_WAITS.c.run == run).values(**told, **({"since": now} if anew else {})))


def _turn(row: sa.Row) -> Turn:
    return Turn(run=row.run, move=msgspec.json.decode(row.move, type=Move))
