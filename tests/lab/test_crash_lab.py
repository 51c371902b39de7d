"""On real clouds: a process that dies before and after each action and is started again does what one that lives would have done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contract import ground
from tenant_application import an_application, belongings, configured

from crash_harness import Story, apply_until_done
from decamp import app, settings
from decamp.bootstrap import Place
from decamp.lab import Lab
from decamp.model.plan import MoveGoal, Plan
from decamp.model.refs import Ref
from decamp.resources.performing import OUTSIDE_PROJECTS
from decamp.run.runs import open_runs

pytestmark = pytest.mark.lab

AROUND_ACTIONS = "perform of"
"""Before an action's effect, and after it, before it is journaled."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's application that has been moved through crashes."""

    here: Any
    place: Any
    configuration: Path
    born_with: set[Ref]
    server: str
    """In the old cloud."""
    plan: Plan
    run: str
    story: Story


@pytest.fixture(scope="module")
def moved(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder = tmp_path_factory.mktemp("tenant")
    with ground(lab.folder / "clouds.yaml", folder, "tenant") as here:
        configuration = configured(folder)
        place = Place(settings.load(configuration))
        born_with, server = belongings(here), an_application(here)
        plan = app.plan_move(place, MoveGoal(project=""), old=None, new=None, report=lambda *_: None)
        assert plan.refusals == ()
        story = crash_through(place, plan, configuration, folder / "move")
        with open_runs(place.settings.state_url) as runs:
            run = runs.all()[0].id
        yield Moved(
            here=here, place=place, configuration=configuration, born_with=born_with, server=server, plan=plan, run=run, story=story
        )


def crash_through(place: Place, plan: Plan, configuration: Path, scratch: Path) -> Story:
    scratch.mkdir()
    return apply_until_done(place.settings.state_url, plan, "lab_bootstrap:performers", str(configuration), scratch, AROUND_ACTIONS)


def test_a_move_that_dies_around_each_action_makes_nothing_twice_and_loses_nothing(moved: Moved) -> None:
    assert moved.story.exit_code == 0, moved.story.output
    assert set(moved.story.crashes) == {f"{when} perform of {action.id}" for action in moved.plan.actions for when in ("before", "after")}
    with open_runs(moved.place.settings.state_url) as runs:
        entries = runs.ledger.entries(moved.run)
    assert {entry.action for entry in entries} == {action.id for action in moved.plan.actions}
    assert all(entry.verified_at for entry in entries)
    counted = {Ref(entry.ref.kind, entry.new_id) for entry in entries if entry.new_id and entry.ref.kind not in OUTSIDE_PROJECTS}
    assert belongings(moved.here) - moved.born_with <= counted, "made twice, or by an attempt that nobody remembers"
    assert moved.here.tenant.compute.get_server(moved.server).status == "SHUTOFF"


def test_its_undo_through_as_many_deaths_leaves_no_trace(moved: Moved, tmp_path: Path) -> None:
    undo = app.plan_undo(moved.place, moved.run)

    story = crash_through(moved.place, undo, moved.configuration, tmp_path / "undo")

    assert story.exit_code == 0, story.output
    assert belongings(moved.here) == moved.born_with
    assert moved.here.tenant.compute.get_server(moved.server).status == "ACTIVE"
