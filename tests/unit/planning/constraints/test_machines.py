import msgspec
import pytest

from decamp.model.plan import ExpandGoal, Plan, Verb
from decamp.model.survey import Survey
from decamp.planning.replay import Rule, replay
from small_clouds import expand, host, machine, stack, survey, undercloud, with_action

OLD, UNDER = survey(), undercloud(stack(2))
PLAN = expand(["a", "b"], [machine("a", 1), machine("b", 2)], UNDER, OLD)


def broken(plan: Plan, under: Survey = UNDER, old: Survey = OLD) -> set[Rule]:
    return {violation.rule for violation in replay(plan, {"undercloud": under, "old": old})}


def test_the_planners_own_order_is_right():
    assert broken(PLAN) == set()


@pytest.mark.parametrize("verb", ["manage", "inspect", "provide", "join_host", "canary"])
def test_a_state_that_does_not_wait_for_the_one_before_is_caught(verb: str):
    assert Rule.MACHINES in broken(with_action(PLAN, f"{verb}/machine/a", after=()))


def test_a_count_that_is_raised_before_every_machine_is_provided_is_caught():
    assert Rule.MACHINES in broken(with_action(PLAN, "scale_out/stack/overcloud", after=("provide/machine/a",)))


@pytest.mark.parametrize("numbers", [{"from": 1, "to": 3}, {"from": 2, "to": 3}, {"from": 2, "to": 5}, {"from": 2, "to": "4"}])
def test_a_count_that_does_not_add_up_is_caught(numbers: dict[str, object]):
    args = {"stack": "overcloud", "parameter": "ComputeCount", **numbers}
    assert Rule.COUNT in broken(with_action(PLAN, "scale_out/stack/overcloud", args=args))


def test_a_count_that_is_raised_twice_or_never_is_caught():
    raising = next(a for a in PLAN.actions if a.verb is Verb.SCALE_OUT)
    twice = msgspec.structs.replace(PLAN, actions=(*PLAN.actions, msgspec.structs.replace(raising, id="again")))
    assert Rule.COUNT in broken(twice)
    never = msgspec.structs.replace(PLAN, actions=tuple(a for a in PLAN.actions if a.verb is Verb.ENROLL))
    assert Rule.COUNT in broken(never)


def test_a_stack_that_is_not_there_is_caught():
    under = undercloud()
    plan = msgspec.structs.replace(PLAN, made_from={})
    assert Rule.TARGETS in broken(plan, under)


def test_a_machine_that_is_still_a_host_of_the_old_cloud_is_caught():
    assert Rule.MACHINES in broken(PLAN, old=survey([host("b")]))


def test_a_machine_that_the_goal_does_not_name_is_caught():
    assert Rule.MACHINES in broken(msgspec.structs.replace(PLAN, goal=ExpandGoal(hosts=("a",))))


def test_a_machine_that_nobody_waits_for_is_caught():
    left = tuple(a for a in PLAN.actions if a.target.id != "b" or a.verb not in {Verb.JOIN_HOST, Verb.CANARY})
    assert Rule.MACHINES in broken(msgspec.structs.replace(PLAN, actions=left))
