"""On real clouds: processes that die before and after each action, and are started again, do what one that lives would have done.

Two moves, so that there is an action of every kind and of every verb: a tenant's, with a stack and hooks, which is undone; and that of a
whole project by an operator, which is confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import every_kind
import msgspec
import pytest
import yaml
from contract import EXTERNAL, Ground, clear_project, ground
from tenant_application import an_application, belongings, configured, ground_for_stacks, owned

from crash_harness import Story, apply_until_done
from decamp import app, settings
from decamp.bootstrap import Place
from decamp.clouds import connect
from decamp.lab import Lab
from decamp.model.ledger import Entry
from decamp.model.plan import MoveGoal, Plan, Verb
from decamp.model.refs import Ref
from decamp.resources import KINDS, image, project, seen_only, server_snapshot
from decamp.resources.performing import OUTSIDE_PROJECTS, performers
from decamp.run.runs import open_runs

TEST_SECONDS = 1800
"""A test here may have a whole move in its set-up, with all its deaths."""

pytestmark = [pytest.mark.lab, pytest.mark.timeout(TEST_SECONDS)]

WAIT_SECONDS = 180
CARRIED = {name for name, kind in KINDS.items() if kind.create is not seen_only.create}
"""Kinds that copies are made of; the others are refused."""

BY_ITSELF = {"volume_snapshot"}
"""Kinds that no whole project of the lab can have (see every_kind): test_kinds_contract dies after each of their writes."""

SHOWN_AS = {server_snapshot.NAME: image.NAME}
"""What a copy of this kind is in the new cloud."""

HOOKS = ("before_stop", "verify")

STACK: dict[str, Any] = {
    "heat_template_version": "2018-08-31",
    "resources": {
        "net": {"type": "OS::Neutron::Net"},
        "port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_resource": "net"}}},
    },
}


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """An application that has been moved through crashes."""

    here: Any
    place: Any
    configuration: Path
    born_with: set[Ref]
    server: str
    """In the old cloud."""
    plan: Plan
    run: str
    story: Story

    def entries(self) -> tuple[Entry, ...]:
        with open_runs(self.place.settings.state_url) as runs:
            return runs.ledger.entries(self.run)


@pytest.fixture(scope="module")
def moved(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """A tenant's."""
    folder = tmp_path_factory.mktemp("tenant")
    with ground_for_stacks(lab.folder / "clouds.yaml", folder) as here:
        configuration = with_hooks(configured(folder))
        born_with, server = belongings(here), an_application(here)
        stack = here.tenant.orchestration.create_stack(name="crash-stack", template=STACK)
        here.tenant.orchestration.wait_for_status(stack, "CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=1, wait=WAIT_SECONDS)
        yield move(here, configuration, born_with, server, MoveGoal(project=""), "perform of")


@pytest.fixture(scope="module")
def undone(moved: Moved) -> Story:
    return crash_through(moved.place, app.plan_undo(moved.place, moved.run), moved.configuration, "perform of")


@pytest.fixture(scope="module")
def handed_over(lab: Lab, moved: Moved, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """An operator's. Its processes die around what the tenant's had not."""
    folder = tmp_path_factory.mktemp("operator")
    with ground(lab.folder / "clouds.yaml", folder, "operator") as here:
        partners = every_kind.fill(here)
        configuration = folder / "decamp.yaml"
        mapping = {"network": {EXTERNAL: EXTERNAL}, "project": partners}
        told = {"clouds_file": str(lab.folder / "clouds.yaml"), "state": "sqlite:///state/decamp.sqlite", "mapping": mapping}
        configuration.write_text(yaml.safe_dump(told))
        [server] = here.tenant.compute.servers()
        goal = MoveGoal(project=here.project, manner="snapshot")
        others = CARRIED - BY_ITSELF - {action.target.kind for action in moved.plan.actions if action.verb is Verb.CREATE}
        try:
            yield move(here, configuration, set(), server.id, goal, f"perform of create/({'|'.join(sorted(others))})/")
        finally:
            with open_runs(settings.load(configuration).state_url) as runs:
                clear_copies(lab, runs.ledger.everything())


@pytest.fixture(scope="module")
def confirmed(handed_over: Moved) -> Story:
    confirm = app.plan_confirm(handed_over.place, handed_over.run)
    return crash_through(handed_over.place, confirm, handed_over.configuration, "perform of remove/(server|volume|port|router|network)/")


def with_hooks(configuration: Path) -> Path:
    told = yaml.safe_load(configuration.read_text())
    told["hooks"] = {name: {"shell": f"echo $DECAMP_HOOK >> {configuration.parent}/hooks"} for name in HOOKS}
    configuration.write_text(yaml.safe_dump(told))
    return configuration


def move(here: Ground, configuration: Path, born_with: set[Ref], server: str, goal: MoveGoal, only: str) -> Moved:
    place = Place(settings.load(configuration))
    plan = app.plan_move(place, goal, old=None, new=None, report=lambda *_: None)
    assert plan.refusals == ()
    story = crash_through(place, plan, configuration, only)
    with open_runs(place.settings.state_url) as runs:
        run = runs.all()[0].id
    return Moved(here=here, place=place, configuration=configuration, born_with=born_with, server=server, plan=plan, run=run, story=story)


def crash_through(place: Place, plan: Plan, configuration: Path, only: str) -> Story:
    scratch = configuration.parent / plan.id
    scratch.mkdir()
    return apply_until_done(place.settings.state_url, plan, "lab_bootstrap:performers", str(configuration), scratch, only)


def clear_copies(lab: Lab, entries: Iterable[Entry]) -> None:
    """Of what an operator moved: all in the new project, and what belongs to none."""
    new = connect("new", lab.folder / "clouds.yaml")
    made = [entry for entry in entries if entry.new_id and not entry.adopted]
    for entry in made:
        if entry.ref.kind == project.NAME and entry.new_id:
            project.admit(new, entry.new_id)
            clear_project(new, new.as_project(entry.new_id))
    for name in reversed(tuple(KINDS)):
        for entry in made:
            if entry.ref.kind == name and name in OUTSIDE_PROJECTS and (there := KINDS[name].read(new, str(entry.new_id))):
                KINDS[name].remove(new, there.id, there.fingerprint)


def died_around(stories: Iterable[Story]) -> set[tuple[str, str]]:
    """(verb, kind) of all actions that a process died before, and one after."""
    died = {when: set[tuple[str, str]]() for when in ("before", "after")}
    for boundary in (boundary for story in stories for boundary in story.crashes):
        when, verb, kind = re.match(r"(before|after) perform of (\w+)/(\w+)/", boundary).groups()  # type: ignore[union-attr]
        died[when].add((verb, kind))
    return died["before"] & died["after"]


def test_a_move_that_dies_around_each_action_makes_nothing_twice_and_loses_nothing(moved: Moved) -> None:
    assert moved.story.exit_code == 0, moved.story.output
    assert set(moved.story.crashes) == {f"{when} perform of {action.id}" for action in moved.plan.actions for when in ("before", "after")}
    assert {entry.action for entry in moved.entries() if entry.verified_at} == {action.id for action in moved.plan.actions}
    counted = {Ref(entry.ref.kind, entry.new_id) for entry in moved.entries() if entry.new_id and entry.ref.kind not in OUTSIDE_PROJECTS}
    assert belongings(moved.here) - moved.born_with <= counted, "made twice, or by an attempt that nobody remembers"
    assert moved.here.tenant.compute.get_server(moved.server).status == "SHUTOFF"


def test_a_hook_is_run_again_where_a_process_died_before_its_success_was_written_down(moved: Moved) -> None:
    assert (moved.configuration.parent / "hooks").read_text().split() == [name for name in HOOKS for _ in ("died", "lived")]


def test_its_undo_through_as_many_deaths_leaves_no_trace(moved: Moved, undone: Story) -> None:
    assert undone.exit_code == 0, undone.output
    assert belongings(moved.here) == moved.born_with
    assert moved.here.tenant.compute.get_server(moved.server).status == "ACTIVE"


def test_a_project_s_move_that_dies_around_all_other_kinds_makes_nothing_twice_and_loses_nothing(handed_over: Moved) -> None:
    assert handed_over.story.exit_code == 0, handed_over.story.output
    entries = handed_over.entries()
    assert {entry.action for entry in entries if entry.verified_at} == {action.id for action in handed_over.plan.actions}
    inside = next(str(entry.new_id) for entry in entries if entry.ref == Ref(project.NAME, handed_over.here.project))
    counted = {Ref(SHOWN_AS.get(entry.ref.kind, entry.ref.kind), str(entry.new_id)) for entry in entries if entry.new_id}
    there = owned(connect("new", handed_over.place.settings.clouds_file).as_project(inside))
    assert there <= counted, "made twice, or by an attempt that nobody remembers"


def test_its_confirm_through_deaths_leaves_nothing_behind_that_moved(handed_over: Moved, confirmed: Story) -> None:
    assert confirmed.exit_code == 0, confirmed.output
    tenant = handed_over.here.tenant
    assert list(tenant.compute.servers()) == list(tenant.block_storage.volumes()) == []
    assert list(tenant.network.networks(project_id=handed_over.here.project)) == []


def test_processes_have_died_around_an_action_of_every_kind_and_of_every_verb(
    moved: Moved, undone: Story, handed_over: Moved, confirmed: Story
) -> None:
    around = died_around([moved.story, undone, handed_over.story, confirmed])
    assert {kind for verb, kind in around if verb == Verb.CREATE} == CARRIED - BY_ITSELF
    assert {verb for verb, _ in around} == set(performers(handed_over.here.old, handed_over.here.new))
