"""Confirming by policy: what is due, what is not yet, and what keeps only itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from clerk import Clerk, failing

from decamp import app
from decamp.bootstrap import Place
from decamp.model.due import DueRun, Outcome, verified_at
from decamp.model.errors import BadInput, Failed
from decamp.model.plan import Plan, Verb
from decamp.model.run import RunState
from decamp.run.engine import Engine
from decamp.run.succession import Follow
from decamp.settings import Settings
from small_projects import did, move, old, port, server


class ClerkPlace(Place):
    """Its clouds are a clerk, who agrees to everything."""

    def __init__(self, folder: Path, **policy: object) -> None:
        super().__init__(Settings(state=f"sqlite:///{folder}/decamp.sqlite", policy=policy))
        self.clerk = Clerk()
        self.clerk.fingerprint = lambda action: action.expects  # type: ignore[method-assign]

    def engine(self, follow: Follow | None = None) -> Engine:
        return Engine(self.settings.state_url, dict.fromkeys(Verb, self.clerk), follow=follow, leave_seconds=5)

    def moved(self, name: str) -> str:
        """A run that moved the server of that name."""
        return self.applied(move(old(port(f"nic-{name}"), server(name, [f"nic-{name}"])), None, name))

    def applied(self, plan: Plan) -> str:
        with self.engine() as engine:
            run = engine.begin(plan)
            assert engine.wait(run).state is RunState.DONE
        return run

    def confirm_due(self) -> tuple[DueRun, ...]:
        return app.confirm_due(self, begun=lambda _: None, on_event=lambda _: None, on_look=lambda _: None)


def outcomes(told: tuple[DueRun, ...]) -> dict[str, Outcome]:
    return {one.run: one.outcome for one in told}


def test_a_run_that_is_due_is_confirmed_as_by_name_and_then_is_listed_no_more(tmp_path: Path) -> None:
    place = ClerkPlace(tmp_path, confirm_after_days=0)
    run = place.moved("web")
    (told,) = place.confirm_due()
    assert (told.run, told.outcome, told.project, told.exit_code) == (run, Outcome.CONFIRMED, "alpha-id", 0)
    removed = [one for one in place.clerk.performed() if one.startswith("remove/")]
    assert set(removed) == {"remove/server/web", "remove/port/nic-web"}
    with place.runs() as runs:
        summaries = {one.id: one for one in runs.all()}
    assert summaries[run].confirmed_by == told.confirmed_by
    assert place.confirm_due() == ()


def test_a_run_that_is_not_due_yet_is_told_with_the_day_and_left_alone(tmp_path: Path) -> None:
    place = ClerkPlace(tmp_path, confirm_after_days=14)
    place.moved("web")
    (told,) = place.confirm_due()
    assert told.outcome is Outcome.LATER
    assert told.due_at
    assert told.verified_at
    assert (datetime.fromisoformat(told.due_at) - datetime.fromisoformat(told.verified_at)).days == 14
    assert not [one for one in place.clerk.performed() if one.startswith("remove/")]


def test_what_keeps_one_run_does_not_keep_the_others_and_the_exit_status_tells(tmp_path: Path) -> None:
    place = ClerkPlace(tmp_path, confirm_after_days=0)
    first, second = place.moved("web"), place.moved("db")
    place.clerk.when["perform remove/server/web"] = failing(Failed("it is locked by its owner"))
    told = place.confirm_due()
    assert outcomes(told) == {first: Outcome.FAILED, second: Outcome.CONFIRMED}
    assert [one.exit_code for one in told] == [1, 0]
    assert outcomes(place.confirm_due()) == {first: Outcome.CONFIRMED}, "the next night tries again"


def test_a_confirm_that_failed_is_resumed_the_next_time(tmp_path: Path) -> None:
    place = ClerkPlace(tmp_path, confirm_after_days=0)
    place.moved("web")
    place.clerk.when["perform remove/server/web"] = failing(Failed("it is locked by its owner"))
    (first,), (second,) = place.confirm_due(), place.confirm_due()
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.CONFIRMED)
    assert first.confirmed_by == second.confirmed_by


def test_a_run_that_was_undone_is_never_confirmed(tmp_path: Path) -> None:
    place = ClerkPlace(tmp_path, confirm_after_days=0)
    place.applied(app.plan_undo(place, place.moved("web")))
    assert place.confirm_due() == ()


def test_a_copy_that_is_not_proved_keeps_its_run(tmp_path: Path) -> None:
    plan = move(old(port("nic"), server("web", ["nic"])), None, "web")
    entries = did(plan)
    assert verified_at(entries, "run-1") == datetime(2026, 11, 23, 1, 0, 1, tzinfo=UTC)
    assert verified_at(entries, "run-2") is None


def test_without_a_policy_nothing_is_due(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="confirm_after_days"):
        ClerkPlace(tmp_path).confirm_due()
