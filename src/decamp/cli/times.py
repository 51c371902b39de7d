"""Times and windows as people type them, in the zone of this machine where they name none."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from decamp.cli.words import duration
from decamp.model import timing
from decamp.model.timing import HIGHEST_PRIORITY, Schedule, Window

ZONES = "/zoneinfo/"
"""In the path of the file that /etc/localtime leads to (tzset(3), localtime(5)); the rest is the name of the zone."""


def schedule_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at",
        type=_moment,
        metavar="TIME",
        help="begin nothing before this time: 2026-11-28T22:00+01:00, or '2026-11-28 22:00 Europe/Berlin'",
    )
    parser.add_argument(
        "--between",
        type=_window,
        metavar="WINDOW",
        help="begin actions only in these hours of each day: 22:00-05:00, or '22:00-05:00 Europe/Berlin' (default: this machine's zone)",
    )
    parser.add_argument(
        "--priority",
        type=_priority,
        default=0,
        metavar="N",
        help="where actions of several runs wait for the same lock, those of the run with the highest go first (default: 0)",
    )


def schedule_of(parsed_args: argparse.Namespace) -> Schedule:
    at: datetime | None = parsed_args.at
    not_before = at.isoformat().replace("+00:00", "Z") if at else None
    return Schedule(not_before=not_before, window=parsed_args.between, priority=parsed_args.priority)


def told(schedule: Schedule) -> list[str]:
    """What it means, for who is asked."""
    now = datetime.now(UTC)
    opens_at = schedule.opens_at(now)
    lines: list[str] = []
    if opens_at:
        lines.append(f"It waits until {schedule.shown(opens_at)}, {duration((opens_at - now).total_seconds())} from now.")
    if schedule.window:
        lines.append(f"Actions begin only between {schedule.window}; what runs then goes on, and no server is left stopped.")
    return lines


def local_zone() -> str:
    """The name of this machine's time zone: that of TZ, else of /etc/localtime, else UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    linked = str(Path("/etc/localtime").resolve()).partition(ZONES)[2]
    for name in (named, linked):
        try:
            timing.zone_of(name)
        except ValueError:
            continue
        return name
    return "UTC"


def _moment(text: str) -> datetime:
    try:
        moment = timing.moment(text, local_zone())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if moment <= datetime.now(UTC):
        raise argparse.ArgumentTypeError(f"{text!r} is over: leave --at away to begin now")
    return moment


def _window(text: str) -> Window:
    try:
        return timing.window(text, local_zone())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _priority(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from error
    if abs(number) > HIGHEST_PRIORITY:
        raise argparse.ArgumentTypeError(f"{number} is not between -{HIGHEST_PRIORITY} and {HIGHEST_PRIORITY}")
    return number
