from __future__ import annotations

import pytest

from decamp.model.plan import Action, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Server, Survey
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, said, server, survey

STOPPED = server("s", "a", status="SHUTOFF")
OLD = survey([host("a"), host("b"), host("c")], [STOPPED])


def shelving(one: Server, **fields: object) -> Action:
    plain = {
        "id": f"shelve/server/{one.id}",
        "verb": Verb.SHELVE,
        "target": Ref("server", one.id),
        "args": {"from": one.host},
        "locks": (f"server:{one.id}",),
        "expects": one.placement_fingerprint(),
    }
    return Action(**{**plain, **fields})


def test_a_server_that_stays_by_the_goal_is_not_moved():
    plan = by_hand(OLD, migration(STOPPED, "b"), goal=VacateGoal(max=True, stay={"s": "Nova refused it five times."}))
    assert said(plan, OLD, Rule.GOAL) == ["The goal says that the server stays: Nova refused it five times."]


def test_a_server_is_not_sent_again_to_a_host_that_the_goal_has_it_avoid():
    goal = VacateGoal(max=True, avoid={"s": ("b",)})
    assert Rule.GOAL in broken(by_hand(OLD, migration(STOPPED, "b"), goal=goal), OLD)
    assert Rule.GOAL not in broken(by_hand(OLD, migration(STOPPED, "c"), goal=goal), OLD)


def test_nothing_is_sent_to_a_host_that_the_goal_shuns():
    goal = VacateGoal(max=True, shun={"b": "Nothing gets in."})
    assert said(by_hand(OLD, migration(STOPPED, "b"), goal=goal), OLD, Rule.GOAL) == [
        "The goal says to send nothing to b: Nothing gets in."
    ]
    assert Rule.GOAL not in broken(by_hand(OLD, migration(STOPPED, "c"), goal=goal), OLD)


def test_a_host_that_is_to_be_free_takes_nothing_unless_as_many_as_can_be_are_to_be_free_among_them():
    assert said(by_hand(OLD, migration(STOPPED, "b"), goal=VacateGoal(hosts=("a", "b"))), OLD, Rule.GOAL) == [
        "The goal says to free b, not to fill it."
    ]
    assert Rule.GOAL not in broken(by_hand(OLD, migration(STOPPED, "b"), goal=VacateGoal(hosts=("a", "b"), among=True)), OLD)


@pytest.mark.parametrize(("keep", "allowed"), [(True, "shelve"), (False, "migrate")])
def test_stopped_servers_are_shelved_if_they_are_to_be_kept_and_migrated_if_not(keep: bool, allowed: str):
    goal = VacateGoal(max=True, keep_stopped=keep)
    assert (Rule.GOAL in broken(by_hand(OLD, shelving(STOPPED), goal=goal), OLD)) is (allowed != "shelve")
    assert (Rule.GOAL in broken(by_hand(OLD, migration(STOPPED, "b"), goal=goal), OLD)) is (allowed != "migrate")


def test_a_shelving_that_is_all_in_order_is_clean_where_policy_says_to_shelve():
    plan = by_hand(OLD, shelving(STOPPED), goal=VacateGoal(max=True, keep_stopped=True))
    assert broken(plan, OLD, Policy(stopped_servers="shelve")) == set()
    assert broken(plan, OLD, Policy(stopped_servers="refuse")) == {Rule.POLICY}


def test_only_a_stopped_server_is_shelved():
    running = server("s", "a")
    old = survey([host("a")], [running])
    assert Rule.PINNED in broken(by_hand(old, shelving(running), goal=VacateGoal(max=True, keep_stopped=True)), old)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"args": {}}, Rule.VERBS),
        ({"args": {"from": "b"}}, Rule.ITINERARY),
        ({"args": {"from": "ghost"}}, Rule.TARGETS),
        ({"locks": ()}, Rule.LOCKS),
        ({"expects": "0" * 32}, Rule.EXPECTS),
        ({"target": Ref("host", "a")}, Rule.VERBS),
    ],
)
def test_a_shelving_is_asked_what_a_migration_is_asked(fields: dict[str, object], rule: Rule):
    plan = by_hand(OLD, shelving(STOPPED, **fields), goal=VacateGoal(max=True, keep_stopped=True))
    assert rule in broken(plan, OLD)


def test_what_is_shelved_gives_its_room_only_to_what_comes_after_it():
    comes, leaves = server("t", "a", vcpus=8), server("s", "b", vcpus=8, status="SHUTOFF")
    old: Survey = survey([host("a"), host("b")], [comes, leaves])
    goal, shelve = VacateGoal(max=True, keep_stopped=True), shelving(leaves)
    assert Rule.CAPACITY in broken(by_hand(old, shelve, migration(comes, "b"), goal=goal), old)
    assert Rule.CAPACITY not in broken(by_hand(old, shelve, migration(comes, "b", after=[shelve.id]), goal=goal), old)


def test_a_server_that_was_shelved_is_on_no_host_to_be_moved_from():
    shelve = shelving(STOPPED)
    plan = by_hand(OLD, shelve, migration(STOPPED, "b", after=[shelve.id]), goal=VacateGoal(max=True, keep_stopped=True))
    assert said(plan, OLD, Rule.ITINERARY) == ["It migrates from a, and the server is on no host by then."]


def test_a_plan_that_follows_a_run_frees_only_what_that_run_was_to_free():
    old = survey([host("a"), host("b")])
    for goal, allowed in ((VacateGoal(follows="r", hosts=("a",)), True), (VacateGoal(follows="r"), False)):
        steps = (Verb.DISABLE_SERVICE, Verb.PROVE_EMPTY, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE)
        ids = [f"{verb}/host/a" for verb in steps]
        actions = [
            Action(id=ids[n], verb=verb, target=Ref("host", "a"), after=tuple(ids[max(0, n - 1) : n])) for n, verb in enumerate(steps)
        ]
        assert (broken(by_hand(old, *actions, goal=goal), old) == set()) is allowed


def test_a_disabled_host_may_be_freed():
    old = survey([host("a", status="disabled"), host("b")], [server("t", "a")])
    ids = [f"{verb}/host/a" for verb in ("disable_service", "prove_empty", "stop_compute", "delete_service")]
    move = migration(server("t", "a"), "b", after=[ids[0]])
    after = {ids[0]: (), ids[1]: (move.id,), ids[2]: (ids[1],), ids[3]: (ids[2],)}
    hosts = [Action(id=one, verb=Verb(one.split("/")[0]), target=Ref("host", "a"), after=after[one]) for one in ids]
    assert broken(by_hand(old, hosts[0], move, *hosts[1:]), old) == set()
