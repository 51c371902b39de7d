"""A source that is opened again where it broke, so that what reads it sees one stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from decamp.model.errors import Failed, Unreachable

PAUSES_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Before each new attempt since the last byte that came. The upload waits meanwhile, and servers give up on it after a minute or so
(Apache's Timeout: 60 s): longer than this in all, and there is nothing left to go on with."""
LONGEST_PAUSE_SECONDS = 15.0
"""That a source may ask for, for the same reason."""
LOOK_SECONDS = 0.2


class Busy(msgspec.Struct, frozen=True):
    """The source asks to be left alone for a while."""

    seconds: float


Opened = Iterator[bytes] | Busy | None
"""The bytes from the asked position to the end; or none, where the source cannot be read on from there."""


def unbroken(
    open_at: Callable[[int], Opened],
    *,
    size_bytes: int,
    what: str,
    cancelled: Callable[[], bool],
    pauses_seconds: Sequence[float] = PAUSES_SECONDS,
) -> Iterator[bytes]:
    """All chunks of `open_at(0)`; where that breaks off, of `open_at(position)`, as long as bytes keep coming. `what` names the source.

    A break is an Unreachable, or an end before `size_bytes`. Raises Unreachable when as many attempts as there are pauses bring no byte,
    or the source cannot go on: then the whole transfer may be made again. Raises Failed if it was cancelled while it paused.
    """
    position = failures = 0
    broken = Unreachable(f"{what} gave nothing")
    while True:
        goes_on, asked_seconds = True, 0.0
        try:
            opened = open_at(position)
            if opened is None:
                goes_on = False
            elif isinstance(opened, Busy):
                asked_seconds = opened.seconds
                broken = Unreachable(f"{what} is busy, and asks to be left alone for {asked_seconds:.0f} s")
            else:
                broken = Unreachable(f"{what} ended before its {size_bytes} bytes")
                for chunk in opened:
                    position += len(chunk)
                    failures = 0
                    yield chunk
        except Unreachable as error:
            broken = error
        if position >= size_bytes:
            return
        if not goes_on:
            raise Unreachable(f"{broken}. It cannot be read on from byte {position}: the copy begins anew") from broken
        if failures >= len(pauses_seconds) or asked_seconds > LONGEST_PAUSE_SECONDS:
            raise broken
        _pause(max(pauses_seconds[failures], asked_seconds), cancelled, f"stopped after {position} of {size_bytes} bytes")
        failures += 1


def _pause(seconds: float, cancelled: Callable[[], bool], stopped: str) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if cancelled():
            raise Failed(f"{stopped}, because the run was cancelled")
        time.sleep(min(left, LOOK_SECONDS))
