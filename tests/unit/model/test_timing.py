"""When actions may begin, on the days when clocks are changed too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from decamp.model.timing import Schedule, Window, moment, window

NIGHT = Window(opens="22:00", closes="05:00", zone="Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-28T21:59:59+01:00", "2026-11-28T22:00:00+01:00"),
        ("2026-11-28T22:00:00+01:00", None),
        ("2026-11-29T00:30:00+01:00", None),
        ("2026-11-29T04:59:59+01:00", None),
        ("2026-11-29T05:00:00+01:00", "2026-11-29T22:00:00+01:00"),
        ("2026-11-29T11:11:11+01:00", "2026-11-29T22:00:00+01:00"),
    ],
)
def test_a_window_over_midnight_opens_in_the_evening_and_closes_in_the_morning(now: str, opens: str | None) -> None:
    assert Schedule(window=NIGHT).opens_at(at(now)) == (at(opens) if opens else None)


@pytest.mark.parametrize(
    ("evening", "hours"),
    [("2026-03-28", 6), ("2026-03-29", 7), ("2026-10-24", 8), ("2026-10-25", 7)],
    ids=["forward", "the night after forward", "back", "the night after back"],
)
def test_a_night_is_as_long_as_the_clocks_make_it(evening: str, hours: int) -> None:
    begin = NIGHT.next_opening(at(f"{evening}T12:00:00Z"))
    minutes = 0
    while NIGHT.holds(datetime.fromtimestamp(begin.timestamp() + minutes * 60, UTC)):
        minutes += 1
    assert minutes == hours * 60
    assert f"{begin.astimezone(UTC):%Y-%m-%d}" == evening


def test_a_window_that_begins_where_clocks_are_put_forward_opens_when_they_are() -> None:
    late = Window(opens="02:15", closes="04:00", zone="Europe/Berlin")
    assert late.next_opening(at("2026-03-29T00:00:00Z")) == at("2026-03-29T01:00:00Z")


def test_a_window_that_clocks_pass_over_opens_the_day_after() -> None:
    gone = Window(opens="02:00", closes="03:00", zone="Europe/Berlin")
    assert gone.next_opening(at("2026-03-28T12:00:00Z")) == at("2026-03-30T00:00:00Z")


def test_a_time_that_the_window_does_not_hold_waits_for_the_window() -> None:
    schedule = Schedule(not_before="2026-11-28T08:00:00Z", window=NIGHT)
    assert schedule.opens_at(at("2026-11-27T23:00:00Z")) == at("2026-11-28T21:00:00Z")
    assert schedule.opens_at(at("2026-11-28T21:00:00Z")) is None


def test_a_schedule_that_says_nothing_is_always_open() -> None:
    assert Schedule(priority=3).opens_at(at("2026-11-28T08:00:00Z")) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-28T22:00+01:00", "2026-11-28T21:00Z"),
        ("2026-11-28T22:00Z", "2026-11-28T22:00Z"),
        ("2026-11-28 22:00:30 Europe/Berlin", "2026-11-28T21:00:30Z"),
        ("2026-07-28T22:00 Europe/Berlin", "2026-07-28T20:00Z"),
        ("2026-11-28T22:00", "2026-11-29T03:00Z"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30Z"),
    ],
)
def test_a_time_is_read_in_its_zone_else_in_the_one_that_is_given(text: str, meant: str) -> None:
    assert moment(text, "America/New_York") == at(meant)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tomorrow", "is no time"),
        ("22:00", "is no time"),
        ("2026-11-28", "is no time"),
        ("2026-02-30T22:00Z", "no such day or hour"),
        ("2026-11-28T25:00Z", "no such day or hour"),
        ("2026-11-28T22:00 Europe/Nowhere", "is no time zone"),
        ("2026-11-28T22:00 ../etc/passwd", "is no time zone"),
        ("2026-11-28T22:00+99:00", "is no time zone"),
        ("2026-03-29T02:30 Europe/Berlin", "never show it"),
        ("2026-10-25T02:30 Europe/Berlin", "show that time twice"),
    ],
)
def test_a_bad_time_is_told_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        moment(text, "UTC")


def test_a_window_is_read_with_its_zone_and_without() -> None:
    assert window("22:00-5:00", "Europe/Berlin") == NIGHT
    assert window("22:00 - 05:00 Europe/Berlin", "UTC") == NIGHT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("22-5", "is no window"),
        ("22:00-24:00", "from 00:00 to 23:59"),
        ("22:60-05:00", "from 00:00 to 23:59"),
        ("22:00-22:00", "closes when it opens"),
        ("22:00-05:00 Mars/Base", "is no time zone"),
        ("", "is no window"),
    ],
)
def test_a_bad_window_is_told_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        window(text, "UTC")
