"""When a run's copies have stood long enough that policy gives up the old ones."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from decamp.model.ledger import Entry


class Outcome(enum.StrEnum):
    CONFIRMED = "confirmed"
    """It was due, and what it left in the old cloud is deleted."""
    LATER = "later"
    """It is not due yet, or not over."""
    NOTHING = "nothing"
    """It has nothing to confirm."""
    FAILED = "failed"
    """It was due, and its confirm did not go through."""


class DueRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that moved something, and that nobody has confirmed or undone."""

    run: str
    project: str
    outcome: Outcome
    verified_at: str | None = None
    """When the last of its copies was proved."""
    due_at: str | None = None
    confirmed_by: str | None = None
    """The run that confirms it."""
    text: str = ""
    exit_code: int = 0


def verified_at(entries: Iterable[Entry], run: str) -> datetime | None:
    """When the last copy was proved that the run made and that is still there; null: it has none, or one that is not proved."""
    copies = [entry.verified_at for entry in entries if entry.run == run and entry.new_id and not entry.adopted and not entry.removed_at]
    if not copies or None in copies:
        return None
    return max(datetime.fromisoformat(one) for one in copies if one)


def due_at(verified: datetime, days: float) -> datetime:
    return verified + timedelta(days=days)
