"""What is found out about a real cloud before a vacate begins: everything at once, and nothing changed by looking."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hosts_ground import Ground
from test_command_line import Desk

from decamp import files
from decamp.clouds import connect
from decamp.hosts.preflight import preflight
from decamp.hosts.reading import read_service, show_server
from decamp.lab.layout import Lab
from decamp.model.findings import Check, Finding
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.policy import OnCancel, Policy
from decamp.model.refs import Ref
from decamp.settings import StopCompute

pytestmark = pytest.mark.lab

HERE = StopCompute(command=(sys.executable, "-c", "pass", "{host}"))
HOST_VERBS = (Verb.DISABLE_SERVICE, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE)
NOWHERE = StopCompute(command=("/nowhere/stop", "{host}"))


@pytest.fixture(scope="module")
def ground(lab: Lab) -> Iterator[Ground]:
    ground = Ground(lab.folder)
    yield ground
    ground.close()


def vacate(host: str, *moves: tuple[Ref, str, Verb]) -> Plan:
    """That host, with servers that go to others."""
    target = Ref("host", host)
    cordon, *end = (Action(id=f"{verb}/{host}", verb=verb, target=target) for verb in HOST_VERBS)
    migrations = [Action(id=f"{verb}/{one.id}", verb=verb, target=one, args={"from": host, "to": to}) for one, to, verb in moves]
    return Plan(goal=VacateGoal(hosts=(host,)), made_from={}, actions=(cordon, *migrations, *end)).sealed()


def blocking(findings: tuple[Finding, ...]) -> dict[tuple[Check, str], str]:
    return {(finding.check, finding.ref.id): finding.text for finding in findings if finding.blocking}


def test_nothing_blocks_a_plan_that_can_be_applied_and_the_disks_to_be_copied_are_told(ground: Ground) -> None:
    source, target = ground.two_hosts()
    with ground.server_on(source) as live, ground.server_on(source, stopped=True) as cold:
        plan = vacate(source, (live, target, Verb.LIVE_MIGRATE), (cold, target, Verb.COLD_MIGRATE))
        found = preflight(ground.old, plan, Policy(on_cancel=OnCancel.ABORT), stop=HERE)
    assert blocking(found) == {}
    assert [finding.text for finding in found if finding.check is Check.STORAGE] == [
        "1 servers have 1 GiB of local disk. Unless its hosts share storage, which no API tells, Nova copies them."
    ]


def test_looking_changes_nothing(ground: Ground) -> None:
    source, target = ground.two_hosts()

    def state(server: Ref) -> tuple[object, object, object]:
        actions = ground.old.service("compute").get(f"/servers/{server.id}/os-instance-actions").json()
        return show_server(ground.old, server.id), len(actions["instanceActions"]), (read_service(ground.old, source) or object).status

    with ground.server_on(source) as live, ground.server_on(source, stopped=True) as cold:
        before = [state(live), state(cold)]
        preflight(ground.old, vacate(source, (live, target, Verb.LIVE_MIGRATE), (cold, target, Verb.COLD_MIGRATE)), Policy(), stop=HERE)
        assert [state(live), state(cold)] == before


def test_everything_that_stands_in_the_way_is_told_at_once(ground: Ground, lab: Lab) -> None:
    source, target = ground.two_hosts()
    service = read_service(ground.old, target)
    assert service
    put = ground.old.connection.compute.put
    with ground.server_on(source) as one, ground.server_on(source, stopped=True) as resized:
        ground.act(resized, {"migrate": {"host": target}})
        ground.until(lambda: ground.server(resized.id)["status"] == "VERIFY_RESIZE")
        put(f"/os-services/{service.id}", json={"status": "disabled"})
        try:
            plan = vacate(source, (one, target, Verb.LIVE_MIGRATE), (resized, "nowhere", Verb.COLD_MIGRATE))
            found = blocking(preflight(ground.old, plan, Policy(), stop=NOWHERE))
        finally:
            put(f"/os-services/{service.id}", json={"status": "enabled"})
        assert set(found) == {
            (Check.SERVICES, target),
            (Check.SERVICES, "nowhere"),
            (Check.MIGRATIONS, resized.id),
            (Check.STOP, "old"),
        }
        assert "confirm it, then plan again" in found[Check.MIGRATIONS, resized.id]


def test_without_a_command_each_machine_must_be_known_to_ironic(ground: Ground) -> None:
    source, _ = ground.two_hosts()
    found = blocking(preflight(ground.old, vacate(source), Policy(), undercloud=ground.undercloud))
    assert list(found) == [(Check.STOP, source)]
    assert "has no node" in found[Check.STOP, source]
    assert "Nothing says how" in blocking(preflight(ground.old, vacate(source), Policy()))[Check.STOP, "old"]


def test_credentials_that_may_not_do_it_are_told_before_anything_begins(ground: Ground, lab: Lab, tmp_path: Path) -> None:
    identity = ground.old.connection.identity
    project = identity.create_project(name="hosts-test", domain_id="default")
    user = identity.create_user(name="hosts-test", password="hosts-test", domain_id="default", default_project_id=project.id)
    try:
        member = identity.find_role("member", ignore_missing=False)
        identity.assign_project_role_to_user(project, user, member)
        entry = yaml.safe_load(lab.clouds_yaml.read_text())["clouds"]["old"]
        entry["auth"] |= {"username": "hosts-test", "password": "hosts-test", "project_name": "hosts-test"}
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"old": entry}}))
        source, _ = ground.two_hosts()
        found = blocking(preflight(connect("old", tmp_path / "clouds.yaml"), vacate(source), Policy(), stop=NOWHERE))
        assert set(found) == {(Check.RIGHTS, "old"), (Check.STOP, "old")}
        assert "403" in found[Check.RIGHTS, "old"]
    finally:
        identity.delete_user(user)
        identity.delete_project(project)


def test_apply_begins_nothing_while_something_blocks_and_check_tells_the_same(ground: Ground, lab: Lab, tmp_path: Path) -> None:
    source, _ = ground.two_hosts()
    desk = Desk(lab, tmp_path)
    desk.settings["stop_compute"] = {"command": list(NOWHERE.command)}
    desk.write()
    with ground.server_on(source) as server:
        files.write(vacate(source, (server, "nowhere", Verb.LIVE_MIGRATE)), tmp_path / "plan.json")
        _, said = desk.run("apply", "plan.json", "--yes", status=3)
        table, _ = desk.run("check", "plan.json", status=3)
    for told in (said, table):
        assert "there is no /nowhere/stop" in told
        assert "nowhere has no compute service" in told
    after = read_service(ground.old, source)
    assert after
    assert after.status == "enabled"
