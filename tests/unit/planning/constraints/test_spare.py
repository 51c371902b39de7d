from decamp.model.policy import Policy
from decamp.planning.constraints import spare
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, server, survey, vacate

HOSTS = [host("a"), host("b"), host("c")]


def test_spare_is_what_the_others_can_hold_when_the_largest_fail():
    held = {"a": {"VCPU": 8}, "b": {"VCPU": 8}}
    assert spare.lacking(HOSTS, held, Policy(spare_hosts=0)) == {}
    assert spare.lacking(HOSTS, held, Policy(spare_hosts=1)) == {}
    assert spare.lacking(HOSTS, held, Policy(spare_hosts=2)) == {"VCPU": 8}
    assert spare.lacking([*HOSTS, host("big", vcpus=100)], held, Policy(spare_hosts=1)) == {}
    assert spare.lacking([HOSTS[0], host("big", vcpus=100)], {"big": {"VCPU": 50}}, Policy(spare_hosts=1)) == {"VCPU": 42}


def test_a_host_that_takes_nothing_is_no_spare():
    assert spare.lacking([host("a"), host("b", status="disabled")], {"a": {"VCPU": 1}}, Policy(spare_hosts=1)) == {"VCPU": 1}


def test_what_lacked_before_is_not_the_plans_doing():
    assert spare.eaten({"VCPU": 3}, {"VCPU": 3}) == {}
    assert spare.eaten({"VCPU": 3}, {"VCPU": 4, "MEMORY_MB": 1}) == {"VCPU": 4, "MEMORY_MB": 1}


def test_a_plan_that_eats_the_spare_is_caught():
    old = survey(HOSTS, [server("s1", "a"), server("s2", "b")])
    plan = vacate(old, "a", "b")
    assert broken(plan, old, Policy()) == set()
    assert broken(plan, old, Policy(spare_hosts=1)) == {Rule.SPARE}
    assert broken(by_hand(old), old, Policy(spare_hosts=1)) == set()
