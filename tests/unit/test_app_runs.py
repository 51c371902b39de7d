"""What the use cases do with runs that were interrupted."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from decamp import app
from decamp.bootstrap import Place
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import BadInput, Changed, Failed, Refused
from decamp.model.plan import Action, MoveGoal, Plan, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionState, RunState
from decamp.run.engine import Engine
from decamp.run.succession import Follow
from decamp.settings import Hook, Hooks, Settings


class Slow:
    """Makes a thing, and does not come back before it is told to stop."""

    def __init__(self) -> None:
        self.made = threading.Event()

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        return Outcome(id="made", fingerprint="fp") if self.made.is_set() else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        self.made.set()
        while not attempt.cancelled():
            time.sleep(0.02)
        raise Failed("told to stop")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        return ()


class CloudlessPlace(Place):
    """Its one performer needs no clouds."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.slow = Slow()

    def performers(self):
        return {Verb.CREATE: self.slow}

    def engine(self, follow: Follow | None = None) -> Engine:
        return Engine(self.settings.state_url, self.performers(), follow=follow, leave_seconds=5)


@pytest.fixture
def place(tmp_path: Path) -> CloudlessPlace:
    return CloudlessPlace(Settings(state=f"sqlite:///{tmp_path}/decamp.sqlite"))


def interrupted(place: CloudlessPlace) -> str:
    """A run whose first action had its effect, and whose process did not live to tell."""
    actions = tuple(Action(id=name, verb=Verb.CREATE, target=Ref("network", name)) for name in ("a", "b"))
    with place.engine() as engine:
        run = engine.begin(Plan(goal=MoveGoal(project="p"), made_from={}, actions=actions).sealed(), concurrency=1)
        assert place.slow.made.wait(30)
    return run


def test_cancelling_an_interrupted_run_journals_what_it_left_and_ends_it(place: CloudlessPlace) -> None:
    run = interrupted(place)
    assert app.status(place, run).state is RunState.INTERRUPTED
    assert app.cancel(place, run) is RunState.CANCELLED
    assert [action.state for action in app.status(place, run).last.actions] == [ActionState.DONE, ActionState.CANCELLED]
    with pytest.raises(Refused, match="is over"):
        app.cancel(place, run)


def test_an_interrupted_run_is_not_undone_before_it_is_over(place: CloudlessPlace) -> None:
    run = interrupted(place)
    with pytest.raises(Refused, match="is interrupted: resume it, or cancel it"):
        app.plan_undo(place, run)


def test_a_run_that_is_not_there_is_told(place: CloudlessPlace) -> None:
    interrupted(place)
    for use in (app.status, app.cancel, app.plan_undo, app.plan_confirm):
        with pytest.raises(BadInput, match="there is no run 'nowhere'"):
            use(place, "nowhere")


def test_a_plan_that_was_made_with_other_hooks_is_not_applied(tmp_path: Path) -> None:
    place = CloudlessPlace(Settings(state=f"sqlite:///{tmp_path}/decamp.sqlite", hooks=Hooks(verify=Hook(command=("/bin/true",)))))
    plan = Plan(goal=MoveGoal(project="p"), made_from={}).sealed()
    with pytest.raises(Changed, match=r"made with other hooks than those in decamp\.yaml"):
        app.apply(
            place,
            plan,
            concurrency=1,
            rate=None,
            allow_refusals=False,
            begun=lambda _: None,
            on_event=lambda _: None,
            on_look=lambda _: None,
        )
