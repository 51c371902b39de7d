"""A project of several servers that is moved within the limits of policy, on real clouds."""

from __future__ import annotations

import secrets
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from contract import ground
from contract_servers import MIB, boot, image
from tenant_application import configured

from decamp import app, settings
from decamp.bootstrap import Place
from decamp.lab import Lab
from decamp.model.limits import moves_of
from decamp.model.plan import MoveGoal, Plan
from decamp.model.run import ActionReport, RunReport, RunState
from decamp.run.pacing import SLICE_SECONDS

pytestmark = pytest.mark.lab

SERVERS = 3
DISK_BYTES = 8 * MIB
RATE = 2_000_000


@pytest.fixture(scope="module")
def moved(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, RunReport]:
    folder = tmp_path_factory.mktemp("tenant")
    with ground(lab.folder / "clouds.yaml", folder, "tenant") as here:
        base = image(here.tenant, secrets.token_bytes(DISK_BYTES))
        for _ in range(SERVERS):
            boot(here, imageRef=base, networks="none")
        place = Place(settings.load(limited(configured(folder))))
        plan = app.plan_move(place, MoveGoal(project="", manner="snapshot"), old=None, new=None, report=lambda *_: None)
        assert plan.refusals == ()
        chain = app.apply(
            place,
            plan,
            concurrency=None,
            rate=None,
            allow_refusals=False,
            begun=lambda _: None,
            on_event=lambda _: None,
            on_look=lambda _: None,
        )
        return plan, chain.last


def limited(configuration: Path) -> Path:
    written = yaml.safe_load(configuration.read_text())
    written["policy"] = {"moves": 1, "copy_rate": f"{RATE}B/s"}
    configuration.write_text(yaml.safe_dump(written))
    return configuration


def span(actions: list[ActionReport]) -> tuple[float, float]:
    """From the begin of the first to the end of the last."""
    begins = [datetime.fromisoformat(action.started_at).timestamp() for action in actions if action.started_at]
    ends = [datetime.fromisoformat(action.ended_at).timestamp() for action in actions if action.ended_at]
    return min(begins), max(ends)


def test_never_two_servers_are_moved_at_once_where_policy_says_one(moved: tuple[Plan, RunReport]) -> None:
    plan, report = moved
    assert report.state is RunState.DONE
    of_move: dict[str, list[ActionReport]] = {}
    moves = moves_of(plan)
    for action in report.actions:
        if move := moves.get(action.id):
            of_move.setdefault(move.name, []).append(action)
    spans = sorted(span(actions) for actions in of_move.values())
    assert len(spans) == SERVERS
    assert all(first[1] <= second[0] for first, second in pairwise(spans)), spans


def test_copies_carry_no_more_bytes_a_second_than_policy_says(moved: tuple[Plan, RunReport]) -> None:
    _, report = moved
    copies = [action for action in report.actions if action.bytes]
    assert sum(action.bytes for action in copies) >= SERVERS * DISK_BYTES
    for some in (copies, *([one] for one in copies)):
        begin, end = span(some)
        assert sum(action.bytes for action in some) <= RATE * (end - begin + 2 * SLICE_SECONDS)
