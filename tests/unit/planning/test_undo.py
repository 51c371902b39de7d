from __future__ import annotations

from typing import Any

import msgspec
import pytest

from decamp.model.documents import encode
from decamp.model.errors import BadInput, Refused
from decamp.model.ledger import Entry
from decamp.model.plan import Action, ConfirmGoal, ExpandGoal, Plan, UndoGoal, VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Group, Pinned, Server, Survey
from decamp.planning.confirm import plan_confirm
from decamp.planning.replay import replay
from decamp.planning.undo import plan_undo
from small_clouds import by_hand, host, migration, moves, on_host, survey, vacate
from small_clouds import server as hosted
from small_projects import P, action, comes_after, did, ids, move, old, port, refusals, server, volume

LATER = "2026-11-23T02:00:00Z"


def moved() -> Plan:
    return move(old(port("nic"), volume("data"), server("db", ["nic"], ["data"])), None, "db")


def undone(plan: Plan, entries: tuple[Entry, ...], run: str = "run-1", *, now: Survey | None = None, **options: Any) -> Plan:
    """The undo, which the independent checker finds nothing wrong with; `now`: the old cloud after the run."""
    undo = plan_undo(plan, entries, run, old=now, **options)
    assert replay(undo, {"old": now} if now else {}) == ()
    return undo


def test_exactly_what_the_run_made_is_removed_and_nothing_that_it_adopted():
    plan = moved()
    removed = {one.target for one in undone(plan, did(plan)).actions if one.verb is Verb.REMOVE}
    assert removed == {one.target for one in plan.actions if one.verb is Verb.CREATE}
    assert Ref("network", "public") not in removed
    assert Ref("project", P) not in removed


def test_copies_are_removed_in_the_new_cloud_as_the_run_left_them():
    plan = moved()
    remove = action(undone(plan, did(plan)), "remove/port/nic")
    assert remove.args == {"cloud": "new", "id": "nic-copy"}
    assert remove.expects == "fingerprint-of-nic-copy"


def test_a_move_that_is_made_again_after_its_undo_can_be_undone_again():
    plan = moved()
    first = did(plan)
    back = did(undone(plan, first), "run-2")
    gone = tuple(msgspec.structs.replace(one, removed_at=LATER) for one in first)
    again = (*gone, *back, *did(plan, "run-3"))
    assert ids(undone(plan, again, "run-3")) == ids(undone(plan, first))


def test_what_needed_something_goes_before_it():
    plan = moved()
    undo = undone(plan, did(plan))
    makes = {one.id: one for one in plan.actions if one.verb is Verb.CREATE}
    for one in makes.values():
        for other in makes.values():
            if comes_after(plan, one.id, other.id):
                later, earlier = (f"remove/{it.target.kind}/{it.target.id}" for it in (other, one))
                assert comes_after(undo, later, earlier)


def test_the_old_server_is_unlocked_first_and_started_last():
    plan = moved()
    undo = undone(plan, did(plan))
    assert comes_after(undo, "remove/server/db", "unlock_server/server/db")
    assert comes_after(undo, "start_server/server/db", "remove/server/db")
    assert action(undo, "start_server/server/db").args == {"status": "ACTIVE"}
    assert action(undo, "unlock_server/server/db").expects == action(plan, "lock_server/server/db").expects


def test_a_server_that_was_stopped_before_the_run_is_not_started():
    plan = move(old(port("nic"), server("db", ["nic"], status="SHUTOFF")), None, "db")
    undo = undone(plan, did(plan))
    assert "unlock_server/server/db" in ids(undo)
    assert "start_server/server/db" not in ids(undo)


def test_only_what_the_run_got_to_is_taken_back():
    plan = moved()
    begun = did(plan, but=["create/server/db", "lock_server/server/db"])
    undo = undone(plan, begun)
    assert "start_server/server/db" in ids(undo)
    assert not {"remove/server/db", "unlock_server/server/db"} & set(ids(undo))


def second_run(entries: tuple[Entry, ...], removed_at: str | None) -> tuple[Entry, ...]:
    """One that made a server on the network of the first."""
    borrowed = next(one for one in entries if one.ref == Ref("network", "net"))
    made = next(one for one in entries if one.ref.kind == "server" and one.new_id)
    return (
        msgspec.structs.replace(borrowed, run="run-2", adopted=True),
        msgspec.structs.replace(made, run="run-2", ref=Ref("server", "web"), new_id="web-copy", removed_at=removed_at),
    )


def test_what_another_run_uses_stays_and_is_said():
    plan = moved()
    entries = did(plan)
    undo = undone(plan, (*entries, *second_run(entries, None)))
    assert refusals(undo) == {("network", "net", "conflict")}
    assert "run run-2 uses it too" in undo.refusals[0].text
    assert "remove/network/net" not in ids(undo)


