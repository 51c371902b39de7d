"""What migrations and copies may take a second, kept by all that begin some."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest
from clerk import Desk, a_plan, an_action
from hypothesis import given
from hypothesis import strategies as st

from decamp.model.effects import unpaced
from decamp.model.limits import Limits
from decamp.model.plan import Verb
from decamp.model.rates import bytes_per_second
from decamp.model.refs import Ref
from decamp.run.database import Database, open_database
from decamp.run.pacing import MOST_AHEAD_SECONDS, SLICE_SECONDS, Rations, Turnstile, admit, reserve


@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.floats(0, 1000)), min_size=2, max_size=30),
    st.integers(10**6, 10**10),
)
def test_from_any_begin_to_any_later_one_no_more_is_begun_than_the_rate_allows(asked: list[tuple[int, float]], rate: int) -> None:
    free_at = now = 0.0
    begun: list[tuple[float, int]] = []
    for amount, pause in asked:
        now += pause
        wait, free_at = admit(free_at, now, amount, rate)
        now += wait
        again, free_at = admit(free_at, now, amount, rate) if wait else (0.0, free_at)
        assert again == pytest.approx(0, abs=1e-6)
        begun.append((now, amount))
    for first, last in itertools.combinations(range(len(begun)), 2):
        window = begun[last][0] - begun[first][0]
        assert sum(amount for _, amount in begun[first:last]) <= rate * window * (1 + 1e-9) + rate * 1e-6


def test_two_processes_keep_the_rate_together_and_use_it(tmp_path: Path) -> None:
    url, rate, amount, each = f"sqlite:///{tmp_path}/decamp.sqlite", 10_000_000, 4_000_000, 4
    begun: list[float] = []

    def process() -> None:
        database = open_database(url, create=True)
        assert database
        turnstile = Turnstile(database)
        threads = [
            threading.Thread(target=lambda: (turnstile.enter(amount, rate, time.sleep), begun.append(time.time()))) for _ in range(each)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        database.close()

    processes = [threading.Thread(target=process) for _ in range(2)]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    begun.sort()
    took = begun[-1] - begun[0]
    assert len(begun) == 2 * each
    assert (2 * each - 1) * amount / took <= rate * 1.02
    assert (2 * each - 1) * amount / took >= rate * 0.7, "more than scheduling jitter was lost"


def test_a_migration_that_waits_for_its_turn_says_so_and_others_do_not_wait(desk: Desk) -> None:
    moves = [
        an_action(
            f"m{number}", verb=Verb.LIVE_MIGRATE, target=Ref("server", f"s{number}"), args={"from": "a", "to": "b", "bytes": 1_000_000}
        )
        for number in range(4)
    ]
    said: set[str] = set()
    with desk.engine() as engine:
        run = engine.begin(a_plan(*moves, an_action("other")), bytes_per_second=1_000_000)
        began = time.monotonic()
        engine.wait(run, lambda action: said.add(action.said))
    assert time.monotonic() - began >= 3.0
    assert "waits for its turn: migrations take 1 MB/s in total" in said
    assert desk.clerk.performed()[-1] != "other"


def test_a_cancel_ends_the_wait_for_a_turn(desk: Desk) -> None:
    moves = [
        an_action(f"m{number}", verb=Verb.LIVE_MIGRATE, target=Ref("server", f"s{number}"), args={"from": "a", "to": "b", "bytes": 10**9})
        for number in range(3)
    ]
    with desk.engine() as engine:
        run = engine.begin(a_plan(*moves), bytes_per_second=10**6)

        def cancel(action) -> None:
            if action.said.startswith("waits for its turn"):
                engine.cancel(run) if engine.runs.report(run).cancel_asked_at is None else None

        began = time.monotonic()
        engine.wait(run, cancel)
    assert time.monotonic() - began < 60
    assert len(desk.clerk.performed()) == 1


@pytest.mark.parametrize(
    ("text", "rate"),
    [("2GB/s", 2 * 10**9), ("500 MiB/s", 500 * 2**20), ("10Gbit/s", 1_250_000_000), ("1.5kB/s", 1500), ("1000000B/s", 10**6)],
)
def test_rates_are_written_as_people_write_them(text: str, rate: int) -> None:
    assert bytes_per_second(text) == rate


@pytest.mark.parametrize("text", ["fast", "2GB", "-1GB/s", "0B/s", "2 GB/s per host", ""])
def test_what_is_no_rate_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no rate|lets nothing through"):
        bytes_per_second(text)


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 0.3)), min_size=2, max_size=40),
    st.integers(10**6, 10**8),
    st.integers(10**6, 10**8),
)
def test_in_no_window_more_goes_than_each_rate_allows_and_two_slices(asked: list[tuple[int, float]], project: int, total: int) -> None:
    """One slice that is late, and one at the window's begin."""
    rates = (project, total)
    free_at: tuple[float, ...] = (0.0, 0.0)
    now, gone = 0.0, list[tuple[float, int]]()
    for wanted, pause in asked:
        amount = max(1, min(wanted, int(SLICE_SECONDS * min(rates))))
        now += pause
        wait, taken = reserve(free_at, now, amount, rates)
        if taken is None:
            now += wait
            wait, taken = reserve(free_at, now + 1e-9, amount, rates)
        assert taken is not None
        free_at, now = taken, now + wait
        gone.append((now, amount))
    for first, last in itertools.combinations(range(len(gone)), 2):
        window = gone[last][0] - gone[first][0]
        for rate in rates:
            assert sum(amount for _, amount in gone[first : last + 1]) <= rate * (window + 2 * SLICE_SECONDS) * (1 + 1e-6) + 1


def test_what_a_project_cannot_use_yet_is_left_to_others() -> None:
    assert reserve((100.5, 100.0), 100.0, 1000, (1000, 8000)) == (0.5, None)
    assert reserve((0.0, 100.0), 100.0, 1000, (1000, 8000)) == (0.0, (100.0 - SLICE_SECONDS + 1.0, 100.125))


def test_a_clock_that_was_set_back_stops_no_copy_for_long() -> None:
    pause, taken = reserve((9e9,), 100.0, 1000, (8000,))
    assert (pause, taken) == (MOST_AHEAD_SECONDS, (100.0 + MOST_AHEAD_SECONDS + 0.125,))


def carried(database: Database, limits: Limits, project: str, seconds: float) -> int:
    """Bytes that one copy may carry in so long."""
    pace, until, done = Rations(database).pace(limits, project), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        done += pace(2**20)
    return done


def test_copies_of_several_processes_keep_the_rate_together_and_each_project_its_own(tmp_path: Path) -> None:
    url, seconds, done = f"sqlite:///{tmp_path}/decamp.sqlite", 3.0, dict[int, int]()
    limits = Limits(copy_rate=10_000_000, copy_rate_per_project=8_000_000)

    def process(number: int, project: str) -> None:
        database = open_database(url, create=True)
        assert database
        done[number] = carried(database, limits, project, seconds)
        database.close()

    processes = [threading.Thread(target=process, args=(number, project)) for number, project in enumerate("aab")]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    slices = (seconds + 5 * SLICE_SECONDS) / seconds
    assert done[0] + done[1] <= 8_000_000 * seconds * slices
    assert sum(done.values()) <= 10_000_000 * seconds * slices
    assert sum(done.values()) >= 10_000_000 * seconds * 0.7, "more than scheduling jitter was lost"


def test_without_a_limit_nothing_is_asked(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/decamp.sqlite", create=True)
    assert database
    assert Rations(database).pace(Limits(moves=1), "p") is unpaced
    database.close()
