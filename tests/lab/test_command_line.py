"""The real command line on real clouds: what is wrong is said in a sentence, and one plan is applied once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from hosts_ground import Ground

from decamp.hosts.reading import read_service
from decamp.lab import Lab, machines
from decamp.model.plan import Verb
from decamp.model.refs import Ref

pytestmark = pytest.mark.lab


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path)


def test_a_wrong_password_is_told_and_not_repeated(desk: Desk) -> None:
    desk.clouds["clouds"]["old"]["auth"]["password"] = "not-the-password"
    desk.write()
    _, told = desk.run("survey", "old", status=2)
    assert "the credentials were not accepted (401)" in told
    assert "not-the-password" not in told


@pytest.mark.parametrize(
    ("option", "told"), [(("--project", "nobody"), "there is no project 'nobody'"), (("--server", "nothing"), "'nothing'")]
)
def test_an_unknown_project_or_server_is_told(desk: Desk, option: tuple[str, ...], told: str) -> None:
    project = () if "--project" in option else ("--project", "admin")
    _, err = desk.run("plan", "move", *project, *option, "-o", "plan.json", status=2)
    assert told in err
    assert not (desk.path / "plan.json").exists()


def test_a_mapping_to_a_network_that_is_not_there_is_told(desk: Desk) -> None:
    desk.settings["mapping"] = {"network": {"public": "no-such-network"}}
    desk.write()
    _, told = desk.run("plan", "move", "--project", "admin", "-o", "plan.json", status=2)
    assert "no-such-network" in told
    assert not (desk.path / "plan.json").exists()


def test_every_listing_of_live_clouds_is_json_when_asked(desk: Desk) -> None:
    for listing in (("survey", "old"), ("survey", "new"), ("survey", "undercloud"), ("plan", "vacate", "--hosts", "1"), ("runs",)):
        out, _ = desk.run(*listing, "-f", "json")
        assert isinstance(json.loads(out), list), listing


@pytest.fixture
def host(lab: Lab) -> Iterator[str]:
    """A host of the old cloud that may be vacated and comes back afterwards."""
    name = "cmp-006"
    size = next(one["size"] for one in machines.shared().read_all(lab.machines_folder) if one["name"] == name)
    yield name
    ground = Ground(lab.folder)
    ground.give_back(name, size)
    service = read_service(ground.old, name)
    if service and service.status != "enabled":
        ground.perform(Verb.ENABLE_SERVICE, Ref("host", name))


def test_a_plan_is_applied_once_whoever_tries_again(desk: Desk, host: str) -> None:
    """Two at once, and one more afterwards: one applies it, the others change nothing."""
    desk.run("plan", "vacate", "--host", host, "-o", "plan.json")
    plan = json.loads((desk.path / "plan.json").read_text())
    cordon = [action for action in plan["actions"] if action["verb"] == "disable_service"]
    assert len(cordon) == 1

    both = [desk.start("apply", "plan.json", "--yes") for _ in range(2)]
    ends = [(process.communicate(timeout=600), process.returncode) for process in both]
    statuses = sorted(status for _, status in ends)
    assert statuses[0] == 0, ends
    assert statuses[1] in {3, 4}, ends
    _, told = desk.run("apply", "plan.json", "--yes", status=4)
    assert plan["id"][:8] in told
    out, _ = desk.run("runs", "-f", "json")
    assert [run["State"] for run in json.loads(out)] == ["done"]
