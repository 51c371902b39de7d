"""Stacks that move: what is there before them, what is taken of what they make, what is refused; and how they go again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decamp.model.errors import BadInput
from decamp.model.plan import Plan
from decamp.model.survey import Resource, Survey
from decamp.planning.assess import assess
from decamp.planning.confirm import plan_confirm
from decamp.planning.replay import replay
from decamp.planning.undo import plan_undo
from small_projects import (
    MAPPED,
    action,
    comes_after,
    did,
    external,
    group,
    ids,
    move,
    network,
    new,
    old,
    port,
    refusals,
    resource,
    server,
    stack,
    subnet,
    volume,
)

NAMED = [("image", "debian"), ("flavor", "small"), ("keypair", "key"), ("network", "public")]


def inside(id: str = "web", volumes: tuple[str, ...] = ("data",), **spec: Any) -> list[Resource]:
    """What a stack makes: a server with a port on a network of its own, and its volumes."""
    return [
        network("inner"),
        subnet("inner-sub", "inner", "10.9.0.0/24"),
        port("nic", "inner", "inner-sub", "10.9.0.5"),
        *(volume(one) for one in volumes),
        server(id, ["nic"], volumes, info={"stack": "shop", "stack_id": "shop"}, **spec),
    ]


def shop(*more: Resource, **spec: Any) -> Survey:
    made = inside()
    return old(*made, stack("shop", *made, **{"names": NAMED, **spec}), *more)


def proved(before: Survey, **goal: Any) -> Plan:
    plan = move(before, **goal)
    assert replay(plan, {"old": before, "new": new()}) == ()
    return plan


@pytest.mark.parametrize("goal", [{}, {"stacks": ("shop",)}])
def test_a_stack_is_made_and_its_members_are_taken_of_it(goal: dict[str, Any]):
    plan = proved(shop(), **goal)
    assert plan.refusals == ()
    members = ("network/inner", "subnet/inner-sub", "port/nic", "volume/data", "server/web")
    assert {f"take_member/{one}" for one in members} | {"create/stack/shop"} <= set(ids(plan))
    assert not {f"create/{one}" for one in members} & set(ids(plan))
    assert all(comes_after(plan, f"take_member/{one}", "create/stack/shop") for one in members)


def test_what_a_stack_uses_and_does_not_make_is_there_before_it():
    plan = proved(shop(), stacks=("shop",))
    for one in ("create/image/debian", "create/keypair/key", "adopt/flavor/small", "adopt/network/public", "create/security_group/web"):
        assert comes_after(plan, "create/stack/shop", one)
    wanted = action(plan, "create/stack/shop").args["resource"]["spec"]["wanted"]
    assert [one for one in wanted if one[0] in ("image", "keypair")] == [
        ["image", "debian", ["image", "debian"]],
        ["keypair", "key", ["keypair", "key"]],
    ]


def test_what_is_named_is_the_project_s_own_before_another_s():
    before = shop(
        network("theirs", project="beta", name="inner-too"), network("ours", name="inner-too"), names=[*NAMED, ("network", "inner-too")]
    )
    wanted = action(move(before, stacks=("shop",)), "create/stack/shop").args["resource"]["spec"]["wanted"]
    assert ["network", "inner-too", ["network", "ours"]] in wanted


def test_hidden_parameters_are_told_by_name():
    plan = proved(shop(hidden=["password"]))
    assert action(plan, "create/stack/shop").changes["hidden_parameters"] == ("password", "asked for when it is applied")


def test_a_zone_is_called_as_the_mapping_says():
    before = shop(names=[*NAMED, ("zone", "nova")])
    plan = move(before, mapping=msgspec.structs.replace(MAPPED, zone={"nova": "az-1"}))
    assert ["zone", "nova", "az-1"] in action(plan, "create/stack/shop").args["resource"]["spec"]["wanted"]


def test_the_old_server_runs_until_the_new_stack_is_there_and_its_data_are_carried_when_it_is_stopped():
    plan = proved(shop(), stacks=("shop",))
    assert comes_after(plan, "stop_server/server/web", "create/stack/shop")
    assert comes_after(plan, "take_member/volume/data", "stop_server/server/web")
    assert comes_after(plan, "take_member/server/web", "take_member/volume/data")
    assert comes_after(plan, "lock_server/server/web", "take_member/server/web")
    volume_action = action(plan, "take_member/volume/data")
    assert volume_action.args["manner"] == "copy"
    assert volume_action.args["member"]["server"] == "web"
    assert "server:web" in volume_action.locks


def test_a_volume_that_the_template_only_names_is_carried_before_the_stack_is_made():
    made = inside(volumes=())
    web = server("web", ["nic"], ["data"])
    members = [*made[:-1], web]
    plan = proved(old(volume("data"), *members, stack("shop", *members, names=[*NAMED, ("volume", "data")])))
    assert comes_after(plan, "create/volume/data", "stop_server/server/web")
    assert comes_after(plan, "create/stack/shop", "create/volume/data")


def test_the_old_server_stops_before_the_stack_is_made_where_both_clouds_have_its_network():
    web = server("web", ["nic"])
    members = [port("nic", "public", "out", "203.0.113.5"), web]
    out = subnet("out", "public", "203.0.113.0/24", project="admin")
    there = new(external(), subnet("out-new", "public", "203.0.113.0/24", project="admin"))
    plan = move(old(out, *members, stack("shop", *members, names=NAMED)), there)
    assert plan.refusals == ()
    assert comes_after(plan, "create/stack/shop", "stop_server/server/web")


def test_a_port_that_nova_made_for_a_server_is_known_by_its_place():
    members = [server("web", ["first", "nic"])]
    nics = [port("first", address="10.0.0.6"), port("nic", info={"made_by": "nova"}, name="")]
    made = [*members, nics[0]]
    plan = proved(old(*nics, *members, stack("shop", *made, names=[*NAMED, ("network", "net")])))
    assert action(plan, "take_member/port/nic").args["member"] | {"attachment": {}} == {
        "stack": "shop",
        "path": "web",
        "nic": 1,
        "server": None,
        "attachment": {},
    }
    assert action(plan, "take_member/port/first").args["member"]["path"] == "first"


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ([volume("by-hand")], "volume"),
        ([port("by-hand", "inner", "inner-sub", "10.9.0.6")], "port"),
    ],
)
def test_a_stack_whose_server_has_something_attached_by_hand_is_refused(extra: list[Resource], told: str):
    made = inside(volumes=())
    ports, volumes = (["nic", "by-hand"], []) if told == "port" else (["nic"], ["by-hand"])
    members = [*made[:-1], server("web", ports, volumes)]
    plan = move(old(*extra, *members, stack("shop", *members, names=NAMED)), stacks=("shop",))
    assert ("stack", "shop", "unsupported") in refusals(plan)
    assert any(f"{told} 'by-hand'" in one.text for one in plan.refusals)
    assert plan.actions == ()


@pytest.mark.parametrize(
    ("spec", "reason", "told"),
    [
        ({"status": "UPDATE_IN_PROGRESS"}, "stack_state", "wait until Heat has ended"),
        ({"status": "UPDATE_FAILED"}, "stack_state", "repair it with a stack update"),
        ({"status": "DELETE_FAILED"}, "stack_state", "delete it"),
        ({"status": "SUSPEND_COMPLETE"}, "stack_state", "resume it"),
        ({"info": {"unsupported": ["its box (OS::Zaqar::Queue) holds messages"]}}, "unsupported", "OS::Zaqar::Queue"),
        ({"names": [*NAMED, ("volume_snapshot", "snap")]}, "unsupported", "volume_snapshot snap"),
        ({"names": [*NAMED, ("image", "9f6c1a1e-1111-4222-8333-444455556666")]}, "not_found", "is gone"),
    ],
)
def test_a_stack_that_cannot_be_made_anew_is_refused_with_all_of_its_members(spec: dict[str, Any], reason: str, told: str):
    plan = move(shop(resource("volume_snapshot", "snap", [("volume", "data")]), **spec), stacks=("shop",), with_snapshots=True)
    assert ("stack", "shop", reason) in refusals(plan)
    assert any(told in one.text for one in plan.refusals)
    assert ("server", "web", "needs_refused") in refusals(plan)
    assert plan.actions == ()


def test_a_member_that_cannot_be_carried_holds_its_stack_back():
    made = [*inside()[:-1], server("web", ["nic"], ["data"], status="PAUSED")]
    plan = move(old(*made, stack("shop", *made, names=NAMED)), stacks=("shop",))
    assert {("server", "web", "state"), ("stack", "shop", "needs_refused")} <= refusals(plan)
    assert plan.actions == ()


def test_two_stacks_that_need_each_other_are_refused():
    first = [group("a"), port("p-a", groups=["b"]), server("one", ["p-a"])]
    second = [group("b"), port("p-b", groups=["a"], address="10.0.0.6"), server("two", ["p-b"])]
    stacks = [stack("first", *first, names=[*NAMED, ("network", "net")]), stack("second", *second, names=[*NAMED, ("network", "net")])]
    plan = move(old(*first, *second, *stacks))
    assert ("stack", "second", "unsupported") in refusals(plan)
    assert not [one for one in ids(plan) if "stack" in one or "take_member" in one]


def test_a_member_that_is_gone_is_told():
    made = inside()
    before = old(*[one for one in made if one.id != "nic"][:3], stack("shop", *made, names=NAMED))
    assert ("stack", "shop", "not_found") in refusals(move(before, stacks=("shop",)))


def test_a_stack_of_that_name_in_the_new_project_is_a_conflict():
    plan = move(shop(), new(stack("shop", project="new-project")), stacks=("shop",))
    assert ("stack", "shop", "conflict") in refusals(plan)


@pytest.mark.parametrize("goal", [{"manner": "snapshot"}, {"manner": "snapshot", "stacks": ("shop",)}])
def test_by_snapshot_no_stack_moves_and_its_servers_stay(goal: dict[str, Any]):
    plan = move(shop(), **goal)
    assert ("server", "web", "stack_owned") in refusals(plan)
    assert not [one for one in ids(plan) if "stack" in one or "server/web" in one]


def test_one_server_of_a_stack_does_not_move_without_it():
    plan = move(shop(), None, "web")
    assert ("server", "web", "stack_owned") in refusals(plan)
    assert any("--stack shop" in one.text for one in plan.refusals)


def test_several_stacks_of_a_name_are_bad_input():
    with pytest.raises(BadInput, match="several of that name"):
        move(old(*inside(), stack("one", name="shop"), stack("two", name="shop")), stacks=("shop",))


def test_what_hangs_on_a_stack_is_made_after_it():
    plan = proved(shop(port("beside", "inner", "inner-sub", "10.9.0.9")))
    assert comes_after(plan, "create/port/beside", "take_member/network/inner")


def test_a_stack_that_has_moved_is_not_moved_again():
    plan = proved(shop())
    there = new(*(resource(one.target.kind, f"{one.target.id}-copy", project="new-project") for one in plan.actions if one.verb != "adopt"))
    again = move(shop(), there, ledger=did(plan))
    assert again.refusals == ()
    assert not [one for one in ids(again) if one.startswith(("create/stack", "take_member", "stop_server"))]


def test_a_member_that_has_moved_by_itself_is_a_conflict():
    earlier = did(move(old(*inside()[:2], port("other", "inner", "inner-sub"), server("other", ["other"])), None, "other"))
    there = new(resource("network", "inner-copy"), resource("subnet", "inner-sub-copy"))
    plan = move(shop(), there, stacks=("shop",), ledger=earlier)
    assert ("stack", "shop", "conflict") in refusals(plan)


def test_an_undo_removes_the_servers_then_the_stack_and_proves_that_the_rest_is_gone():
    plan = proved(shop(port("beside", "inner", "inner-sub", "10.9.0.9")))
    undo = plan_undo(plan, did(plan), "run-1")
    assert replay(undo, {}) == ()
    assert undo.refusals == ()
    assert comes_after(undo, "remove/server/web", "unlock_server/server/web")
    stack = action(undo, "remove/stack/shop")
    assert action(undo, "remove/server/web").args["stack_expects"] == stack.expects
    assert action(undo, "remove/server/web").args["stack"] == stack.args["id"] == "shop-copy"
    assert comes_after(undo, "remove/stack/shop", "remove/server/web")
    assert comes_after(undo, "remove/stack/shop", "remove/port/beside")
    assert all(comes_after(undo, f"remove/{one}", "remove/stack/shop") for one in ("volume/data", "port/nic", "network/inner"))
    assert comes_after(undo, "start_server/server/web", "remove/server/web")


def test_an_undo_removes_a_router_beside_the_stack_before_the_stack():
    """The old server was stopped after the router was there, and its volume's data were carried after that."""
    plan = proved(shop(resource("router", "beside", [("subnet", "inner-sub"), ("network", "public")])))
    assert comes_after(plan, "take_member/volume/data", "create/router/beside")
    undo = plan_undo(plan, did(plan), "run-1")
    assert comes_after(undo, "remove/stack/shop", "remove/router/beside")


