"""A host's way into the new cloud, on real clouds, by processes that die before and after each action."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from hosts_ground import Ground
from test_hosts_circle import Way
from test_hosts_circle import _undo as put_back

from crash_harness import Story, apply_until_done
from decamp import app, settings
from decamp.bootstrap import Place
from decamp.hosts import baremetal
from decamp.hosts.reading import list_servers, read_service
from decamp.lab import Lab
from decamp.model.plan import Plan, VacateGoal
from decamp.model.run import RunState

TEST_SECONDS = 1800
"""More than one of its processes may take, so that it is told how that one ended."""

pytestmark = [pytest.mark.lab, pytest.mark.timeout(TEST_SECONDS)]

AROUND_ACTIONS = "perform of"
"""Before an action's effect, and after it, before it is journaled."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The host, and a Decamp with a state database of its own."""

    way: Way
    place: Place
    folder: Path

    def crash_through(self, plan: Plan) -> Story:
        scratch = self.folder / plan.goal.__class__.__name__
        scratch.mkdir()
        url, configuration = self.place.settings.state_url, self.folder / "decamp.yaml"
        return apply_until_done(url, plan, "lab_bootstrap:performers", str(configuration), scratch, AROUND_ACTIONS)


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("crash")
    configuration = yaml.safe_load((lab.folder / "decamp.yaml").read_text()) | {"state": f"sqlite:///{folder}/decamp.sqlite"}
    configuration["clouds_file"] = str(lab.folder / "clouds.yaml")
    configuration["expand"]["instackenv"] = str(lab.folder / "instackenv.json")
    (folder / "decamp.yaml").write_text(yaml.safe_dump(configuration))
    way = Way(Ground(lab.folder))
    with way.ground.server_on(way.name), way.ground.server_on(way.name, stopped=True):
        try:
            yield Scene(way=way, place=Place(settings.load(folder / "decamp.yaml")), folder=folder)
        finally:
            put_back(way)


def died_around(plan: Plan) -> set[str]:
    return {f"{when} perform of {action.id}" for action in plan.actions for when in ("before", "after")}


def test_a_vacate_and_then_an_expand_that_die_around_each_action_do_what_one_that_lives_does(scene: Scene) -> None:
    way, ground = scene.way, scene.way.ground
    before = {server["id"] for server in list_servers(ground.old)}

    vacate = app.plan_vacate(scene.place, VacateGoal(hosts=(way.name,)), old=None, report=lambda *_: None)
    assert vacate.refusals == ()
    story = scene.crash_through(vacate)

    assert story.exit_code == 0, story.output
    assert set(story.crashes) == died_around(vacate)
    assert read_service(ground.old, way.name) is None
    after = {server["id"]: server for server in list_servers(ground.old)}
    assert set(after) == before
    assert way.name not in {server["OS-EXT-SRV-ATTR:host"] for server in after.values()}

    expand = app.plan_expand(scene.place, hosts=(way.name,), old=None, new=None, undercloud=None, report=lambda *_: None)
    assert expand.refusals == ()
    story = scene.crash_through(expand)

    assert story.exit_code == 0, story.output
    assert set(story.crashes) == died_around(expand)
    assert way.stack_count() == (way.count or 0) + 1
    assert [node.name for node in baremetal.export(ground.undercloud)].count(way.name) == 1
    assert way.state() == "active"
    assert not [server for server in list_servers(ground.new) if "canary" in server["name"]]
    assert {summary.state for summary in app.list_runs(scene.place)} == {RunState.DONE}