def test_what_another_run_used_goes_when_that_one_is_undone():
    plan = moved()
    entries = did(plan)
    undo = undone(plan, (*entries, *second_run(entries, LATER)))
    assert undo.refusals == ()
    assert "remove/network/net" in ids(undo)


@pytest.mark.parametrize("says_where", [True, False])
def test_a_copy_whose_old_one_was_deleted_is_all_that_there_is_and_stays(says_where: bool):
    """Earlier versions' ledgers do not say where a removal was."""
    plan = moved()
    entries = did(plan)
    removals = did(plan_confirm(plan, entries, "run-1"), "run-2")
    undo = plan_undo(plan, (*entries, *(one if says_where else msgspec.structs.replace(one, facts={}) for one in removals)), "run-1")
    assert {("server", "db", "conflict"), ("volume", "data", "conflict")} <= refusals(undo)
    assert not {"remove/server/db", "remove/volume/data", "start_server/server/db"} & set(ids(undo))


def test_an_old_server_that_another_run_has_moved_since_is_left_alone():
    plan = moved()
    again = did(plan, "run-2")
    first = tuple(msgspec.structs.replace(one, removed_at=LATER) if one.new_id else one for one in did(plan))
    with pytest.raises(Refused, match="nothing that could be undone"):
        plan_undo(plan, (*first, *again), "run-1")


def test_a_copy_of_which_the_ledger_has_no_fingerprint_stays():
    plan = moved()
    entries = tuple(msgspec.structs.replace(one, fingerprint=None) if one.ref.kind == "volume" else one for one in did(plan))
    assert ("volume", "data", "conflict") in refusals(undone(plan, entries))


def test_a_run_that_did_nothing_cannot_be_undone():
    with pytest.raises(Refused, match="nothing that could be undone"):
        plan_undo(moved(), (), "run-1")


def test_equal_ledgers_give_equal_undos():
    plan = moved()
    assert encode(undone(plan, did(plan))) == encode(undone(plan, did(plan)))


@pytest.mark.parametrize("goal", [UndoGoal(run="run-0"), ConfirmGoal(run="run-0")])
def test_undos_and_confirms_are_not_undone(goal: UndoGoal | ConfirmGoal):
    with pytest.raises(Refused, match="Run run-1"):
        plan_undo(Plan(goal=goal, made_from={}).sealed(), (), "run-1")


# hosts


def vacated() -> Plan:
    """One server migrated, from `a` to `b`."""
    return vacate(survey([host("a"), host("b"), host("c")], [hosted("s", "a"), hosted("t", "b")]), "a")


def after(*servers: Server, **of_a: Any) -> Survey:
    """The cloud once `a` is cordoned."""
    return survey([host("a", **{"status": "disabled", **of_a}), host("b"), host("c")], [hosted("t", "b"), *servers])


AFTER = after(hosted("s", "b"))


def as_far_as(plan: Plan, *verbs: Verb, facts: dict[str, Any] | None = None) -> tuple[Entry, ...]:
    """The ledger of a run that did these verbs; `facts` are those of its cordons."""
    entries = did(plan, but=[one.id for one in plan.actions if one.verb not in verbs])
    return tuple(msgspec.structs.replace(one, facts=facts or {}) if one.action.startswith("disable_service/") else one for one in entries)


MIGRATED = (Verb.DISABLE_SERVICE, Verb.LIVE_MIGRATE, Verb.COLD_MIGRATE)


def test_hosts_of_a_vacate_are_enabled_again_and_servers_stay_unless_they_are_asked_back() -> None:
    plan = vacated()
    undo = undone(plan, as_far_as(plan, *MIGRATED), now=AFTER)
    assert [(one.verb, one.target.id) for one in undo.actions] == [(Verb.ENABLE_SERVICE, "a")]
    assert "1 server that was migrated stays where it is now: with `decamp undo run-1 --move-back`" in undo.refusals[0].text


def test_a_host_gets_back_the_status_and_the_aggregates_that_it_had() -> None:
    plan = vacated()
    before = {"status": "disabled", "disabled_reason": "broken fan", "aggregates": [{"id": 1, "name": "ssd"}]}
    undo = undone(plan, as_far_as(plan, Verb.DISABLE_SERVICE, facts={**before, "provider": "p"}), now=after(hosted("s", "a")))
    assert action(undo, "enable_service/host/a").args == before
    assert action(undo, "enable_service/host/a").changes == {}


