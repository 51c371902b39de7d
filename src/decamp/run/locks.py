"""Locks by name, exclusive among all actions of all runs in one state database: all of an action's, or none."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from decamp.run import schema
from decamp.run.database import Database, seconds, timestamp

ASKED_WITHIN_SECONDS = 5.0
"""Who waits asks twice a second: who has not asked for so long waits no more."""

_LOCKS, _WAITS = schema.locks, schema.waits


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a lock that somebody else wants, or goes before him."""

    name: str
    run: str
    """Empty: it was released between two looks, and may be asked for again at once."""
    action: str


def take(database: Database, names: tuple[str, ...], run: str, action: str, priority: int = 0) -> Holder | None:
    """Take all, or none and say who has the first that is taken. An action that has them already, from before a crash, keeps them.

    Who waits with a higher priority goes first, if nothing else keeps it. Nobody waits while it holds some, and all take them in the order
    of their names: there are no deadlocks.
    """
    if not names:
        return None
    with database.writing() as connection:
        holder = _before(connection, names, priority) or _take(database, connection, names, run, action)
        if holder is None:
            _wait_no_more(connection, run, action)
        else:
            _wait(database, connection, names, run, action, priority)
        return holder


def _take(database: Database, connection: sa.Connection, names: tuple[str, ...], run: str, action: str) -> Holder | None:
    mine: list[str] = []
    for name in sorted(set(names)):
        values = {"name": name, "run": run, "action": action, "taken_at": timestamp()}
        taken = connection.execute(database.insert_or_leave(_LOCKS, values)).rowcount
        row = connection.execute(sa.select(_LOCKS).where(_LOCKS.c.name == name)).one_or_none()
        if row is None or (row.run, row.action) != (run, action):
            _give_back(connection, mine)
            return Holder(name=name, run=row.run if row else "", action=row.action if row else "")
        if taken:
            mine.append(name)
    return None


def _before(connection: sa.Connection, names: tuple[str, ...], priority: int) -> Holder | None:
    """Who waits for one of these with a higher priority, and could have all that it waits for."""
    waiting = connection.execute(
        sa.select(_WAITS)
        .where(_WAITS.c.priority > priority, _WAITS.c.beat > seconds(connection) - ASKED_WITHIN_SECONDS)
        .order_by(_WAITS.c.priority.desc(), _WAITS.c.run, _WAITS.c.action)
    ).all()
    for row in waiting:
        wanted = msgspec.json.decode(row.names, type=list[str])
        common = sorted(set(wanted).intersection(names))
        if common and connection.execute(sa.select(_LOCKS.c.name).where(_LOCKS.c.name.in_(wanted)).limit(1)).first() is None:
            return Holder(name=common[0], run=row.run, action=row.action)
    return None


def _wait(database: Database, connection: sa.Connection, names: tuple[str, ...], run: str, action: str, priority: int) -> None:
    told = {"names": msgspec.json.encode(sorted(set(names))).decode(), "priority": priority, "beat": seconds(connection)}
    connection.execute(database.insert_or_leave(_WAITS, {"run": run, "action": action, **told}))
    connection.execute(sa.update(_WAITS).where(_WAITS.c.run == run, _WAITS.c.action == action).values(**told))


def _wait_no_more(connection: sa.Connection, run: str, action: str | None) -> None:
    where = [_WAITS.c.run == run] + ([_WAITS.c.action == action] if action is not None else [])
    connection.execute(sa.delete(_WAITS).where(*where))


def give_back(database: Database, run: str, action: str) -> None:
    """An action's: it begins later."""
    with database.writing() as connection:
        release(connection, run, action)


def release(connection: sa.Connection, run: str, action: str | None = None) -> None:
    """An action's, or all of a run's."""
    where = [_LOCKS.c.run == run] + ([_LOCKS.c.action == action] if action is not None else [])
    connection.execute(sa.delete(_LOCKS).where(*where))
    _wait_no_more(connection, run, action)


def _give_back(connection: sa.Connection, names: list[str]) -> None:
    if names:
        connection.execute(sa.delete(_LOCKS).where(_LOCKS.c.name.in_(names)))
