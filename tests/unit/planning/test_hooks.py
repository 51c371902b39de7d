"""Where the owner's hooks stand in the plan of a move, and what takes back a server whose hook failed."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from decamp.model.hooks import Hook, When
from decamp.model.plan import Plan, Verb
from decamp.model.refs import Ref
from decamp.planning.hooks import commands, fits, with_hooks
from decamp.planning.replay import replay
from decamp.planning.undo import take_back
from small_projects import action, comes_after, did, ids, move, new, old, port, server, volume

HOOKS = {when: Hook(command=("/opt/hook", when.value)) for when in When}


def hooked(*servers: str, manner: str = "snapshot", hooks: dict[When, Hook] = HOOKS, status: str = "ACTIVE") -> Plan:
    """The plan, in which the independent checker finds nothing wrong."""
    before = old(
        port("nic"),
        volume("data"),
        server("db", ["nic"], ["data"], status=status),
        port("nic-2", address="10.0.0.6"),
        server("web", ["nic-2"]),
    )
    plan = with_hooks(move(before, None, *servers, manner=manner), hooks)
    assert replay(plan, {"old": before, "new": new()}) == ()
    return plan


def test_the_hooks_of_a_server_whose_disks_are_carried_stand_around_its_hand_over():
    plan = hooked("db")
    order = (
        "run_hook/server/db/before_stop", "stop_server/server/db", "create/volume/data", "run_hook/server/db/after_copy",
        "create/server/db", "run_hook/server/db/after_start", "run_hook/server/db/verify", "lock_server/server/db",
    )  # fmt: skip
    for earlier, later in pairwise(order):
        assert comes_after(plan, later, earlier), f"{later} may come before {earlier}"


def test_a_server_that_is_made_anew_is_verified_before_the_old_one_is_stopped_and_has_no_copy_to_wait_for():
    plan = hooked("web", manner="recreate")
    assert comes_after(plan, "run_hook/server/web/before_stop", "run_hook/server/web/verify")
    assert comes_after(plan, "stop_server/server/web", "run_hook/server/web/before_stop")
    assert "run_hook/server/web/after_copy" not in ids(plan)


def test_a_stopped_server_has_only_the_hook_of_its_copy():
    assert [one for one in ids(hooked("db", status="SHUTOFF")) if one.startswith("run_hook")] == ["run_hook/server/db/after_copy"]


def test_a_plan_without_hooks_stays_as_it_is():
    plan = move(old(port("nic"), server("db", ["nic"])))
    assert with_hooks(plan, {}) is plan


def test_a_plan_fits_the_hooks_that_it_was_made_with_and_no_others():
    plan = hooked("db")
    assert fits(plan, HOOKS)
    assert not fits(plan, {})
    assert not fits(plan, {**HOOKS, When.VERIFY: Hook(command=("/opt/other",))})


def test_every_command_is_told_with_the_number_of_its_servers():
    assert commands(hooked("db", "web"))["verify", "/opt/hook verify"] == 2


@pytest.mark.parametrize(
    ("hook", "later", "words"),
    [
        ("before_stop", "stop_server/server/db", "may run when stop_server"),
        ("after_copy", "create/server/db", "may run when create"),
        ("verify", "lock_server/server/db", "may run when lock_server"),
    ],
)
def test_the_checker_sees_a_hook_that_comes_too_late(hook: str, later: str, words: str):
    before = old(port("nic"), volume("data"), server("db", ["nic"], ["data"]))
    plan = with_hooks(move(before, None, "db", manner="snapshot"), {When(hook): HOOKS[When(hook)]})
    name = f"run_hook/server/db/{hook}"
    freed = msgspec.structs.replace(action(plan, later), after=())
    wrong = msgspec.structs.replace(plan, actions=tuple(freed if one.id == later else one for one in plan.actions)).sealed()
    assert any(one.action == name and words in one.text for one in replay(wrong, {"old": before, "new": new()}))


def test_all_that_was_made_for_the_server_alone_is_taken_back_and_then_the_old_one_is_started():
    plan = hooked("db", "web")
    done = did(plan, but=["run_hook/server/db/verify", "lock_server/server/db"])
    actions, refusals = take_back(plan, done, "run-1", Ref("server", "db"))
    assert refusals == ()
    told = [one.id for one in actions]
    assert set(told) == {
        "remove/server/db", "remove/server_snapshot/db", "remove/volume/data", "remove/port/nic", "start_server/server/db",
    }  # fmt: skip
    assert told.index("remove/server/db") < told.index("start_server/server/db")
    assert next(one for one in actions if one.verb is Verb.START_SERVER).args == {"status": "ACTIVE"}


def test_nothing_is_started_that_was_not_stopped():
    plan = hooked("db")
    made = did(plan, but=[one.id for one in plan.actions if comes_after(plan, one.id, "run_hook/server/db/before_stop")])
    actions, _ = take_back(plan, made, "run-1", Ref("server", "db"))
    assert [one.id for one in actions] == ["remove/port/nic"]
