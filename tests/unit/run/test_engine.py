"""Whole runs on DBOS, in this process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import pytest
from clerk import Desk, a_plan, an_action, failing

from decamp.model.effects import Attempt
from decamp.model.errors import BadInput, Changed, Failed, Refused, Unreachable
from decamp.model.plan import ConfirmGoal, Plan, UndoGoal, Verb
from decamp.model.run import ActionReport, ActionState, RunReport, RunState
from decamp.run import engine as engine_module
from decamp.run import journal, workers
from decamp.run.database import open_database
from decamp.run.runs import open_runs

DONE, FAILED, SKIPPED, CANCELLED = ActionState.DONE, ActionState.FAILED, ActionState.SKIPPED, ActionState.CANCELLED


def apply(desk: Desk, plan: Plan, concurrency: int = 4) -> RunReport:
    with desk.engine() as engine:
        return engine.wait(engine.begin(plan, concurrency))


def states(report: RunReport) -> dict[str, ActionState]:
    return {action.id: action.state for action in report.actions}


def test_a_plan_is_applied_in_its_order_and_every_change_is_told(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    plan = a_plan(an_action("a"), an_action("b", "a"), an_action("c", "b"))
    told: list[ActionReport] = []
    with desk.engine() as engine:
        run = engine.begin(plan)
        report = engine.wait(run, told.append)
    assert run == f"{plan.id[:8]}-1"
    assert desk.clerk.performed() == ["a", "b", "c"]
    assert (report.state, report.exit_code, report.bytes) == (RunState.DONE, 0, 15)
    assert [action.id for action in told if action.state is DONE] == ["a", "b", "c"]
    assert not engine.abandoned
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", ""), "something spoke on the terminal"


def test_a_plan_without_actions_is_done_at_once(desk: Desk) -> None:
    assert apply(desk, a_plan()).state is RunState.DONE


def test_a_failure_skips_what_comes_after_it_and_nothing_else_and_resume_does_the_rest(desk: Desk) -> None:
    plan = a_plan(an_action("a"), an_action("b", "a"), an_action("c", "b"), an_action("d"))
    desk.clerk.when["perform a"] = failing(Failed("no quota"))
    report = apply(desk, plan)
    assert states(report) == {"a": FAILED, "b": SKIPPED, "c": SKIPPED, "d": DONE}
    assert (report.state, report.exit_code) == (RunState.FAILED, 1)

    with desk.engine() as engine:
        engine.resume(report.id)
        resumed = engine.wait(report.id)
    assert set(states(resumed).values()) == {DONE}
    assert resumed.state is RunState.DONE
    assert sorted(desk.clerk.performed()) == ["a", "a", "b", "c", "d"]


def test_what_changed_stops_its_branch_and_not_the_run_and_the_exit_code_says_so(desk: Desk) -> None:
    plan = a_plan(an_action("a", expects="fp"), an_action("b", "a"), an_action("c"))
    report = apply(desk, plan)
    assert states(report) == {"a": FAILED, "b": SKIPPED, "c": DONE}
    assert report.exit_code == Changed.exit_code == 4


def test_a_cloud_that_never_came_back_gives_the_exit_code_of_unreachable(desk: Desk) -> None:
    desk.clerk.when["perform a"] = failing(Unreachable("old: no answer"), times=10_000)
    with desk.engine(patience=engine_module.Patience(first_seconds=0.01, total_seconds=0.05)) as engine:
        assert engine.wait(engine.begin(a_plan(an_action("a")))).exit_code == 5


def test_the_limit_of_the_run_holds(desk: Desk) -> None:
    names = [f"a{number}" for number in range(8)]
    desk.clerk.when = {f"perform {name}": lambda _: time.sleep(0.2) for name in names}
    apply(desk, a_plan(*map(an_action, names)), concurrency=2)
    assert desk.clerk.most_at_once == 2


def test_actions_with_one_lock_are_never_performed_at_once(desk: Desk) -> None:
    names = [f"a{number}" for number in range(4)]
    desk.clerk.when = {f"perform {name}": lambda _: time.sleep(0.1) for name in names}
    apply(desk, a_plan(*[an_action(name, locks=("host:1",)) for name in names]))
    assert desk.clerk.most_at_once == 1


def test_a_long_walk_hands_over_and_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LEG_ENDS", 3)
    actions = [an_action(f"a{number}", *([f"a{number - 1}"] if number % 2 else [])) for number in range(12)]
    assert apply(desk, a_plan(*actions)).state is RunState.DONE
    assert sorted(desk.clerk.performed()) == sorted(action.id for action in actions)


def test_a_plan_that_was_applied_is_not_applied_again(desk: Desk) -> None:
    plan = a_plan(an_action("a"))
    report = apply(desk, plan)
    with desk.engine() as engine, pytest.raises(Changed, match=f"run {report.id} applied this plan already"):
        engine.begin(plan)
    assert desk.clerk.performed() == ["a"]


def test_a_plan_whose_run_failed_is_resumed_and_not_begun_again(desk: Desk) -> None:
    plan = a_plan(an_action("a"))
    desk.clerk.when["perform a"] = failing(Failed("x"))
    report = apply(desk, plan)
    with desk.engine() as engine, pytest.raises(Refused, match=f"decamp resume {report.id}"):
        engine.begin(plan)


def test_two_applies_at_once_are_one_and_a_refusal_and_others_may_look_on(desk: Desk) -> None:
    plan = a_plan(an_action("a"))
    seen: list[object] = []

    def meanwhile(_attempt: Attempt) -> None:
        with open_runs(desk.url) as runs:
            seen.append(runs.all()[0].state)
            seen.append(runs.report(runs.all()[0].id).actions[0].state)
        with desk.engine() as second:
            for attempt in (lambda: second.begin(plan), lambda: second.resume(plan.id[:8])):
                with pytest.raises(Refused) as refused:
                    attempt()
                seen.append(str(refused.value))

    desk.clerk.when["perform a"] = meanwhile
    report = apply(desk, plan)
    assert report.state is RunState.DONE
    assert seen[:2] == [RunState.RUNNING, ActionState.RUNNING]
    assert "is applying this plan right now" in str(seen[2])
    assert "is running" in str(seen[3])


def test_cancel_lets_what_runs_finish_and_begins_nothing_more_and_resume_goes_on(desk: Desk) -> None:
    plan = a_plan(an_action("a"), an_action("b", "a"), an_action("c"))

    def cancel(_attempt: Attempt) -> None:
        with open_runs(desk.url) as runs:
            assert runs.cancel(plan.id[:8]) is RunState.RUNNING

    desk.clerk.when["perform a"] = cancel
    report = apply(desk, plan, concurrency=1)
    assert states(report) == {"a": DONE, "b": CANCELLED, "c": CANCELLED}
    assert (report.state, report.exit_code) == (RunState.CANCELLED, 1)
    with open_runs(desk.url) as runs, pytest.raises(Refused, match="is over"):
        runs.cancel(report.id)

    with desk.engine() as engine:
        engine.resume(report.id)
        assert engine.wait(report.id).state is RunState.DONE
    assert desk.clerk.performed() == ["a", "b", "c"] or desk.clerk.performed() == ["a", "c", "b"]


def test_leaving_in_the_middle_interrupts_the_run_and_resume_finishes_it(desk: Desk) -> None:
    plan = a_plan(an_action("a"), an_action("b", "a"))
    inside = threading.Event()

    def long(attempt: Attempt) -> None:
        inside.set()
        while not attempt.cancelled():
            time.sleep(0.02)
        raise Failed("stopped at a safe point")

    desk.clerk.when["perform a"] = long
    with desk.engine() as engine:
        run = engine.begin(plan)
        assert inside.wait(20)
    assert not engine.abandoned
    with open_runs(desk.url) as runs:
        report = runs.report(run)
        assert (report.state, report.actions[0].state) == (RunState.INTERRUPTED, ActionState.RUNNING)

    desk.clerk.when.clear()
    with desk.engine() as engine:
        with pytest.raises(Refused, match="was interrupted"):
            engine.begin(plan)
        engine.resume(run)
        assert engine.wait(run).state is RunState.DONE
    assert desk.clerk.calls[-4:] == ["perform a", "verify a", "perform b", "verify b"]


def test_a_performer_that_does_not_listen_is_left_behind_and_that_is_told(desk: Desk) -> None:
    inside, go = threading.Event(), threading.Event()

    def deaf(_attempt: Attempt) -> None:
        inside.set()
        go.wait(30)

    desk.clerk.when["perform a"] = deaf
    with desk.engine(leave_seconds=0.2) as engine:
        engine.begin(a_plan(an_action("a")))
        assert inside.wait(20)
    assert engine.abandoned
    go.set()


def test_an_interrupted_run_that_is_cancelled_is_settled_and_nothing_new_begins(desk: Desk) -> None:
    plan = a_plan(an_action("a"), an_action("b", "a"))

    def leave(attempt: Attempt) -> None:
        leaving.set()
        while not attempt.cancelled():
            time.sleep(0.02)
        raise Failed("no time")

    leaving = threading.Event()
    desk.clerk.when["performed a"] = leave
    with desk.engine() as engine:
        run = engine.begin(plan)
        assert leaving.wait(20)
    desk.clerk.when.clear()
    with open_runs(desk.url) as runs:
        assert runs.cancel(run) is RunState.INTERRUPTED
    with desk.engine() as engine:
        report = engine.settle(run)
    assert report.state is RunState.CANCELLED
    assert states(report) == {"a": DONE, "b": CANCELLED}
    assert desk.clerk.performed() == ["a"]


def test_a_plan_may_be_applied_again_after_its_run_was_undone(desk: Desk) -> None:
    plan = a_plan(an_action("a"))
    first = apply(desk, plan)
    remove = an_action("remove", verb=Verb.REMOVE, args={"cloud": "new", "id": "new-a"})
    undo = apply(desk, a_plan(remove, goal=UndoGoal(run=first.id)))
    second = apply(desk, plan)
    assert second.id == first.id.replace("-1", "-2")
    assert len(set(desk.clerk.there)) == 3, "the marks of the two runs are not the same"
    with open_runs(desk.url) as runs:
        summaries = {summary.id: summary for summary in runs.all()}
    assert summaries[first.id].undone_by == undo.id
    assert summaries[first.id].confirmed_by is None


def test_a_run_that_is_not_over_is_neither_undone_nor_confirmed(desk: Desk) -> None:
    told: list[str] = []

    def meanwhile(attempt: Attempt) -> None:
        for goal in (UndoGoal(run=attempt.run), ConfirmGoal(run=attempt.run)):
            with desk.engine() as other, pytest.raises(Refused) as refused:
                other.begin(a_plan(goal=goal))
            told.append(str(refused.value))

    desk.clerk.when["perform a"] = meanwhile
    report = apply(desk, a_plan(an_action("a")))
    assert told == [f"run {report.id} is not over: resume or cancel it first"] * 2


def test_a_worker_that_serves_takes_what_another_left(desk: Desk) -> None:
    plan = a_plan(an_action("a"), an_action("b", "a"))
    inside = threading.Event()

    def long(attempt: Attempt) -> None:
        inside.set()
        while not attempt.cancelled():
            time.sleep(0.02)
        raise Failed

    desk.clerk.when["perform a"] = long
    with desk.engine() as engine:
        run = engine.begin(plan)
        assert inside.wait(20)
    desk.clerk.when.clear()

    stop = threading.Event()
    with desk.engine() as worker:
        thread = threading.Thread(target=worker.serve, args=(stop,))
        thread.start()
        with open_runs(desk.url) as runs:
            deadline = time.monotonic() + 30
            while runs.report(run).state is not RunState.DONE and time.monotonic() < deadline:
                time.sleep(0.1)
            assert runs.report(run).state is RunState.DONE
        stop.set()
        thread.join(timeout=20)
    assert desk.clerk.performed() == ["a", "a", "b"]


def test_what_cannot_be_performed_or_walked_is_refused_before_anything_is_stored(desk: Desk) -> None:
    with desk.engine() as engine:
        with pytest.raises(BadInput, match="circle"):
            engine.begin(a_plan(an_action("a", "b"), an_action("b", "a")))
        with pytest.raises(BadInput, match="concurrency"):
            engine.begin(a_plan(an_action("a")), concurrency=0)
        desk.performers.pop(Verb.CANARY)
        with pytest.raises(BadInput, match="canary"):
            engine.begin(a_plan(an_action("a", verb=Verb.CANARY)))
        assert engine.runs.all() == ()


def test_without_a_database_there_are_no_runs_and_none_is_made(tmp_path: Path) -> None:
    with open_runs(f"sqlite:///{tmp_path}/none/decamp.sqlite") as runs:
        assert runs.all() == ()
        assert runs.ledger.ids("old", "new") == {}
        with pytest.raises(BadInput, match="there is no run 'x'"):
            runs.resolve("x")
    assert not (tmp_path / "none").exists()


def test_a_run_is_found_by_the_beginning_of_its_id(desk: Desk) -> None:
    report = apply(desk, a_plan(an_action("a")))
    with open_runs(desk.url) as runs:
        assert runs.resolve(report.id[:4]) == report.id
        assert runs.plan(report.id[:4]).id == report.plan
        with pytest.raises(BadInput, match="there is no run 'zzz'"):
            runs.resolve("zzz")


def test_nothing_in_the_database_is_a_pickle(desk: Desk) -> None:
    apply(desk, a_plan(an_action("a")))
    content = Path(desk.url.removeprefix("sqlite:///")).read_bytes()
    assert b"gASV" not in content, "base64 of a pickle's first bytes"


def test_a_run_whose_process_died_before_it_enqueued_anything_is_taken_by_a_worker(desk: Desk) -> None:
    plan = a_plan(an_action("a"))
    database = open_database(desk.url, create=True)
    assert database
    run = journal.begin(database, plan, 1, msgspec.structs.replace(workers.this_process(), born="another process"))
    database.close()

    stop = threading.Event()
    with desk.engine() as worker:
        thread = threading.Thread(target=worker.serve, args=(stop,))
        thread.start()
        with open_runs(desk.url) as runs:
            deadline = time.monotonic() + 30
            while runs.report(run).state is not RunState.DONE and time.monotonic() < deadline:
                time.sleep(0.1)
            assert runs.report(run).state is RunState.DONE
        stop.set()
        thread.join(timeout=20)
