import pytest

from decamp.model.plan import VacateGoal, Verb
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, on_host, said, server, survey, vacate, with_action

OLD = survey([host("a"), host("b")], [server("s1", "a"), server("s2", "a")])
PLAN = vacate(OLD, "a")


def test_the_planners_own_order_is_right():
    assert broken(PLAN, OLD) == set()


@pytest.mark.parametrize("verb", ["live_migrate/server/s1", "prove_empty/host/a", "stop_compute/host/a", "delete_service/host/a"])
def test_a_step_that_does_not_wait_for_the_one_before_is_caught(verb: str):
    assert Rule.QUIESCE in broken(with_action(PLAN, verb, after=()), OLD)


def test_a_proof_that_does_not_wait_for_every_migration_is_caught():
    after = ("disable_service/host/a", "live_migrate/server/s1")
    assert said(with_action(PLAN, "prove_empty/host/a", after=after), OLD, Rule.QUIESCE) == ["a may still hold 1 servers by then: s2."]


def test_a_host_that_is_cordoned_and_left_so_is_caught():
    assert Rule.QUIESCE in broken(by_hand(OLD, on_host(Verb.DISABLE_SERVICE, "a")), OLD)


def test_a_host_that_others_hold_is_never_proved_empty():
    old = survey([host("a", other_allocations={"VCPU": 1})])
    cordon, proof = on_host(Verb.DISABLE_SERVICE, "a"), on_host(Verb.PROVE_EMPTY, "a", "disable_service/host/a")
    assert Rule.QUIESCE in broken(by_hand(old, cordon, proof), old)


def test_hosts_that_the_goal_does_not_ask_for_are_not_freed():
    for goal in (VacateGoal(hosts=("b",)), VacateGoal(count=1)):
        old = survey([host("a"), host("b")])
        plan = vacate(old)
        changed = by_hand(old, *plan.actions, goal=goal)
        assert Rule.QUIESCE in broken(changed, old)