def test_a_stack_stays_where_another_run_uses_what_it_made():
    plan = proved(shop())
    other = move(
        shop(port("late", "inner", "inner-sub", "10.9.0.7"), server("late", ["late"])),
        new(resource("network", "inner-copy"), resource("subnet", "inner-sub-copy")),
        "late",
        ledger=did(plan),
    )
    undo = plan_undo(plan, (*did(plan), *did(other, "run-2")), "run-1")
    assert {("network", "inner", "conflict"), ("stack", "shop", "conflict"), ("server", "web", "conflict")} <= refusals(undo)
    assert not [one for one in ids(undo) if one in ("remove/stack/shop", "remove/server/web", "start_server/server/web")]


def test_a_confirm_deletes_the_servers_then_the_stack_and_proves_that_the_rest_is_gone():
    plan = proved(shop(), stacks=("shop",))
    confirm = plan_confirm(plan, did(plan), "run-1")
    assert replay(confirm, {}) == ()
    assert confirm.refusals == ()
    assert action(confirm, "remove/server/web").args["stack_expects"] == action(plan, "create/stack/shop").expects
    members = ("network/inner", "subnet/inner-sub", "port/nic", "volume/data")
    assert set(ids(confirm)) == {f"remove/{one}" for one in ("server/web", "stack/shop", *members)}
    assert comes_after(confirm, "remove/stack/shop", "remove/server/web")
    assert all(comes_after(confirm, f"remove/{one}", "remove/stack/shop") for one in members)


