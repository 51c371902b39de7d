"""Where the owner's hooks stand in the plan of a move, and what takes back a server whose hook failed."""

from __future__ import annotations

from itertools import combinations, pairwise

import msgspec
import pytest

from decamp.model.hooks import Hook, When
from decamp.model.plan import Plan, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning.hooks import commands, fits, with_hooks
from decamp.planning.replay import replay
from decamp.planning.undo import take_back
from small_projects import (
    action,
    comes_after,
    did,
    ids,
    move,
    network,
    new,
    old,
    port,
    resource,
    server,
    stack,
    subnet,
    volume,
)

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


# servers that a stack makes

NAMED = [("image", "debian"), ("flavor", "small"), ("keypair", "key"), ("network", "public"), ("volume", "beside")]


def shop(*named: str, stopped: tuple[str, ...] = ()) -> list[Resource]:
    """A stack with three servers: `db` with a volume of the stack's, `web` with none, `mail` with those that the template only names; and a
    router on its network, and an address outside."""
    owner = {"stack": "shop", "stack_id": "shop"}
    nics = [port(f"nic-{n}", "inner", "inner-sub", f"10.9.0.{n}") for n in (1, 2, 3)]
    disks = {"db": ["data"], "web": [], "mail": list(named)}
    servers = [
        server(name, [nic.id], disks[name], status="SHUTOFF" if name in stopped else "ACTIVE", info=owner)
        for nic, name in zip(nics, disks, strict=True)
    ]
    made = [network("inner"), subnet("inner-sub", "inner", "10.9.0.0/24"), *nics, volume("data"), *servers]
    router = resource("router", "beside", [("subnet", "inner-sub"), ("network", "public")])
    address = resource("floating_ip", "fip", [("network", "public"), ("port", "nic-1")], name="203.0.113.9", port=["port", "nic-1"])
    return [*made, *(volume(one) for one in named), router, address, stack("shop", *made, names=NAMED)]


def moved_stack(*resources: Resource, hooks: dict[When, Hook] = HOOKS) -> Plan:
    before = old(*resources)
    plan = with_hooks(move(before), hooks)
    assert plan.refusals == ()
    assert replay(plan, {"old": before, "new": new()}) == ()
    return plan


def hooks_of(plan: Plan, when: str) -> list[str]:
    return [one for one in ids(plan) if one.startswith("run_hook/") and one.endswith(f"/{when}")]


@pytest.mark.parametrize("named", [(), ("beside",)])
@pytest.mark.parametrize("hooks", [few for number in range(1, 5) for few in combinations(When, number)])
def test_every_choice_of_hooks_has_its_place_around_a_stack(hooks: tuple[When, ...], named: tuple[str, ...]):
    plan = moved_stack(*shop(*named, stopped=("web",)), hooks={when: HOOKS[when] for when in hooks})
    carrying = ["db", "mail"] if named else ["db"]
    servers = {When.BEFORE_STOP: ["db", "mail"], When.AFTER_COPY: carrying, When.AFTER_START: ["db", "mail"], When.VERIFY: ["db", "mail"]}
    for when in When:
        expected = {f"run_hook/server/{one}/{when}" for one in servers[when]} if when in hooks else set()
        assert set(hooks_of(plan, when)) == expected


def test_the_hooks_of_a_stack_s_servers_stand_around_their_hand_over():
    plan = moved_stack(*shop())
    order = (
        "create/stack/shop", "run_hook/server/db/before_stop", "stop_server/server/db", "take_member/volume/data",
        "run_hook/server/db/after_copy", "take_member/server/db", "run_hook/server/db/after_start", "run_hook/server/db/verify",
        "lock_server/server/db",
    )  # fmt: skip
    for earlier, later in pairwise(order):
        assert comes_after(plan, later, earlier), f"{later} may come before {earlier}"


def test_hooks_of_one_stack_run_one_after_the_other_and_when_nothing_else_is_done_to_it():
    plan = moved_stack(*shop())
    hooks = [one for when in When for one in hooks_of(plan, when)]
    doing = [one.id for one in plan.actions if one.target.kind in ("stack", "server", "volume", "floating_ip") and one.id not in hooks]
    assert len(doing) == 12
    for one in hooks:
        for other in (*doing, *hooks):
            assert one == other or comes_after(plan, one, other) or comes_after(plan, other, one), f"{one} beside {other}"


def test_a_stack_s_servers_are_verified_before_any_is_locked_and_before_an_address_leads_to_one():
    plan = moved_stack(*shop())
    for name in ("db", "web", "mail"):
        for later in ("lock_server/server/db", "lock_server/server/web", "lock_server/server/mail", "create/floating_ip/fip"):
            assert comes_after(plan, later, f"run_hook/server/{name}/verify")


def test_all_of_a_stack_stops_before_it_is_made_where_a_part_of_it_has_to():
    plan = moved_stack(*shop("beside"))
    for stop in ("stop_server/server/db", "stop_server/server/mail"):
        assert comes_after(plan, "create/stack/shop", stop)
        for hook in ("db", "mail"):
            assert comes_after(plan, stop, f"run_hook/server/{hook}/before_stop")
    assert not comes_after(plan, "create/stack/shop", "stop_server/server/web"), "it has no data, and runs on until its copy is verified"


def test_a_stack_is_taken_back_as_a_whole_with_what_hangs_on_it_and_its_servers_run_again():
    plan = moved_stack(*shop("beside"))
    left = [one.id for one in plan.actions if comes_after(plan, one.id, "run_hook/server/db/verify")]
    actions, refusals = take_back(plan, did(plan, but=["run_hook/server/db/verify", *left]), "run-1", Ref("server", "db"))
    assert refusals == ()
    gone = ("stack/shop", "server/db", "server/web", "server/mail", "volume/data", "volume/beside", "router/beside", "network/inner")
    told = {one.id for one in actions}
    assert {f"remove/{one}" for one in gone} <= told
    assert {one for one in told if one.startswith("start_server")} == {"start_server/server/db", "start_server/server/mail"}
    assert not {one for one in told if one.startswith(("remove/image", "remove/keypair", "remove/security_group", "remove/network/net"))}