def test_a_server_that_is_asked_back_returns_after_its_host_takes_servers() -> None:
    plan = vacated()
    undo = undone(plan, as_far_as(plan, *MIGRATED), now=AFTER, move_back=True)
    back = action(undo, "live_migrate/server/s")
    assert (back.args["from"], back.args["to"]) == ("b", "a")
    assert back.after == ("enable_service/host/a",)
    assert undo.refusals == ()


def test_servers_return_in_the_reverse_of_the_order_in_which_they_left() -> None:
    group = Group(id="g", policy="anti-affinity", members=("s", "t"))
    servers = [hosted("s", "a", group="g"), hosted("t", "b", group="g")]
    plan = vacate(survey([host(name) for name in "abcd"], servers, [group]), "a", "b")
    first, second = (one.target.id for one in plan.actions if one.verb is Verb.LIVE_MIGRATE)
    there = {one.target.id: one.args["to"] for one in plan.actions if one.verb is Verb.LIVE_MIGRATE}
    moved_servers = [hosted(one, there[one], group="g") for one in ("s", "t")]
    now = survey([host(name, status="disabled" if name in "ab" else "enabled") for name in "abcd"], moved_servers, [group])
    undo = undone(plan, as_far_as(plan, *MIGRATED), now=now, move_back=True)
    assert comes_after(undo, f"live_migrate/server/{first}", f"live_migrate/server/{second}")


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (after(hosted("s", "b", status="SUSPENDED")), "it is SUSPENDED"),
        (after(hosted("s", "b", pinned=Pinned.LOCKED)), "cannot be migrated: locked"),
        (after(hosted("s", "b"), hosted("new", "a", vcpus=7)), "a may lack 1 VCPU"),
        (after(hosted("s", "b"), state="down"), "a is down"),
    ],
)
def test_a_server_that_cannot_return_stays_and_is_told(now: Survey, why: str) -> None:
    plan = vacated()
    undo = undone(plan, as_far_as(plan, *MIGRATED), now=now, move_back=True)
    assert [one.verb for one in undo.actions] == [Verb.ENABLE_SERVICE]
    assert any(one.ref == Ref("server", "s") and "stays on b" in one.text and why in one.text for one in undo.refusals)


def test_a_server_returns_to_no_host_that_was_disabled_before_the_run() -> None:
    plan = vacated()
    undo = undone(plan, as_far_as(plan, *MIGRATED, facts={"status": "disabled"}), now=AFTER, move_back=True)
    assert [one.verb for one in undo.actions] == [Verb.ENABLE_SERVICE]
    assert "a was disabled before the run" in undo.refusals[0].text


@pytest.mark.parametrize("now", [after(hosted("s", "c")), after()])
def test_a_server_that_went_on_elsewhere_or_is_gone_is_left_alone(now: Survey) -> None:
    plan = vacated()
    undo = undone(plan, as_far_as(plan, *MIGRATED), now=now, move_back=True)
    assert [one.verb for one in undo.actions] == [Verb.ENABLE_SERVICE]
    assert undo.refusals == ()


def test_a_vacate_is_undone_with_the_runs_that_took_up_its_rest() -> None:
    first = vacated()
    cordoned = as_far_as(first, Verb.DISABLE_SERVICE, facts={"status": "disabled", "disabled_reason": "broken fan"})
    again = (*MIGRATED, Verb.DISABLE_SERVICE)
    entries = (*cordoned, *(msgspec.structs.replace(one, run="run-2") for one in as_far_as(first, *again, facts={"status": "enabled"})))
    alone = undone(first, entries, now=AFTER)
    assert alone.refusals == ()
    together = undone(first, entries, now=AFTER, followed_by=(("run-2", first),))
    assert action(together, "enable_service/host/a").args["disabled_reason"] == "broken fan"
    assert "1 server that was migrated stays" in together.refusals[0].text


def brought(*ways: tuple[str, str, str]) -> list[Plan]:
    """Runs that follow each other, of one migration each: (server, from, to). A server fills its host."""
    return [by_hand(survey(), migration(hosted(one, source, vcpus=8), to)) for one, source, to in ways]


def taken_back(ways: list[Plan], now: Survey) -> Plan:
    entries = tuple(one for number, plan in enumerate(ways, start=1) for one in did(plan, f"run-{number}"))
    followed_by = [(f"run-{number}", plan) for number, plan in enumerate(ways[1:], start=2)]
    return undone(ways[0], entries, now=now, followed_by=followed_by, move_back=True)


def test_a_server_that_was_migrated_twice_returns_once_the_one_that_took_its_place_has_left() -> None:
    ways = brought(("s", "a", "b"), ("t", "d", "a"), ("s", "b", "c"))
    now = survey([host(name) for name in "abcd"], [hosted("s", "c", vcpus=8), hosted("t", "a", vcpus=8)])
    undo = taken_back(ways, now)
    assert (moves(undo), undo.refusals) == ({"t": ("a", "d"), "s": ("c", "a")}, ())
    assert comes_after(undo, "live_migrate/server/s", "live_migrate/server/t")


