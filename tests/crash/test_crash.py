"""A crash at any boundary, then resume: nothing twice, nothing lost, and the same result as without a crash."""

from __future__ import annotations

from pathlib import Path

import moving
import pytest
import world

from crash_harness import apply_until_done
from decamp.model.run import ActionState, RunState
from decamp.run.runs import open_runs

EVERY_BOUNDARY = "^(?!after fingerprint|before find)"
"""But two: between the end of one call and the begin of the next nothing happens."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/decamp.sqlite"
    return request.getfixturevalue("postgresql_url")


def test_a_run_that_dies_at_every_boundary_does_nothing_twice_and_loses_nothing(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    plan = world.example(folder, servers=1)

    # Where the database is a server, the boundaries around the effects will do: the others are the same code.
    only = EVERY_BOUNDARY if url.startswith("sqlite") else "perform of|half-made|after verify"
    story = apply_until_done(url, plan, "world:performers", str(folder), tmp_path, only)

    assert story.exit_code == 0, story.output
    died_at = set(story.crashes)
    for action in plan.actions:
        assert f"before perform of {action.id}" in died_at
        assert f"after verify of {action.id}" in died_at
        assert died_at & {f"after perform of {action.id}", f"{action.id} half-made"}
    calls = world.World(folder).calls()
    assert sorted(calls) == sorted(set(calls)), "an effect was brought about twice"
    assert sorted(calls) == ["create net", "create s1", "migrate s1", "stop s1"]
    assert world.state(folder) == {
        "old": {"net": {"host": "", "status": "ACTIVE"}, "s1": {"host": "cmp-2", "status": "SHUTOFF"}},
        "new": [{"of": "net", "status": "ready", "parents": []}, {"of": "s1", "status": "ready", "parents": ["net"]}],
    }
    with open_runs(url) as runs:
        (summary,) = runs.all()
        report = runs.report(summary.id)
        entries = runs.ledger.entries(summary.id)
    assert report.state is RunState.DONE
    assert all(action.state is ActionState.DONE for action in report.actions)
    assert {entry.action for entry in entries} == {action.id for action in plan.actions}
    assert all(entry.verified_at for entry in entries)
    facts = {entry.action: entry.facts for entry in entries}
    assert facts["stop_server/server/s1"] in ({"status": "ACTIVE"}, {})


def test_a_server_whose_move_died_keeps_its_turn_until_it_is_over(tmp_path: Path) -> None:
    url, folder = f"sqlite:///{tmp_path}/state/decamp.sqlite", tmp_path / "world"
    story = apply_until_done(
        url, moving.example(folder), "moving:performers", str(folder), tmp_path, "after perform of|after verify of stop_server/server/s1"
    )
    assert story.exit_code == 0, story.output
    assert len(story.crashes) == 5
    assert world.World(folder).calls() == ["stop s1", "create s1", "stop s2", "create s2"]
