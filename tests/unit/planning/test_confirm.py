from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decamp.model.documents import encode
from decamp.model.errors import Refused
from decamp.model.ledger import Entry
from decamp.model.mapping import Mapping
from decamp.model.plan import Plan, Verb
from decamp.model.survey import Resource
from decamp.planning.confirm import plan_confirm
from decamp.planning.replay import replay
from decamp.planning.undo import made_of
from small_clouds import host, survey, vacate
from small_clouds import server as hosted
from small_projects import (
    MAPPED,
    P,
    action,
    comes_after,
    did,
    group,
    ids,
    image,
    move,
    new,
    old,
    port,
    refusals,
    resource,
    rule,
    server,
    volume,
)


def moved(*servers: str, manner: str = "snapshot") -> Plan:
    before = old(port("nic"), volume("data"), server("db", ["nic"], ["data"]), port("nic-2", address="10.0.0.6"), server("web", ["nic-2"]))
    return move(before, None, *servers, manner=manner)


def confirmed(plan: Plan, entries: tuple[Entry, ...]) -> Plan:
    """The confirm, which the independent checker finds nothing wrong with."""
    confirm = plan_confirm(plan, entries, "run-1")
    assert replay(confirm, {}) == ()
    return confirm


def test_old_servers_go_with_their_volumes_and_ports_and_what_they_shared_stays():
    plan = moved("db")
    assert set(ids(confirmed(plan, did(plan)))) == {"remove/server/db", "remove/port/nic", "remove/volume/data"}


def test_old_ones_are_deleted_in_the_old_cloud_and_only_as_the_plan_knew_them():
    plan = moved("db")
    remove = action(confirmed(plan, did(plan)), "remove/volume/data")
    assert remove.args == {"cloud": "old", "id": "data"}
    assert remove.expects == action(plan, "create/volume/data").expects


def test_a_server_goes_before_its_volumes_and_ports():
    plan = moved("db")
    confirm = confirmed(plan, did(plan))
    assert comes_after(confirm, "remove/volume/data", "remove/server/db")
    assert comes_after(confirm, "remove/port/nic", "remove/server/db")


@pytest.mark.parametrize("lacking", ["create/server/db", "lock_server/server/db"])
def test_a_server_that_is_not_copied_and_locked_stays_with_all_that_it_has(lacking: str):
    plan = moved("db", "web")
    confirm = confirmed(plan, did(plan, but=[lacking]))
    assert refusals(confirm) == {("server", "db", "conflict")}
    assert set(ids(confirm)) == {"remove/server/web", "remove/port/nic-2"}


@pytest.mark.parametrize("kind", ["server", "volume"])
def test_a_server_stays_when_its_copy_or_that_of_a_volume_is_not_verified(kind: str):
    plan = moved("db", "web")
    entries = tuple(
        msgspec.structs.replace(one, verified_at=None) if one.ref.id in {"db", "data"} and one.ref.kind == kind else one
        for one in did(plan)
    )
    assert set(ids(confirmed(plan, entries))) == {"remove/server/web", "remove/port/nic-2"}


def test_after_a_whole_project_its_networks_go_too_and_keys_images_flavors_and_the_project_stay():
    plan = moved()
    confirm = confirmed(plan, did(plan))
    kinds = {one.target.kind for one in confirm.actions}
    assert kinds == {"server", "port", "volume", "router", "subnet", "network", "security_group", "security_group_rule"}
    for later, earlier in (
        ("remove/network/net", "remove/subnet/sub"),
        ("remove/subnet/sub", "remove/router/router"),
        ("remove/router/router", "remove/port/nic"),
        ("remove/subnet/sub", "remove/port/nic"),
        ("remove/security_group/web", "remove/port/nic"),
        ("remove/security_group/web", "remove/security_group_rule/web-ssh"),
    ):
        assert comes_after(confirm, later, earlier)


def test_networks_stay_when_anything_of_the_project_stayed():
    before = old(port("nic"), server("db", ["nic"]), server("odd", info={"status": "PAUSED"}))
    plan = move(before)
    assert set(ids(confirmed(plan, did(plan)))) == {"remove/server/db", "remove/port/nic"}


def test_floating_ips_that_stay_keep_no_network_from_going():
    address = resource("floating_ip", "fip", name="203.0.113.9")
    same = Mapping(network=MAPPED.network, floating_ip={"203.0.113.9": "203.0.113.9"})
    plan = move(old(port("nic"), server("db", ["nic"]), address), mapping=same)
    assert plan.refusals
    assert "remove/network/net" in ids(confirmed(plan, did(plan)))


def test_the_default_group_and_its_rules_stay_as_long_as_their_project():
    before = old(group("d", name="default"), rule("in", "d", protocol="tcp"), port("nic"), server("db", ["nic"]))
    plan = move(before)
    assert "create/security_group_rule/in" in ids(plan)
    assert not {"remove/security_group/d", "remove/security_group_rule/in"} & set(ids(confirmed(plan, did(plan))))


