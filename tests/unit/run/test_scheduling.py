"""Runs whose actions begin at a time, in a window, and by priority, on DBOS in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clerk import Desk, a_plan, an_action

from decamp.model.plan import MoveGoal, Plan, Verb
from decamp.model.run import ActionState, RunState
from decamp.model.timing import Schedule, Window
from decamp.run import locks
from decamp.run.database import open_database
from decamp.run.runs import open_runs

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
NIGHT = Schedule(window=Window(opens="22:00", closes="05:00", zone="UTC"))
GOAL = MoveGoal(project="p")


class Clock:
    """Shows what it is set to."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self._now = datetime.fromisoformat(text)

    def __call__(self) -> datetime:
        return self._now


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def said(desk: Desk, run: str, action: str) -> str:
    with open_runs(desk.url) as runs:
        return next(one.said for one in runs.report(run).actions if one.id == action)


def test_nothing_begins_before_its_time_and_the_run_says_what_it_waits_for(desk: Desk) -> None:
    clock = Clock("2026-11-28T21:59:59Z")
    with desk.engine(clock=clock) as engine:
        run = engine.begin(a_plan(an_action("a"), goal=GOAL), schedule=Schedule(not_before="2026-11-28T22:00:00Z"))
        time.sleep(2)
        assert desk.clerk.performed() == []
        clock.set("2026-11-28T22:00:00Z")
        assert engine.wait(run).state is RunState.DONE


def test_a_run_that_waits_is_listed_with_its_time(desk: Desk) -> None:
    with desk.engine() as engine:
        run = engine.begin(a_plan(an_action("a"), goal=GOAL), schedule=Schedule(not_before=TOMORROW, priority=7))
        report, (summary,) = engine.runs.report(run), engine.runs.all()
    assert report.state is summary.state is RunState.RUNNING
    assert report.waits_until == summary.waits_until == f"{datetime.fromisoformat(TOMORROW):%Y-%m-%d %H:%M} UTC"
    assert summary.priority == 7


def test_when_the_window_closes_what_runs_goes_on_and_the_rest_waits_for_the_next(desk: Desk) -> None:
    clock = Clock("2026-11-29T04:59:00Z")
    desk.clerk.when["perform a"] = lambda _: clock.set("2026-11-29T05:00:00Z")
    with desk.engine(clock=clock) as engine:
        run = engine.begin(a_plan(an_action("a"), an_action("b", "a"), goal=GOAL), schedule=NIGHT)
        until(lambda: engine.runs.report(run).count(ActionState.DONE) == 1)
        time.sleep(1.5)
        assert desk.clerk.performed() == ["a"]
        clock.set("2026-11-29T22:00:00Z")
        assert engine.wait(run).state is RunState.DONE


def test_a_server_that_was_stopped_is_not_left_so_when_the_window_closes(desk: Desk) -> None:
    clock = Clock("2026-11-29T04:59:00Z")
    desk.clerk.when["perform stop"] = lambda _: clock.set("2026-11-29T05:00:00Z")
    stop, other = an_action("stop", verb=Verb.STOP_SERVER), an_action("stop other", "stop", verb=Verb.STOP_SERVER)
    plan = a_plan(stop, an_action("copy", "stop"), an_action("create", "copy"), other, an_action("late", "stop other"), goal=GOAL)
    with desk.engine(clock=clock) as engine:
        run = engine.begin(plan, schedule=NIGHT)
        until(lambda: engine.runs.report(run).count(ActionState.DONE) == 3)
        time.sleep(1.5)
        assert desk.clerk.performed() == ["stop", "copy", "create"]
        clock.set("2026-11-29T22:00:00Z")
        assert engine.wait(run).state is RunState.DONE


def test_a_cancel_is_heard_while_a_run_waits(desk: Desk) -> None:
    with desk.engine() as engine:
        run = engine.begin(a_plan(an_action("a"), goal=GOAL), schedule=Schedule(not_before=TOMORROW))
        time.sleep(1)
        with open_runs(desk.url) as runs:
            runs.cancel(run)
        report = engine.wait(run)
    assert (report.state, report.waits_until) == (RunState.CANCELLED, None)
    assert desk.clerk.performed() == []


