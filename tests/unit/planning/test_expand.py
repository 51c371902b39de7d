from __future__ import annotations

import pytest

from decamp.model.documents import encode
from decamp.model.plan import Plan, Reason, Verb
from decamp.model.survey import Resource
from decamp.planning.replay import replay
from small_clouds import CANARY, expand, host, machine, node, stack, survey, undercloud

A, B, OLD = machine("a", 1), machine("b", 2), survey()


def refused(plan: Plan) -> dict[str, Reason]:
    return {refusal.ref.id: refusal.reason for refusal in plan.refusals}


def test_every_machine_is_provided_before_the_count_is_raised_once_and_proved_after():
    under = undercloud(stack(2))
    plan = expand(["a", "b"], [A, B], under, OLD)
    assert replay(plan, {"undercloud": under, "old": OLD}) == ()
    assert [(one.verb.value, one.target.id) for one in plan.actions] == [
        *[(verb, name) for name in "ab" for verb in ("enroll", "manage", "inspect", "provide")],
        ("scale_out", "overcloud"),
        *[(verb, name) for name in "ab" for verb in ("join_host", "canary")],
    ]
    actions = {one.id: one for one in plan.actions}
    raised = actions["scale_out/stack/overcloud"]
    assert raised.args == {"stack": "overcloud", "parameter": "ComputeCount", "from": 2, "to": 4}
    assert set(raised.after) == {"provide/machine/a", "provide/machine/b"}
    assert actions["enroll/machine/a"].args["machine"]["macs"] == ["52:54:00:00:00:01"]
    assert actions["inspect/machine/a"].args["declared"]["memory_mib"] == 8192
    assert actions["join_host/machine/a"].args["expected"] == {"VCPU": 8, "MEMORY_MB": 8192, "DISK_GB": 100}
    assert actions["canary/machine/b"].args == CANARY


def test_equal_inputs_give_equal_plans():
    under = undercloud(stack(2))
    assert encode(expand(["a", "b"], [A, B], under, OLD)) == encode(expand(["a", "b"], [A, B], under, OLD))


def test_a_machine_that_is_asked_for_twice_is_taken_once():
    assert expand(["a", "a"], [A], undercloud(stack(2)), OLD).actions == expand(["a"], [A], undercloud(stack(2)), OLD).actions


def test_the_count_that_heat_tells_as_text_is_a_number():
    raised = expand(["a"], [A], undercloud(stack("2")), OLD).actions[4]
    assert (raised.args["from"], raised.args["to"]) == (2, 3)


def test_an_unknown_machine_is_refused_and_the_others_are_taken():
    plan = expand(["a", "x"], [A], undercloud(stack(2)), OLD)
    assert refused(plan) == {"x": Reason.MACHINE_UNKNOWN}
    assert plan.actions[4].args["to"] == 3


@pytest.mark.parametrize(
    ("name", "number", "state", "info", "reason"),
    [
        ("a", 1, "active", {"instance": "i"}, Reason.MACHINE_ENROLLED),
        ("other", 1, "active", {"instance": "i"}, Reason.MACHINE_ENROLLED),
        ("other", 7, "active", {"bmc_address": "192.0.2.1"}, Reason.MACHINE_ENROLLED),
        ("other", 7, "active", {"macs": ["52:54:00:00:00:01", "52:54:00:FF:00:01"]}, Reason.MACHINE_ENROLLED),
        ("a", 1, "available", {}, Reason.MACHINE_ENROLLED),
        ("a", 1, "inspect failed", {}, Reason.NODE_STATE),
        ("a", 1, "manageable", {}, Reason.NODE_STATE),
        ("a", 7, "active", {"instance": "i"}, Reason.CONFLICT),
    ],
)
def test_a_machine_that_the_undercloud_knows_is_refused(name: str, number: int, state: str, info: dict[str, object], reason: Reason):
    plan = expand(["a"], [A], undercloud(stack(2), node(name, number, state, **info)), OLD)
    assert refused(plan) == {"a": reason}
    assert plan.actions == ()