def test_the_last_of_a_root_disks_contents_is_said_to_go():
    plan = moved("db", manner="recreate")
    assert "contents" in action(confirmed(plan, did(plan)), "remove/server/db").changes
    plan = moved("db", manner="snapshot")
    assert action(confirmed(plan, did(plan)), "remove/server/db").changes == {}


def test_a_move_that_was_undone_has_nothing_to_confirm():
    plan = moved("db")
    entries = tuple(msgspec.structs.replace(one, removed_at="2026-11-23T02:00:00Z") if one.new_id else one for one in did(plan))
    with pytest.raises(Refused, match="nothing to confirm"):
        plan_confirm(plan, entries, "run-1")


def test_only_moves_are_confirmed():
    plan = vacate(survey([host("a"), host("b")], [hosted("s", "a")]), "a")
    with pytest.raises(Refused, match="moved nothing to the new cloud"):
        plan_confirm(plan, (), "run-1")


def test_other_runs_rows_make_no_difference():
    plan = moved("db")
    others = tuple(msgspec.structs.replace(one, run="run-2", verified_at=None) for one in did(plan))
    assert ids(confirmed(plan, (*others, *did(plan)))) == ids(confirmed(plan, did(plan)))


def test_equal_ledgers_give_equal_confirms():
    plan = moved()
    assert encode(confirmed(plan, did(plan))) == encode(confirmed(plan, did(plan)))


def golden(**spec: Any) -> Resource:
    return image("golden", digest="g1", **{"project": P, "visibility": "private", "members": [], "protected": False, **spec})


def confirmed_with(own: Resource) -> list[str]:
    plan = move(old(port("nic"), server("db", ["nic"], image="golden"), own))
    return ids(confirmed(plan, did(plan)))


@pytest.mark.parametrize("manner", ["recreate", "snapshot"])
def test_an_image_that_is_the_projects_alone_goes_with_the_project_and_after_the_servers_of_it(manner: str):
    plan = move(old(port("nic"), server("db", ["nic"], image="golden"), golden()), manner=manner)
    assert comes_after(confirmed(plan, did(plan)), "remove/image/golden", "remove/server/db")
    assert "remove/image/golden" in confirmed_with(golden(visibility="shared"))


@pytest.mark.parametrize(
    "others",
    [
        {"visibility": "public"},
        {"visibility": "community"},
        {"visibility": "shared", "members": [["project", "beta"]]},
        {"protected": True},
        {"project": "beta", "visibility": "shared"},
    ],
)
def test_an_image_that_others_may_use_stays_and_so_does_a_protected_one(others: dict[str, Any]):
    assert "remove/image/golden" not in confirmed_with(golden(**others))


def in_two_runs() -> tuple[Plan, tuple[Entry, ...], Plan, tuple[Entry, ...]]:
    """`db` by itself, then the whole project, in which `db` is moved already."""
    before = old(port("nic"), server("db", ["nic"]), port("nic-2", address="10.0.0.6"), server("web", ["nic-2"]))
    first = move(before, None, "db")
    earlier = did(first, "run-0")
    copies = [made_of(one) for one in first.actions if one.verb is Verb.CREATE]
    there = new(*(msgspec.structs.replace(one, id=f"{one.id}-copy") for one in copies))
    second = move(before, there, ledger=earlier)
    return first, earlier, second, did(second)


def test_networks_go_with_the_last_run_of_a_project_when_the_earlier_ones_are_confirmed():
    first, earlier, second, later = in_two_runs()
    assert action(second, "adopt/network/net").args["because"] == "moved_earlier"
    before = plan_confirm(first, (*earlier, *later), "run-0")
    confirm = confirmed(second, (*earlier, *later, *did(before, "run-2")))
    assert set(ids(confirm)) == {
        "remove/server/web",
        "remove/port/nic-2",
        *("remove/network/net", "remove/subnet/sub", "remove/router/router"),
        *("remove/security_group/web", "remove/security_group_rule/web-ssh"),
    }


def test_networks_stay_while_a_server_of_an_earlier_run_is_not_confirmed_and_this_is_said():
    _, earlier, second, later = in_two_runs()
    confirm = confirmed(second, (*earlier, *later))
    assert set(ids(confirm)) == {"remove/server/web", "remove/port/nic-2"}
    assert [refusal.ref.id for refusal in confirm.refusals] == ["db"]
    assert "Confirm that run, then this one again" in confirm.refusals[0].text


def test_networks_of_an_earlier_run_stay_when_a_server_of_the_last_was_taken_back():
    first, earlier, second, later = in_two_runs()
    given_up = did(plan_confirm(first, (*earlier, *later), "run-0"), "run-2")
    later = tuple(msgspec.structs.replace(one, removed_at="2026-11-23T02:00:00Z") if one.ref.id == "web" else one for one in later)
    with pytest.raises(Refused, match="nothing to confirm"):
        plan_confirm(second, (*earlier, *later, *given_up), "run-1")