@pytest.mark.parametrize("lacking", ["take_member/volume/data", "take_member/network/inner", "lock_server/server/web"])
def test_an_old_stack_stays_as_long_as_a_member_of_its_copy_is_not_proved(lacking: str):
    plan = proved(shop(port("nic-2"), server("other", ["nic-2"])))
    confirm = plan_confirm(plan, did(plan, but=[lacking]), "run-1")
    assert set(ids(confirm)) == {"remove/server/other", "remove/port/nic-2"}
    assert ("server", "web", "conflict") in refusals(confirm)


def test_a_whole_project_s_networks_go_around_its_stacks():
    """A router of one's own on a subnet of the stack is out of its way first."""
    beside = resource("router", "beside", [("subnet", "inner-sub"), ("network", "public")])
    address = resource("floating_ip", "198.51.100.7", [("port", "nic"), ("network", "public")], port=["port", "nic"])
    plan = proved(shop(beside, address))
    confirm = plan_confirm(plan, did(plan), "run-1")
    assert replay(confirm, {}) == ()
    assert comes_after(confirm, "remove/stack/shop", "remove/router/beside")
    assert comes_after(confirm, "remove/router/beside", "remove/floating_ip/198.51.100.7")


def box() -> Resource:
    return resource("container", "box", info={"bytes": 4096}, read=[], write=[])


