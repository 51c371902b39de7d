"""Locks by name, exclusive among all actions of all runs in one state database: all of an action's, or none."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from decamp.run import schema
from decamp.run.database import Database, timestamp

_LOCKS = schema.locks


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a lock that somebody else wants."""

    name: str
    run: str
    """Empty: it was released between two looks, and may be asked for again at once."""
    action: str


def take(database: Database, names: tuple[str, ...], run: str, action: str) -> Holder | None:
    """Take all, or none and say who has the first that is taken. An action that has them already, from before a crash, keeps them.

    Nobody waits while it holds some, and all take them in the order of their names: there are no deadlocks.
    """
    if not names:
        return None
    with database.writing() as connection:
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


def release(connection: sa.Connection, run: str, action: str | None = None) -> None:
    """An action's, or all of a run's."""
    where = [_LOCKS.c.run == run] + ([_LOCKS.c.action == action] if action is not None else [])
    connection.execute(sa.delete(_LOCKS).where(*where))


def _give_back(connection: sa.Connection, names: list[str]) -> None:
    if names:
        connection.execute(sa.delete(_LOCKS).where(_LOCKS.c.name.in_(names)))
