"""Backoff."""

from __future__ import annotations

from decamp.run.patience import Patience

PATIENCE = Patience(first_seconds=1, longest_seconds=60, total_seconds=1000)


def test_pauses_double_up_to_the_longest() -> None:
    assert [PATIENCE.pause(failures, 0, jitter=1) for failures in (1, 2, 3, 7, 1000)] == [1, 2, 4, 60, 60]


def test_jitter_takes_away_up_to_half() -> None:
    assert PATIENCE.pause(3, 0, jitter=0) == 2
    assert all(2 <= (PATIENCE.pause(3, 0) or 0) <= 4 for _ in range(50))


def test_patience_ends() -> None:
    assert PATIENCE.pause(9, 999, jitter=1) == 1
    assert PATIENCE.pause(9, 1000) is None
