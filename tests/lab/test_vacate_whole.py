"""A whole vacate on real services: as many of 20 hosts as can be freed, unattended, and proved by a program that knows nothing of it."""

from __future__ import annotations

import json
import time

import pytest
from vacate_ground import REFUSED, TEST_SECONDS, WAIT_SECONDS, Estate, migrations_of, options, put_back

from decamp.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def estate(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Estate:
    return Estate(put_back(lab), tmp_path_factory.mktemp("whole"))


def test_a_vacate_frees_as_many_hosts_as_it_said_and_nova_refuses_nothing_that_the_plan_said_could_move(estate: Estate) -> None:
    plan = estate.plan()
    forecast = plan["forecast"]
    assert len(forecast["freed_hosts"]) >= len(estate.hosts()) // 2
    before = estate.record()

    begun = time.monotonic()
    estate.run("apply", "plan.json", "--yes", "--allow-refusals", seconds=WAIT_SECONDS)
    seconds = time.monotonic() - begun

    run = estate.run_of(plan)
    assert {row["Outcome"] for row in estate.outcomes(run, "hosts")} == {"freed"}
    assert {row["Outcome"] for row in estate.outcomes(run, "servers")} == {"moved"}
    told = estate.verify("check", str(before), "--nothing-refused", *options("--freed-host", forecast["freed_hosts"]))
    assert f"{len(migrations_of(plan))} migrations" in told
    print(
        f"{len(forecast['freed_hosts'])} hosts freed; {forecast['occupied_hosts']} occupied, no plan can do with fewer than "
        f"{forecast['occupied_hosts_lower_bound']}; {len(migrations_of(plan))} migrations; {seconds:.0f} s"
    )


def test_every_server_is_where_the_plan_said(estate: Estate) -> None:
    plan = json.loads((estate.path / "plan.json").read_text())
    servers = estate.servers()
    for action in migrations_of(plan):
        assert servers[action["target"][1]].compute_host == action["args"]["to"], action


def test_a_cloud_that_was_vacated_has_nothing_left_to_vacate(estate: Estate) -> None:
    assert estate.plan("again.json", status=REFUSED)["forecast"]["freed_hosts"] == []
