"""When actions may begin: not before a moment, only in a daily window, and who goes first; pure, and right when clocks are changed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

LONGEST_SEARCH = timedelta(days=3)
"""For the next opening. A window that clocks pass over opens the day after; Samoa once left out a whole day."""
MINUTE = timedelta(minutes=1)
HIGHEST_PRIORITY = 1000

_WINDOW = re.compile(r"(?P<opens>\d\d?:\d\d)\s*-\s*(?P<closes>\d\d?:\d\d)(?:\s+(?P<zone>\S+))?", re.ASCII)
_MOMENT = re.compile(r"(?P<moment>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)\s*(?P<zone>\S+)?", re.ASCII)
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)", re.ASCII)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The hours of each day in which actions begin: from `opens` to `closes` by the clock on the wall of a zone, over midnight if it is so.

    What the clock shows counts: when it is put forward or back, a window is shorter or longer by that.
    """

    opens: str
    """HH:MM, included."""
    closes: str
    """HH:MM, excluded."""
    zone: str
    """As in the IANA's database, `UTC`, or an offset such as +02:00."""

    def __str__(self) -> str:
        return f"{self.opens} and {self.closes} {self.zone}"

    def holds(self, moment: datetime) -> bool:
        now = moment.astimezone(zone_of(self.zone)).time()
        opens, closes = time.fromisoformat(self.opens), time.fromisoformat(self.closes)
        return opens <= now < closes if opens < closes else now >= opens or now < closes

    def next_opening(self, moment: datetime) -> datetime:
        """The first moment from this one on that it holds. Changes of clocks and both ends fall on whole minutes, so those are tried."""
        if self.holds(moment):
            return moment
        on_the_minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
        for number in range(1, LONGEST_SEARCH // MINUTE):
            if self.holds(tried := on_the_minute + number * MINUTE):
                return tried
        raise AssertionError(f"{self} never opens")


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When the actions of a run may begin. Those that have begun go on."""

    not_before: str | None = None
    """ISO 8601, UTC."""
    window: Window | None = None
    priority: Annotated[int, msgspec.Meta(ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY)] = 0
    """Of those that wait for the same lock, the highest goes first."""

    def opens_at(self, now: datetime) -> datetime | None:
        """When it lets actions begin; null: now."""
        first = max(now, datetime.fromisoformat(self.not_before)) if self.not_before else now
        opening = self.window.next_opening(first) if self.window else first
        return opening if opening > now else None

    def shown(self, moment: datetime) -> str:
        """A moment, in the zone of the window."""
        zone = self.window.zone if self.window else "UTC"
        return f"{moment.astimezone(zone_of(zone)):%Y-%m-%d %H:%M} {zone}"


ALWAYS = Schedule()


def zone_of(name: str) -> tzinfo:
    """Raises ValueError, in a sentence."""
    if name.upper() in {"UTC", "Z"}:
        return UTC
    if offset := _OFFSET.fullmatch(name):
        span = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"]))
        if span < timedelta(days=1):
            return timezone(-span if offset["sign"] == "-" else span)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone that this machine knows: write it as Europe/Berlin, UTC or +02:00") from error


def window(text: str, zone: str) -> Window:
    """Of `22:00-05:00`, or `22:00-05:00 Europe/Berlin`; without a zone, that of `zone`. Raises ValueError, in a sentence."""
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no window: write it as 22:00-05:00, or 22:00-05:00 Europe/Berlin")
    zone = match["zone"] or zone
    zone_of(zone)
    try:
        opens, closes = (time.fromisoformat(match[end].zfill(5)) for end in ("opens", "closes"))
    except ValueError as error:
        raise ValueError(f"{text!r}: the hours of a day go from 00:00 to 23:59") from error
    if opens == closes:
        raise ValueError(f"{text!r}: the window closes when it opens, so that nothing would ever begin")
    return Window(opens=f"{opens:%H:%M}", closes=f"{closes:%H:%M}", zone=zone)


def moment(text: str, zone: str) -> datetime:
    """Of `2026-11-28T22:00+01:00`, `2026-11-28T21:00Z` or `2026-11-28 22:00 Europe/Berlin`; without a zone, that of `zone`.

    Raises ValueError, in a sentence, also where the clocks of the zone never show that time, or show it twice.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no time: write it as 2026-11-28T22:00+01:00, or 2026-11-28 22:00 Europe/Berlin")
    name = match["zone"] or zone
    where = zone_of(name)
    try:
        date.fromisoformat(match["moment"][:10])
        wall = datetime.fromisoformat(match["moment"]).replace(tzinfo=where)
    except ValueError as error:
        raise ValueError(f"{text!r}: there is no such day or hour") from error
    earlier, later = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    if earlier > later:
        raise ValueError(f"{text!r}: the clocks of {name} are put forward over that time: they never show it")
    if earlier < later:
        raise ValueError(f"{text!r}: the clocks of {name} show that time twice: say which with an offset, such as +02:00")
    return earlier