def media(**spec: Any) -> Survey:
    return old(box(), stack("media", box(), **spec))


def test_a_container_of_a_stack_is_filled_after_it_and_emptied_before_it_goes():
    plan = proved(media(), stacks=("media",))
    assert comes_after(plan, "take_member/container/box", "create/stack/media")
    assert action(plan, "create/stack/media").args["resource"]["spec"]["fills"] is False
    assert plan.forecast.bytes == 4096
    undo, confirm = plan_undo(plan, did(plan), "run-1"), plan_confirm(plan, did(plan), "run-1")
    for going in (undo, confirm):
        assert replay(going, {}) == ()
        assert comes_after(going, "remove/stack/media", "remove/container/box")
        assert action(going, "remove/container/box").args["stack_expects"] == action(going, "remove/stack/media").expects


@pytest.mark.parametrize(
    "there", [new(lacks=("object-store",)), new(resource("container", "box", project="new-project", info={"unfinished": "decamp-1"}))]
)
def test_a_stack_whose_container_has_no_place_is_refused(there: Survey):
    plan = move(media(), there, stacks=("media",))
    assert {(one.kind, one.id) for one in (refusal.ref for refusal in plan.refusals)} >= {("stack", "media"), ("container", "box")}
    assert not [one for one in ids(plan) if "media" in one or "box" in one]


def test_a_stack_is_possible_to_recreate_and_not_by_snapshot():
    found = assess(shop(), new(), MAPPED, project="alpha")
    ways = {one.manner: one for one in next(one for one in found.applications if one.kind == "stack").ways}
    assert ways["recreate"].is_possible
    assert not ways["snapshot"].is_possible
    assert ways["recreate"].bytes >= 1 << 30
