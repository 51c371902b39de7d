"""Waiting for a cloud to be done with something."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from decamp.model.errors import Failed

Seen = TypeVar("Seen")

GROWTH = 1.25
"""Of the pause after each look: what is waited for is seen at most a quarter of its time late, and a minute of waiting is 20 looks."""


def wait_until(
    what: str,
    look: Callable[[], Seen | None],
    *,
    timeout_seconds: float,
    cancelled: Callable[[], bool] = lambda: False,
    first_pause_seconds: float = 0.2,
    longest_pause_seconds: float = 5,
) -> Seen:
    """Look again and again, less and less often, until there is something to return. `what` completes "waited until ...".

    Raises Failed when the time is over or the run was cancelled; what `look` raises ends the waiting too.
    """
    deadline = time.monotonic() + timeout_seconds
    pause_seconds = first_pause_seconds
    while True:
        seen = look()
        if seen is not None:
            return seen
        if cancelled():
            raise Failed(f"stopped waiting until {what}, because the run was cancelled")
        if time.monotonic() >= deadline:
            raise Failed(f"waited {timeout_seconds:.0f} s in vain until {what}")
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * GROWTH, longest_pause_seconds)