def test_servers_that_took_each_others_place_stay_where_there_is_no_room_to_change() -> None:
    ways = brought(("s", "a", "b"), ("t", "c", "a"), ("s", "b", "c"))
    servers = [hosted("s", "c", vcpus=8), hosted("t", "a", vcpus=8)]
    tight = taken_back(ways, survey([host(name) for name in "abc"], servers))
    assert (moves(tight), {one.ref.id for one in tight.refusals}) == ({}, {"s", "t"})
    roomy = taken_back(ways, survey([host(name, vcpus=16) for name in "abc"], servers))
    assert moves(roomy) == {"s": ("c", "a"), "t": ("a", "c")}


def test_where_a_host_is_full_servers_return_one_after_the_other() -> None:
    small, large, late, last = (
        hosted(name, on, vcpus=size) for name, on, size in [("x", "h", 1), ("b", "h", 2), ("d", "i", 2), ("t", "i", 1)]
    )
    away = [migration(small, "j"), migration(large, "j")]
    come = [migration(late, "h", after=[away[1].id]), migration(last, "h", after=[away[0].id, "live_migrate/d/1"])]
    there = {"x": "j", "b": "j", "d": "h", "t": "h"}
    servers = [hosted("rest", "h", vcpus=5), *(msgspec.structs.replace(one, host=there[one.id]) for one in (small, large, late, last))]
    undo = taken_back([by_hand(survey(), *away, *come)], survey([host(name) for name in "hij"], servers))
    assert (set(moves(undo)), undo.refusals) == ({"x", "b", "d", "t"}, ())


def shelved() -> Plan:
    """A stopped server shelved off `a`."""
    cordon = on_host(Verb.DISABLE_SERVICE, "a")
    shelve = Action(id="shelve/server/s", verb=Verb.SHELVE, target=Ref("server", "s"), args={"from": "a"}, after=(cordon.id,))
    return Plan(goal=VacateGoal(hosts=("a",)), made_from={}, actions=(cordon, shelve)).sealed()


def test_a_shelved_server_is_unshelved_to_its_host_once_that_takes_servers() -> None:
    undo = undone(shelved(), did(shelved()), now=after(hosted("s", None, status="SHELVED_OFFLOADED")))
    back = action(undo, "unshelve/server/s")
    assert (back.args, back.after) == ({"to": "a"}, ("enable_service/host/a",))


def test_a_server_that_its_owner_unshelved_meanwhile_is_left_alone() -> None:
    undo = undone(shelved(), did(shelved()), now=after(hosted("s", "c")))
    assert [one.verb for one in undo.actions] == [Verb.ENABLE_SERVICE]


def test_a_host_whose_nova_compute_was_stopped_is_enabled_and_its_owner_told_to_start_it() -> None:
    plan = vacated()
    undo = undone(plan, did(plan, but=["delete_service/host/a"]), now=after(hosted("s", "b"), state="down"))
    assert [one.verb for one in undo.actions] == [Verb.ENABLE_SERVICE]
    assert any("start it again there" in one.text for one in undo.refusals)


def test_a_host_whose_service_was_deleted_comes_back_when_it_is_registered_again() -> None:
    plan = vacated()
    gone = undone(plan, did(plan), now=survey([host("b"), host("c")], [hosted("s", "b"), hosted("t", "b")]), move_back=True)
    assert gone.actions == ()
    assert [(one.ref.id, one.reason.value) for one in gone.refusals] == [("a", "unsupported"), ("s", "no_host")]
    back = undone(plan, did(plan), now=after(hosted("s", "b"), status="enabled"), move_back=True)
    assert {one.verb for one in back.actions} == {Verb.ENABLE_SERVICE, Verb.LIVE_MIGRATE}


def test_the_undo_of_a_vacate_asks_how_the_cloud_is_now() -> None:
    with pytest.raises(BadInput, match="needs a survey of the old cloud"):
        plan_undo(vacated(), did(vacated()), "run-1")


def test_machines_that_joined_the_new_cloud_are_not_taken_back():
    actions = (on_host(Verb.ENROLL, "a"), on_host(Verb.MANAGE, "a", "enroll/host/a"))
    plan = Plan(goal=ExpandGoal(hosts=("a",)), made_from={}, actions=actions).sealed()
    undo = plan_undo(plan, did(plan), "run-1")
    assert undo.actions == ()
    assert "got as far as manage" in undo.refusals[0].text