def waiting(desk: Desk, plan: Plan) -> str:
    """A run that waits, and that nobody works on any more."""
    with desk.engine() as engine:
        run = engine.begin(plan, schedule=Schedule(not_before=TOMORROW))
        time.sleep(0.5)
    return run


def test_a_run_that_waits_survives_its_process_and_is_resumed_with_its_time(desk: Desk) -> None:
    run = waiting(desk, a_plan(an_action("a"), goal=GOAL))
    clock = Clock("2026-11-28T12:00:00Z")
    with desk.engine(clock=clock) as engine:
        assert engine.runs.report(run).state is RunState.INTERRUPTED
        engine.resume(run)
        time.sleep(2)
        assert desk.clerk.performed() == []
        clock.set(TOMORROW)
        assert engine.wait(run).state is RunState.DONE


def test_a_run_that_waits_is_resumed_without_its_time_where_that_is_asked_for(desk: Desk) -> None:
    run = waiting(desk, a_plan(an_action("a"), goal=GOAL))
    with desk.engine() as engine:
        engine.resume(run, now=True)
        report = engine.wait(run)
    assert (report.state, report.schedule) == (RunState.DONE, Schedule())


def test_a_worker_goes_on_with_a_run_that_waits(desk: Desk) -> None:
    run = waiting(desk, a_plan(an_action("a"), goal=GOAL))
    clock, stop = Clock("2026-11-28T12:00:00Z"), threading.Event()
    with desk.engine(clock=clock) as worker:
        thread = threading.Thread(target=worker.serve, args=(stop,))
        thread.start()
        with open_runs(desk.url) as runs:
            until(lambda: runs.report(run).state is RunState.RUNNING)
            time.sleep(1)
            assert desk.clerk.performed() == []
            clock.set(TOMORROW)
            until(lambda: runs.report(run).state is RunState.DONE)
        stop.set()
        thread.join(timeout=20)


def test_an_action_that_waits_for_a_lock_when_the_window_closes_does_not_begin_and_holds_nothing(desk: Desk) -> None:
    other = waiting(desk, a_plan(an_action("x"), goal=GOAL))
    database = open_database(desk.url, create=True)
    assert database
    assert locks.take(database, ("host:1",), other, "x") is None
    clock = Clock("2026-11-29T04:59:00Z")
    with desk.engine(clock=clock) as engine:
        run = engine.begin(a_plan(an_action("b", locks=("host:1",)), goal=GOAL), schedule=NIGHT)
        until(lambda: "waits for host:1" in said(desk, run, "b"))
        clock.set("2026-11-29T05:00:00Z")
        until(lambda: said(desk, run, "b") == "waits until 2026-11-29 22:00 UTC")
        locks.give_back(database, other, "x")
        time.sleep(1.5)
        assert desk.clerk.performed() == []
        assert locks.take(database, ("host:1",), other, "x") is None
        locks.give_back(database, other, "x")
        clock.set("2026-11-29T22:00:00Z")
        assert engine.wait(run).state is RunState.DONE
    database.close()


def test_of_those_that_wait_for_a_lock_the_highest_priority_goes_first_unless_it_lacks_another(tmp_path: Path) -> None:
    desk = Desk(f"sqlite:///{tmp_path}/decamp.sqlite")
    plan = a_plan(an_action("x"), goal=GOAL)
    with desk.engine() as engine:
        run = engine.begin(plan, schedule=Schedule(not_before=TOMORROW))
    database = open_database(desk.url, create=True)
    assert database

    def take(name: str, *wanted: str, priority: int = 0) -> str | None:
        holder = locks.take(database, wanted, run, name, priority)
        return holder and holder.action

    assert take("holder", "host:1") is None
    assert take("low", "host:1") == "holder"
    assert take("high", "host:1", "host:2", priority=5) == "holder"
    locks.give_back(database, run, "holder")
    assert take("low", "host:1") == "high", "it would have taken what one of a higher priority waits for"
    assert take("other", "host:2") == "high"
    assert take("other", "host:3") is None
    assert take("highest", "host:2", priority=9) is None
    assert take("low", "host:1") is None, "it waits for one that could not begin anyway"
    database.close()
