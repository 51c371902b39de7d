"""Going on with a source that broke."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from decamp.copy.unbroken import LONGEST_PAUSE_SECONDS, Busy, Opened, unbroken
from decamp.model.errors import Changed, Failed, Unreachable

BYTES = bytes(range(256)) * 40
CHUNK_BYTES = 1000
AT_ONCE = (0.0, 0.0, 0.0)


class Source:
    """Breaks after so many bytes of each opening, in turn, and then no more; 0: it can't even be opened."""

    def __init__(self, *breaks: int) -> None:
        self.opened: list[int] = []
        self._breaks = iter(breaks)

    def __call__(self, position: int) -> Iterator[bytes]:
        self.opened.append(position)
        lasts = next(self._breaks, len(BYTES))
        if not lasts:
            raise Unreachable("no connection")
        return self._chunks(position, lasts)

    @staticmethod
    def _chunks(position: int, lasts: int) -> Iterator[bytes]:
        rest = BYTES[position:]
        for start in range(0, len(rest), CHUNK_BYTES):
            if start + CHUNK_BYTES > lasts:
                raise Unreachable("cut")
            yield rest[start : start + CHUNK_BYTES]


def read(open_at: Callable[[int], Opened], *, cancelled: Callable[[], bool] = lambda: False) -> bytes:
    return b"".join(unbroken(open_at, size_bytes=len(BYTES), what="it", cancelled=cancelled, pauses_seconds=AT_ONCE))


def test_a_source_that_breaks_is_read_on_from_the_chunk_that_did_not_come() -> None:
    source = Source(2500, 0, 3999)
    assert read(source) == BYTES
    assert source.opened == [0, 2000, 2000, 5000]


def test_breaks_are_counted_only_as_long_as_nothing_comes() -> None:
    assert read(Source(*[1000] * 9)) == BYTES
    source = Source(1000, 0, 0, 0)
    with pytest.raises(Unreachable, match="no connection"):
        read(source)
    assert source.opened == [0, 1000, 1000, 1000]


def test_a_source_that_ends_early_has_broken_too() -> None:
    half = len(BYTES) // 2
    assert read(lambda position: iter([BYTES[position : position + half]])) == BYTES
    with pytest.raises(Unreachable, match="ended before its 10240 bytes"):
        read(lambda position: iter([]))


def test_a_source_that_cannot_go_on_is_begun_anew_by_whoever_began() -> None:
    source = Source(2500)
    with pytest.raises(Unreachable, match=r"cut\. It cannot be read on from byte 2000"):
        read(lambda position: None if position else source(position))


def test_another_error_ends_it() -> None:
    def gone(position: int) -> Opened:
        raise Changed("gone")

    with pytest.raises(Changed):
        read(gone)


def test_a_busy_source_is_left_alone_for_as_long_as_it_asks_and_no_upload_waits_for_ever() -> None:
    answers: Iterator[Opened] = iter([Busy(0.3), iter([BYTES])])
    began = time.monotonic()
    assert read(lambda position: next(answers)) == BYTES
    assert time.monotonic() - began >= 0.3
    with pytest.raises(Unreachable, match="left alone for 16 s"):
        read(lambda position: Busy(LONGEST_PAUSE_SECONDS + 1))


def test_cancelling_ends_a_pause() -> None:
    with pytest.raises(Failed, match="stopped after 0 of 10240 bytes, because the run was cancelled"):
        read(lambda position: Busy(10), cancelled=lambda: True)


def test_what_a_source_has_too_much_of_goes_through() -> None:
    """Who reads it judges that."""
    assert read(lambda position: iter([BYTES, b"more"])) == BYTES + b"more"
