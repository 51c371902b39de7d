"""The benchmark of vacates runs, and judges whoever planned by the same bounds and the same checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from bench.vacate import judging, runbook
from bench.vacate.instances import instance

from decamp.model.amounts import shortage, total
from decamp.model.policy import Policy
from decamp.model.survey import Survey
from decamp.planning.constraints import capacity, traits, zone
from decamp.planning.replay import Rule, replay

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cloud() -> Survey:
    return instance(60, remaining=0.6, constraints=True, seed=3)


def test_equal_arguments_give_equal_clouds_and_other_seeds_others(cloud: Survey):
    assert instance(60, remaining=0.6, constraints=True, seed=3) == cloud
    assert instance(60, remaining=0.6, constraints=True, seed=4) != cloud


def test_every_placement_is_one_that_nova_could_have_made(cloud: Survey):
    for host in cloud.hosts:
        there = [server for server in cloud.servers if server.host == host.name]
        assert shortage(total(server.allocations for server in there), capacity.capacity(host)) == {}
        assert all(zone.allows(server, host) and not traits.missing(server, host) for server in there)
        for group in cloud.groups:
            assert group.policy != "anti-affinity" or sum(server.group == group.id for server in there) <= 1


def test_the_runbook_breaks_no_rule_that_nova_keeps(cloud: Survey):
    moves = runbook.run(cloud)
    assert moves
    violations = replay(judging.as_plan(cloud, moves), {"old": cloud}, Policy())
    assert {one.rule for one in violations} == set()


def test_a_peer_that_sends_servers_to_another_zone_is_found_out(cloud: Survey):
    zones = {host.name: host.zone for host in cloud.hosts}
    bound = next(server for server in cloud.servers if server.zone is not None and server.pinned is None and server.group is None)
    target = next(name for name, there in zones.items() if there != bound.zone)
    plan = judging.as_plan(cloud, [(bound.id, bound.host or "", target)])
    assert Rule.ZONE in {one.rule for one in replay(plan, {"old": cloud}, Policy())}


def test_a_quick_run_prints_ratios_that_no_bound_forbids():
    command = [sys.executable, "-m", "bench.vacate", "--quick", "--without-watcher", "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    rows = [row for row in msgspec.json.decode(done.stdout) if "planner" in row]
    assert [row["planner"] for row in rows] == ["decamp", "runbook"]
    for row in rows:
        assert row["freed_ratio"] <= 1
        assert row["bytes_ratio"] >= 1
        assert row["seconds_ratio"] >= 1
    assert (rows[0]["broken_moves"], rows[0]["rules"], rows[0]["moved_twice"]) == (0, {}, 0)