def test_addresses_are_compared_whatever_their_case_and_form():
    redfish = machine("a", 1, macs=("52:54:00:AA:00:01",), pm_addr="https://BMC-1.example/redfish/v1")
    for known in ({"macs": ["52:54:00:aa:00:01"]}, {"bmc_address": "bmc-1.example"}):
        plan = expand(["a"], [redfish], undercloud(stack(2), node("other", 7, "active", **known)), OLD)
        assert refused(plan) == {"a": Reason.MACHINE_ENROLLED}


def test_two_machines_with_one_address_are_a_conflict():
    twin = machine("b", 2, macs=A.macs)
    assert refused(expand(["a", "b"], [A, twin], undercloud(stack(2)), OLD)) == {"b": Reason.CONFLICT}


@pytest.mark.parametrize(("known", "in_use"), [("a", True), ("a.rack1.example", True), ("ab", False), ("a-1", False), ("A1", False)])
def test_a_machine_that_is_a_host_of_the_old_cloud_is_refused(known: str, in_use: bool):
    plan = expand(["a"], [A], undercloud(stack(2)), survey([host(known)]))
    assert refused(plan) == ({"a": Reason.MACHINE_IN_USE} if in_use else {})


def test_a_short_host_name_is_the_machine_of_its_full_name_and_two_domains_are_two_machines():
    full = machine("a.rack1", 1)
    assert refused(expand(["a.rack1"], [full], undercloud(stack(2)), survey([host("a")]))) == {"a.rack1": Reason.MACHINE_IN_USE}
    assert refused(expand(["a.rack1"], [full], undercloud(stack(2)), survey([host("a.rack2")]))) == {}


def test_without_a_survey_of_the_old_cloud_no_machine_is_wiped():
    assert refused(expand(["a"], [A], undercloud(stack(2)), None)) == {"a": Reason.INCOMPLETE}


@pytest.mark.parametrize(
    "stacks",
    [
        (),
        (stack(2, "UPDATE_IN_PROGRESS"),),
        (stack(2, "UPDATE_FAILED"),),
        (stack("many"),),
        (stack(None),),
        (Resource(kind="stack", id="s", name="overcloud", info={"status": "CREATE_COMPLETE"}),),
    ],
)
def test_a_stack_that_is_missing_busy_failed_or_without_the_count_is_refused(stacks: tuple[Resource, ...]):
    plan = expand(["a"], [A], undercloud(*stacks), OLD)
    assert refused(plan) == {"overcloud": Reason.STACK_STATE}
    assert plan.actions == ()


def test_free_nodes_that_the_stack_could_take_instead_are_refused():
    plan = expand(["a"], [A], undercloud(stack(2), node("spare", 9, "available")), OLD)
    assert refused(plan) == {"node-of-spare": Reason.NODE_STATE}
    assert plan.actions == ()
    for harmless in ({"maintenance": True}, {"instance": "i"}, {"provision_state": "manageable"}):
        assert refused(expand(["a"], [A], undercloud(stack(2), node("spare", 9, "available", **harmless)), OLD)) == {}


def test_hosts_that_have_not_joined_yet_come_first():
    new = survey([host("new-1")], cloud="new", resources=_canary_resources())
    plan = expand(["a"], [A], undercloud(stack(2)), OLD, new=new)
    assert refused(plan) == {"overcloud": Reason.STACK_STATE}
    assert expand(["a"], [A], undercloud(stack(1)), OLD, new=new).refusals == ()


def test_without_a_canary_the_hosts_would_not_be_proved_and_the_plan_says_so():
    plan = expand(["a"], [A], undercloud(stack(2)), OLD, canary=None)
    assert refused(plan) == {"new": Reason.UNMAPPED}
    assert Verb.CANARY not in {one.verb for one in plan.actions}
    assert plan.actions[-1].verb is Verb.JOIN_HOST


def test_a_canary_that_the_new_cloud_cannot_boot_is_refused():
    new = survey([host("n1"), host("n2")], cloud="new", resources=_canary_resources()[:2])
    assert refused(expand(["a"], [A], undercloud(stack(2)), OLD, new=new)) == {"private": Reason.NOT_FOUND}


def _canary_resources() -> tuple[Resource, ...]:
    return tuple(Resource(kind=kind, id=f"id-{name}", name=name) for kind, name in CANARY.items())
