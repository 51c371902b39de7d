"""Paces migrations, so that all that are begun on one state database take no more bytes a second than they may.

Each takes as much of the time line as its bytes take at that rate, and the next begins when that is over: from the begin of any
migration to that of any later one, what was begun is at most the rate times the time between. Nothing is saved up while nothing is begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import sqlalchemy as sa

from decamp.run import schema
from decamp.run.database import Database, seconds

LONGEST_SECONDS = 1.0
"""Between two looks at who else has begun something, and at whether to wait at all."""

_PACES = schema.paces
_MIGRATIONS = "migrations"


def admit(free_at: float, now: float, amount: int, bytes_per_second: int) -> tuple[float, float]:
    """(seconds to wait, or 0: it may begin; when the time line is free then)."""
    if now < free_at:
        return free_at - now, free_at
    return 0.0, now + amount / bytes_per_second


class Turnstile:
    """One for a process: its migrations pass one by one, and only the first in the queue looks at the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._first = threading.Lock()

    def enter(self, amount: int, bytes_per_second: int, wait: Callable[[float], None]) -> None:
        """Returns when a migration of so many bytes may begin. `wait` sleeps, and raises what gives the place up."""
        while not self._first.acquire(timeout=LONGEST_SECONDS):
            wait(0)
        try:
            while pause := self._database.steadily(lambda: self._admit(amount, bytes_per_second)):
                wait(min(pause, LONGEST_SECONDS))
        finally:
            self._first.release()

    def charge(self, amount: int, bytes_per_second: int) -> None:
        """A migration took so many bytes more than it was admitted with."""
        with self._database.writing() as connection:
            connection.execute(sa.update(_PACES).values(free_at=_PACES.c.free_at + amount / bytes_per_second))

    def _admit(self, amount: int, bytes_per_second: int) -> float:
        with self._database.writing() as connection:
            now = seconds(connection)
            connection.execute(self._database.insert_or_leave(_PACES, {"name": _MIGRATIONS, "free_at": 0.0}))
            free_at = connection.execute(sa.select(_PACES.c.free_at).with_for_update()).scalar_one()
            pause, free_at = admit(free_at, now, amount, bytes_per_second)
            if not pause:
                connection.execute(sa.update(_PACES).values(free_at=free_at))
            return pause
