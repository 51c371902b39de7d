"""A vacate whose process dies at every stage of the runs that follow each other, and goes on: nothing twice, nothing lost, the same end."""

from __future__ import annotations

import re
from pathlib import Path

import vacating

from crash_harness import apply_until_done
from decamp.model.accounts import host_accounts, server_accounts
from decamp.model.chain import HostOutcome, ServerOutcome
from decamp.model.run import RunState
from decamp.run.runs import open_runs

STAGES = "survey|after plan|take_up|before conclude|after perform of (live_migrate|delete_service|enable_service)"


def test_a_vacate_that_dies_at_every_stage_of_its_runs_ends_as_if_it_had_not(tmp_path: Path) -> None:
    url, folder = f"sqlite:///{tmp_path}/state/decamp.sqlite", tmp_path / "estate"
    plan = vacating.fill(folder)

    story = apply_until_done(url, plan, "vacating:performers", str(folder), tmp_path, STAGES)

    assert story.exit_code == 0, story.output
    died_at = [re.sub(r"[0-9a-f]{8}-1", "RUN", one) for one in story.crashes]
    for stage in ("before survey", "after survey", "after plan", "before take_up RUN", "after take_up RUN", "before conclude RUN"):
        assert stage in died_at, died_at
    assert vacating.state(folder) == {
        "hosts": {"h3": "enabled", "keep1": "enabled", "keep2": "enabled"},
        "servers": {"s1": "moved", "s2": "moved", "s3": "ERROR"},
    }
    calls = vacating.Estate(folder).calls()
    assert len(calls) == len(set(calls)), "an effect was brought about twice"
    with open_runs(url) as runs:
        chain = runs.chain(runs.all()[0].id)
        assert len({summary.chain for summary in runs.all()}) == 1
        assert len(runs.all()) == len(chain.links), "a run was followed by two"
    assert chain.state is RunState.FAILED
    assert chain.links[-1].releases
    assert {one.host: one.outcome for one in host_accounts(chain)} == {
        "h1": HostOutcome.FREED,
        "h2": HostOutcome.FREED,
        "h3": HostOutcome.STAYS,
    }
    assert [one.outcome for one in server_accounts(chain)] == [ServerOutcome.MOVED, ServerOutcome.MOVED, ServerOutcome.HARMED]


def test_of_hosts_that_cannot_all_be_freed_one_takes_the_others_servers_also_through_deaths(tmp_path: Path) -> None:
    url, folder = f"sqlite:///{tmp_path}/state/decamp.sqlite", tmp_path / "estate"
    plan = vacating.fill_beside_a_host_that_lets_nobody_in(folder)
    assert plan.forecast.freed_hosts == ("h1", "h2")

    story = apply_until_done(url, plan, "vacating:performers", str(folder), tmp_path, "after plan|take_up|after perform of enable_service")

    assert story.exit_code == 0, story.output
    with open_runs(url) as runs:
        chain = runs.chain(runs.all()[0].id)
    assert [link.releases for link in chain.links] == [False, False, True, False], "the one that takes servers is given back before"
    assert len(chain.freed) == 1
    assert sorted(one.outcome for one in host_accounts(chain)) == [HostOutcome.FREED, HostOutcome.STAYS]
    (kept,) = {"h1", "h2"} - chain.freed
    assert {one["status"] for one in vacating.Estate(folder).all("hosts").values()} == {"enabled"}
    assert [vacating.Estate(folder).read("servers", name)["host"] for name in ("s1", "s2")] == [kept] * 2  # type: ignore[index]
