"""Paces migrations and copies, so that all of one state database together take no more bytes a second than they may.

A migration takes as much of a time line as its bytes take at that rate, and the next begins when that is over: from the begin of any
migration to that of any later one, what was begun is at most the rate times the time between. Copies take theirs an eighth of a second at
a time, of the project's time line and of that of all. Nothing is saved up while nothing is begun.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import sqlalchemy as sa

from decamp.model.effects import Pace, unpaced
from decamp.model.limits import Limits
from decamp.run import schema
from decamp.run.database import Database, seconds

LONGEST_SECONDS = 1.0
"""Between two looks at who else has begun something, and at whether to wait at all."""

SLICE_SECONDS = 0.125
"""What copies take of a time line at a time, and how late one may be that does not lose by it. A window of w seconds carries one slice
too much for each, and one for each process that has some left: with two processes 5 % of ten seconds at the most."""
LONGEST_SLICE_SECONDS = 0.5
"""Where copies of many projects go on in one process, each takes more at a time, so that the database is not written more often."""
KEPT_SECONDS = 1.0
"""What was not used of a slice by then is lost: a copy that is slow does not save up."""
MOST_AHEAD_SECONDS = 60.0
"""No queue of copies is as long: a time line that is has been left by a clock that was set back."""

_PACES = schema.paces
_MIGRATIONS = "migrations"
_COPIES = "copies"


def admit(free_at: float, now: float, amount: int, bytes_per_second: int) -> tuple[float, float]:
    """(seconds to wait, or 0: it may begin; when the time line is free then)."""
    if now < free_at:
        return free_at - now, free_at
    return 0.0, now + amount / bytes_per_second


def reserve(free_at: Sequence[float], now: float, amount: int, rates: Sequence[int]) -> tuple[float, tuple[float, ...] | None]:
    """(seconds to wait until so many bytes may go, when each time line is free then).

    Of the last line a place is taken ahead. Where another is not free yet, nothing is taken (null): what would lie idle in the last one
    until then is left to others, and it is asked again.
    """
    free = [max(one, now - SLICE_SECONDS) for one in free_at]
    if (pause := max(free[:-1], default=now) - now) > 0:
        return pause, None
    free[-1] = min(free[-1], now + MOST_AHEAD_SECONDS)
    begin = max(now, free[-1])
    return begin - now, tuple(max(one, begin - SLICE_SECONDS) + amount / rate for one, rate in zip(free, rates, strict=True))


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
            passed = _PACES.c.free_at + amount / bytes_per_second
            connection.execute(sa.update(_PACES).where(_PACES.c.name == _MIGRATIONS).values(free_at=passed))

    def _admit(self, amount: int, bytes_per_second: int) -> float:
        with self._database.writing() as connection:
            now = seconds(connection)
            pause, free_at = admit(_free_at(self._database, connection, _MIGRATIONS), now, amount, bytes_per_second)
            if not pause:
                connection.execute(sa.update(_PACES).where(_PACES.c.name == _MIGRATIONS).values(free_at=free_at))
            return pause


class Rations:
    """One for a process: what its copies may carry, by the limits of their runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rations: dict[tuple[_Line, ...], _Ration] = {}
        self._making = threading.Lock()

    def pace(self, limits: Limits, project: str | None) -> Pace:
        """For copies of what belongs to this project. What it returns is for any number of threads; it raises as Database does."""
        lines: list[_Line] = []
        if limits.copy_rate_per_project is not None:
            lines.append(_Line(name=_of_project(project), bytes_per_second=limits.copy_rate_per_project))
        if limits.copy_rate is not None:
            lines.append(_Line(name=_COPIES, bytes_per_second=limits.copy_rate))
        if not lines:
            return unpaced
        key = tuple(lines)
        with self._making:
            if key not in self._rations:
                self._rations[key] = _Ration(self._database, key, self._active)
            return self._rations[key].take

    def _active(self) -> int:
        """How many take bytes at this time."""
        with self._making:
            since = time.monotonic() - KEPT_SECONDS
            return sum(one.asked_at > since for one in self._rations.values())


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A time line in the database."""

    name: str
    bytes_per_second: int


class _Ration:
    """What copies with the same limits, in this process, may carry: taken from the database slice by slice."""

    def __init__(self, database: Database, lines: tuple[_Line, ...], active: Callable[[], int]) -> None:
        """`lines`: that of all copies last."""
        self._database, self._lines, self._active = database, lines, active
        self._first = threading.Lock()
        self._left, self._begin = 0, 0.0
        self.asked_at = 0.0

    def take(self, wanted: int) -> int:
        if not self._first.acquire(timeout=LONGEST_SECONDS):
            return 0
        try:
            self.asked_at = time.monotonic()
            if not self._left or self.asked_at > self._begin + KEPT_SECONDS:
                self._claim()
            pause = self._begin - time.monotonic()
            if pause > 0:
                time.sleep(min(pause, LONGEST_SECONDS))
            taken = min(wanted, self._left) if pause <= LONGEST_SECONDS else 0
            self._left -= taken
            return taken
        finally:
            self._first.release()

    def _claim(self) -> None:
        """A slice, or the time when to ask again."""
        rates = [line.bytes_per_second for line in self._lines]
        longest = [min(SLICE_SECONDS * max(1, self._active()), LONGEST_SLICE_SECONDS)] * len(rates)
        if self._lines[-1].name == _COPIES:
            longest[-1] = SLICE_SECONDS
        amount = max(1, int(min(rate * seconds for rate, seconds in zip(rates, longest, strict=True))))
        pause, taken = self._database.steadily(lambda: self._reserve(amount, rates))
        self._left, self._begin = amount if taken else 0, time.monotonic() + pause

    def _reserve(self, amount: int, rates: Sequence[int]) -> tuple[float, bool]:
        names = [line.name for line in self._lines]
        with self._database.writing() as connection:
            free_at = {name: _free_at(self._database, connection, name) for name in sorted(names)}
            pause, taken = reserve([free_at[name] for name in names], seconds(connection), amount, rates)
            for name, free in zip(names, taken or (), strict=False):
                connection.execute(sa.update(_PACES).where(_PACES.c.name == name).values(free_at=free))
            return pause, taken is not None


def _free_at(database: Database, connection: sa.Connection, name: str) -> float:
    """Of a time line, which nobody else moves on until the transaction is over."""
    connection.execute(database.insert_or_leave(_PACES, {"name": name, "free_at": 0.0}))
    return connection.execute(sa.select(_PACES.c.free_at).where(_PACES.c.name == name).with_for_update()).scalar_one()


def _of_project(project: str | None) -> str:
    """As long as a column for names takes, whatever ids a cloud has."""
    return f"{_COPIES}/{hashlib.sha256((project or '').encode()).hexdigest()[:32]}"
