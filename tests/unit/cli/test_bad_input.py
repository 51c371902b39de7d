"""The real command line, in a folder of its own: what is wrong is said in a sentence, with the right exit status and no traceback."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from decamp import files
from decamp.model.amounts import Inventory
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Host, Server, Survey


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *arguments: str, status: int, **environment: str) -> str:
        """What the command said on stderr."""
        result = subprocess.run(
            [sys.executable, "-m", "decamp.cli.main", *arguments],
            cwd=self.path,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("OS_", "DECAMP_"))},
                "HOME": str(self.path),
                "XDG_CONFIG_HOME": str(self.path / "config"),
                "XDG_STATE_HOME": str(self.path / "state"),
                "COLUMNS": "200",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in result.stderr + result.stdout
        assert result.returncode == status, result.stderr + result.stdout
        self.stdout = result.stdout
        return result.stderr

    def cloud(self, port: int) -> None:
        (self.path / "clouds.yaml").write_text(
            f"clouds: {{old: {{auth: {{auth_url: 'http://127.0.0.1:{port}/v3', username: a, password: s3cret, project_name: a, "
            "user_domain_id: default, project_domain_id: default}, region_name: R}}\n"
        )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def survey(folder: Folder) -> Path:
    inventories = {"VCPU": Inventory(total=8), "MEMORY_MB": Inventory(total=8192)}
    hosts = tuple(Host(name=name, provider=name, state="up", status="enabled", inventories=inventories, zone="nova") for name in ("a", "b"))
    server = Server(id="1", name="web", project="p", host="a", status="ACTIVE", allocations={"VCPU": 1, "MEMORY_MB": 512})
    path = folder.path / "old.json"
    files.write(Survey(cloud="old", taken_at="2026-11-23T00:00:00Z", admin=True, hosts=hosts, servers=(server,)), path)
    return path


@pytest.fixture
def plan(folder: Folder) -> Path:
    cordon = Action(id="disable_service/host/a", verb=Verb.DISABLE_SERVICE, target=Ref("host", "a"))
    path = folder.path / "plan.json"
    files.write(Plan(goal=VacateGoal(hosts=("a",)), made_from={"old": "0" * 64}, actions=(cordon,)).sealed(), path)
    return path


def test_without_clouds_yaml_it_says_where_it_looked(folder: Folder) -> None:
    told = folder.run("survey", "old", status=2)
    assert "No clouds.yaml was found" in told
    assert "~/.config/openstack" in told


def test_an_unknown_cloud_is_told_with_the_file_that_lacks_it(folder: Folder) -> None:
    folder.cloud(1)
    told = folder.run("survey", "elsewhere", status=2)
    assert "clouds.yaml has no entry 'elsewhere'" in told


def test_a_cloud_that_is_down_is_unreachable(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    folder.cloud(port)
    told = folder.run("survey", "old", status=5)
    assert "old: " in told
    assert "no answer" in told
    assert "s3cret" not in told


def test_a_truncated_survey_is_told(folder: Folder, survey: Path) -> None:
    survey.write_bytes(survey.read_bytes()[:-30])
    assert "old.json: not a decamp.survey/1 document" in folder.run("plan", "vacate", "--survey", "old.json", status=2)


def test_a_survey_of_another_schema_is_told(folder: Folder, survey: Path) -> None:
    survey.write_text(json.dumps({**json.loads(survey.read_text()), "schema": "decamp.survey/2"}))
    assert "a decamp.survey/2 document, where decamp.survey/1 is wanted" in folder.run("plan", "vacate", "--survey", "old.json", status=2)


def test_a_plan_is_no_survey(folder: Folder, plan: Path) -> None:
    assert "a decamp.plan/1 document, where decamp.survey/1 is wanted" in folder.run("plan", "vacate", "--survey", plan.name, status=2)


@pytest.mark.parametrize("verb", [("show",), ("apply", "--yes")])
def test_a_plan_that_was_edited_by_hand_is_not_used(folder: Folder, plan: Path, verb: tuple[str, ...]) -> None:
    plan.write_text(plan.read_text().replace('"host",\n    "a"', '"host",\n    "b"'))
    assert "it was changed after it was made" in folder.run(*verb, plan.name, status=2)
    assert not (folder.path / "state").exists()


def test_nothing_is_applied_where_nobody_can_be_asked(folder: Folder, plan: Path) -> None:
    assert "say --yes" in folder.run("apply", plan.name, status=2)
    assert not (folder.path / "state").exists()


def test_a_plan_with_refusals_is_not_applied_unless_they_are_allowed(folder: Folder, survey: Path) -> None:
    folder.run("plan", "vacate", "--survey", survey.name, "--host", "a", "--host", "zebra", "-o", "plan.json", status=0)
    assert "--allow-refusals" in folder.run("apply", "--yes", "plan.json", status=3)
    assert not (folder.path / "state").exists()


def test_a_host_that_is_not_there_is_refused_by_name(folder: Folder, survey: Path) -> None:
    folder.run("plan", "vacate", "--survey", survey.name, "--host", "zebra", "-o", "plan.json", status=3)
    assert "zebra" in folder.stdout


def test_a_run_that_is_not_there_is_told(folder: Folder) -> None:
    assert "there is no run 'abc'" in folder.run("status", "abc", status=2)


def test_a_state_database_that_is_none_is_told(folder: Folder) -> None:
    (folder.path / "notes.txt").write_text("shopping list\n" * 100)
    told = folder.run("runs", status=2, DECAMP_STATE=f"sqlite:///{folder.path}/notes.txt")
    assert "notes.txt" in told


def test_an_unknown_verb_is_bad_usage(folder: Folder) -> None:
    folder.run("frobnicate", status=2)


def test_numbers_that_make_no_sense_are_bad_usage(folder: Folder, survey: Path) -> None:
    assert "at least 1" in folder.run("plan", "vacate", "--survey", survey.name, "--hosts", "0", status=2)


def test_a_configuration_that_is_not_there_is_told(folder: Folder) -> None:
    assert "there is no such configuration file" in folder.run("--config", "nowhere.yaml", "runs", status=2)


@pytest.mark.parametrize("verb", [("runs",), ("plan", "vacate", "--survey", "old.json"), ("check", "plan.json", "--survey", "old.json")])
def test_listings_are_json_when_asked(folder: Folder, survey: Path, verb: tuple[str, ...]) -> None:
    folder.run("plan", "vacate", "--survey", survey.name, "-o", "plan.json", status=0)
    folder.run(*verb, "-f", "json", status=0)
    assert isinstance(json.loads(folder.stdout), list)


def test_no_host_is_touched_where_nothing_says_how_to_stop_it(folder: Folder, survey: Path) -> None:
    folder.run("plan", "vacate", "--survey", survey.name, "--host", "a", "-o", "plan.json", status=0)
    assert "stop_compute.command" in folder.run("apply", "--yes", "plan.json", status=3)
    assert not (folder.path / "state").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--at", "tonight"), "is no time"),
        (("--at", "2020-01-01T00:00Z"), "is over"),
        (("--at", "2099-03-29T02:30 Europe/Berlin"), "never show it"),
        (("--between", "22-5"), "is no window"),
        (("--between", "22:00-05:00 Nowhere"), "is no time zone"),
        (("--priority", "urgent"), "is no whole number"),
    ],
)
def test_times_that_cannot_be_kept_are_bad_usage(folder: Folder, plan: Path, options: tuple[str, ...], words: str) -> None:
    assert words in " ".join(folder.run("apply", "--yes", plan.name, *options, status=2).split())
    assert not (folder.path / "state").exists()


def test_a_person_is_told_when_it_begins_before_being_asked(folder: Folder, plan: Path) -> None:
    told = folder.run("apply", plan.name, "--at", "2099-01-01T00:00Z", "--between", "22:00-05:00", status=2, TZ="Europe/Berlin")
    assert "It waits until 2099-01-01 01:00 Europe/Berlin" in told
    assert "only between 22:00 and 05:00 Europe/Berlin" in told


def test_a_move_is_prepared_for_a_whole_project(folder: Folder) -> None:
    told = folder.run("plan", "move", "--prepare", "--server", "web", "--tag", "shop", status=2)
    assert "--prepare is for a whole project: leave --server and --tag out" in told
