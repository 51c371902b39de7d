"""A hook that fails calls off the move of its server: what was done for it is taken back, at once and in every case of a crash."""

from __future__ import annotations

import pytest
from clerk import Desk, a_plan, an_action, failing

from decamp.model.errors import Failed
from decamp.model.ledger import Entry
from decamp.model.plan import Action, MoveGoal, Plan, Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionState, RunReport, RunState
from decamp.run.engine import Engine

SERVER = Ref("server", "s")


def on(verb: Verb, *after: str, target: Ref = SERVER, **fields: object) -> Action:
    return an_action(f"{verb}/{target.kind}/{target.id}", *after, verb=verb, target=target, **fields)


STOP, VOLUME = on(Verb.STOP_SERVER), on(Verb.CREATE, "stop_server/server/s", target=Ref("volume", "v"))
COPIED = an_action(
    "run_hook/server/s/after_copy", VOLUME.id, verb=Verb.RUN_HOOK, target=SERVER, args={"hook": "after_copy", "command": ["x"]}
)
CREATE = on(Verb.CREATE, COPIED.id)
HOOK = on(Verb.RUN_HOOK, CREATE.id, args={"hook": "verify", "command": ["x"]})
LOCK, OTHER = on(Verb.LOCK_SERVER, HOOK.id), on(Verb.CREATE, target=Ref("network", "n"))
PLAN = a_plan(OTHER, STOP, VOLUME, COPIED, CREATE, HOOK, LOCK, goal=MoveGoal(project="p"))


def take_back(plan: Plan, entries: tuple[Entry, ...], run: str, server: Ref) -> tuple[tuple[Action, ...], tuple[Refusal, ...]]:
    """Of what is in the ledger still, as the planner does."""
    left = {entry.action for entry in entries if entry.run == run}
    made = [on(Verb.REMOVE, target=one.target) for one in (CREATE, VOLUME) if one.id in left]
    return (*made, *([on(Verb.START_SERVER)] if STOP.id in left else [])), ()


def engine(desk: Desk) -> Engine:
    return desk.engine(take_back=take_back)


def applied(desk: Desk) -> RunReport:
    with engine(desk) as it:
        return it.wait(it.begin(PLAN))


def states(report: RunReport) -> dict[str, ActionState]:
    return {one.id: one.state for one in report.actions}


def test_what_was_done_for_the_server_is_taken_back_and_the_rest_stays(desk: Desk) -> None:
    desk.clerk.when[f"perform {HOOK.id}"] = failing(Failed("hook verify ended with status 1: password=hunter2"))
    report = applied(desk)
    assert report.state is RunState.FAILED
    undone = ActionState.UNDONE
    assert states(report) == {
        OTHER.id: ActionState.DONE, STOP.id: undone, VOLUME.id: undone, COPIED.id: undone, CREATE.id: undone, HOOK.id: ActionState.FAILED,
        LOCK.id: ActionState.SKIPPED,
    }  # fmt: skip
    error = next(one.error for one in report.actions if one.id == HOOK.id)
    assert error
    assert error.startswith("hook verify ended with status 1: password=***")
    assert error.endswith("What was done for the server is taken back, and the old one is as it was.")
    assert desk.clerk.performed()[-3:] == ["remove/server/s", "remove/volume/v", "start_server/server/s"]
    with engine(desk) as it:
        assert {entry.action for entry in it.runs.ledger.entries(report.id)} == {OTHER.id}


def test_resume_does_it_all_again_for_that_server(desk: Desk) -> None:
    desk.clerk.when[f"perform {HOOK.id}"] = failing(Failed("x"))
    run = applied(desk).id
    before = len(desk.clerk.performed())
    with engine(desk) as it:
        it.resume(run)
        report = it.wait(run)
    assert report.state is RunState.DONE
    assert desk.clerk.performed()[before:] == [STOP.id, VOLUME.id, COPIED.id, CREATE.id, HOOK.id, LOCK.id]


def test_of_a_stack_everything_is_done_again_and_so_are_the_hooks_of_its_other_servers(desk: Desk) -> None:
    stack, other = Ref("stack", "st"), Ref("server", "o")
    make = on(Verb.CREATE, target=stack)
    first = on(Verb.RUN_HOOK, make.id, target=other, args={"hook": "before_stop", "command": ["x"], "stack": "st"})
    taken = on(Verb.TAKE_MEMBER, first.id)
    last = on(Verb.RUN_HOOK, taken.id, args={"hook": "verify", "command": ["x"], "stack": "st"})

    def all_of_it(plan: Plan, entries: tuple[Entry, ...], run: str, server: Ref) -> tuple[tuple[Action, ...], tuple[Refusal, ...]]:
        return (on(Verb.REMOVE), on(Verb.REMOVE, target=stack)), ()

    desk.clerk.when[f"perform {last.id}"] = failing(Failed("x"))
    with desk.engine(take_back=all_of_it) as it:
        report = it.wait(it.begin(a_plan(make, first, taken, last, goal=MoveGoal(project="p"))))
        undone = ActionState.UNDONE
        assert states(report) == {make.id: undone, first.id: undone, taken.id: undone, last.id: ActionState.FAILED}
    before = len(desk.clerk.performed())
    with desk.engine(take_back=all_of_it) as it:
        it.resume(report.id)
        assert it.wait(report.id).state is RunState.DONE
    assert desk.clerk.performed()[before:] == [make.id, first.id, taken.id, last.id]


def test_where_it_cannot_all_be_taken_back_that_is_told_with_what_to_do(desk: Desk) -> None:
    desk.clerk.when[f"perform {HOOK.id}"] = failing(Failed("x"))
    desk.clerk.when["perform remove/volume/v"] = failing(Failed("it is in use"))
    report = applied(desk)
    assert states(report)[CREATE.id] is ActionState.UNDONE
    assert states(report)[STOP.id] is ActionState.DONE
    error = next(one.error for one in report.actions if one.id == HOOK.id)
    assert error
    assert f"(it is in use): `decamp undo {report.id}` does the rest" in error


@pytest.mark.parametrize("at", ["remove/server/s", "remove/volume/v", "start_server/server/s"])
def test_after_a_crash_in_between_the_hook_is_not_run_again_and_the_rest_is_taken_back(desk: Desk, at: str) -> None:
    """The process leaves while that is performed; the action is taken up as it was left, as by a worker."""
    desk.clerk.when[f"perform {HOOK.id}"] = failing(Failed("x"))
    it = engine(desk)
    desk.clerk.when[f"performed {at}"] = lambda _: it._presence.stop()
    with it:
        run = it.begin(PLAN)
        it._presence._stop.wait(60)
    desk.clerk.when.pop(f"performed {at}")
    with engine(desk) as again:
        again.resume(run)
        assert again.wait(run).state is RunState.DONE
    done = [one for one in desk.clerk.performed() if one != OTHER.id]
    hooks = [place for place, one in enumerate(done) if one == HOOK.id]
    assert len(hooks) == 2
    assert set(done[hooks[0] + 1 : hooks[1]]) >= {"remove/server/s", "remove/volume/v", "start_server/server/s"}
    assert done[hooks[1] - 4 :] == [STOP.id, VOLUME.id, COPIED.id, CREATE.id, HOOK.id, LOCK.id], "it began anew before all was taken back"
