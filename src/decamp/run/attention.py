"""What goes on in a run as its actions have to know it: read once for all that a process performs of it, however many they are."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

import msgspec

from decamp.model.errors import Error
from decamp.run import journal
from decamp.run.database import Database

LOOK_SECONDS = 1.0
"""How old the answer may be."""

_log = logging.getLogger(__name__)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    began: float
    """By the monotonic clock, when it was asked for: what came to pass later may be missing."""
    cancel_asked: bool
    drained: bool
    holders: Mapping[str, str | None]
    """Running action -> the token of who performs it."""


class Attention:
    """For any number of threads: the first that finds the answer old asks again, the others go by the old one meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, Seen] = {}
        self._asking = threading.Lock()

    def look(self, run: str) -> Seen | None:
        """None: nobody could be asked so far."""
        seen = self._seen.get(run)
        if (seen is None or time.monotonic() - seen.began >= LOOK_SECONDS) and self._asking.acquire(blocking=seen is None):
            try:
                self._ask(run)
            finally:
                self._asking.release()
        return self._seen.get(run)

    def _ask(self, run: str) -> None:
        began = time.monotonic()
        if (seen := self._seen.get(run)) and began - seen.began < LOOK_SECONDS:
            return
        try:
            cancel_asked, drained, holders = journal.holders(self._database, run)
        except Error:
            _log.debug("how run %s stands could not be read", run, exc_info=True)
            return
        self._seen[run] = Seen(began=began, cancel_asked=cancel_asked, drained=drained, holders=holders)
