from __future__ import annotations

import random

import msgspec
import pytest

from decamp.model.documents import encode, sha256
from decamp.model.errors import BadInput
from decamp.model.plan import Plan, Reason, VacateGoal, Verb
from decamp.model.policy import LockedServers, Policy
from decamp.model.survey import Group, Pinned, Survey
from decamp.planning.obstacles import HELP
from decamp.planning.vacate import plan_vacate
from small_clouds import broken, host, moves, reasons, server, survey, vacate

GIB = 2**30


def clean(old: Survey, plan: Plan, policy: Policy | None = None) -> Plan:
    assert broken(plan, old, policy) == set()
    return plan


def test_the_host_with_the_fewest_bytes_is_emptied_onto_the_one_where_least_is_left():
    hosts = [host("a"), host("b"), host("c", vcpus=16, memory_mib=16384)]
    old = survey(hosts, [server("s1", "a"), server("s2", "b"), server("s3", "b"), server("s4", "c", migration_bytes=GIB)])
    plan = clean(old, vacate(old, count=1))
    # of a and b, b is the fuller
    assert moves(plan) == {"s4": ("c", "b")}
    assert plan.forecast.freed_hosts == ("c",)


def test_a_freed_host_is_cordoned_emptied_proved_stopped_and_deleted_in_this_order():
    old = survey([host("a"), host("b")], [server("s1", "a"), server("s2", "a", status="SHUTOFF"), server("s3", "b"), *_many("b", 1)])
    plan = clean(old, vacate(old, "a"))
    assert [(a.verb.value, a.target.id) for a in plan.actions] == [
        ("disable_service", "a"),
        ("live_migrate", "s1"),
        ("cold_migrate", "s2"),
        ("prove_empty", "a"),
        ("stop_compute", "a"),
        ("delete_service", "a"),
    ]
    cordon, live, cold, proof, stop, delete = plan.actions
    assert live.after == (cordon.id,)
    assert set(proof.after) == {live.id, cold.id}
    assert stop.after == (proof.id,)
    assert delete.after == (stop.id,)
    assert live.args == {"from": "a", "to": "b", "bytes": 2048 * 2**20, "block_migration": "auto"}
    assert cold.args == {"from": "a", "to": "b", "bytes": 0}
    assert live.expects == old.servers[0].placement_fingerprint()
    assert live.changes == {"host": ("a", "b")}


def test_an_empty_host_is_freed_without_a_migration():
    old = survey([host("a"), host("b")], [server("s1", "b")])
    plan = clean(old, vacate(old, count=1))
    assert plan.forecast.freed_hosts == ("a",)
    assert moves(plan) == {}


def test_the_last_host_of_an_empty_cloud_can_be_freed():
    old = survey([host("a")])
    assert clean(old, vacate(old)).forecast.freed_hosts == ("a",)


def test_an_empty_cloud_gives_an_empty_plan():
    old = survey()
    plan = clean(old, vacate(old))
    assert (plan.actions, plan.refusals) == ((), ())


def test_a_number_of_hosts_is_refused_where_there_are_no_hosts():
    assert [r.reason for r in vacate(survey(), count=1).refusals] == [Reason.NOT_FOUND]


def test_a_single_host_with_a_server_is_refused_since_there_is_nowhere_to_go():
    old = survey([host("a")], [server("s1", "a")])
    plan = vacate(old, "a")
    assert plan.actions == ()
    assert reasons(plan) == {"a": "host_not_free", "s1": "no_host"}


def test_as_many_as_possible_is_no_refusal_for_hosts_that_are_needed():
    old = survey([host("a"), host("b")], [*_many("a", 3), *_many("b", 3)])
    plan = clean(old, vacate(old))
    assert (plan.actions, plan.refusals) == ((), ())
    assert plan.forecast.occupied_hosts == plan.forecast.occupied_hosts_lower_bound == 2


def test_a_locked_server_is_migrated_where_policy_passes_over_locks():
    old = survey([host("a"), host("b")], [server("s1", "a", pinned=Pinned.LOCKED)])
    policy = Policy(locked_servers=LockedServers.MIGRATE)
    assert moves(clean(old, vacate(old, "a", policy=policy), policy)) == {"s1": ("a", "b")}
    assert reasons(vacate(old, "a")) == {"a": "host_not_free", "s1": "locked"}


@pytest.mark.parametrize("pinned", Pinned)
def test_every_pinned_server_keeps_its_host_with_its_own_reason_and_a_way_out(pinned: Pinned):
    old = survey([host("a"), host("b")], [server("s1", "a", pinned=pinned), server("s2", "a")])
    plan = vacate(old, "a")
    assert plan.actions == ()
    assert reasons(plan) == {"a": "host_not_free", "s1": pinned.value}
    assert HELP[Reason(pinned)] in plan.refusals[1].text


def test_where_every_server_is_pinned_only_empty_hosts_are_freed_and_each_server_says_why():
    old = survey([host(name) for name in "abc"], [server(f"s-{name}", name, pinned=Pinned.PCI_DEVICE) for name in "ab"])
    plan = clean(old, vacate(old))
    assert plan.forecast.freed_hosts == ("c",)
    assert reasons(plan) == {"a": "host_not_free", "b": "host_not_free", "s-a": "pci_device", "s-b": "pci_device"}


def test_a_host_that_holds_more_than_it_has_takes_nothing_and_can_be_emptied():
    full = [server(f"s{number}", "b") for number in range(3)]
    old = survey([host("a"), host("b", vcpus=4), host("c", vcpus=16, memory_mib=16384)], [server("s9", "a"), *full])
    assert moves(clean(old, vacate(old, "a"))) == {"s9": ("a", "c")}
    assert moves(clean(old, vacate(old, "b"))).keys() == {"s0", "s1", "s2"}


def test_all_servers_that_keep_a_host_are_reported_not_the_first():
    servers = [server(f"s{n}", "a", pinned=Pinned.LOCKED) for n in range(7)]
    plan = vacate(survey([host("a"), host("b")], servers), "a")
    assert set(reasons(plan)) == {"a", *(one.id for one in servers)}


@pytest.mark.parametrize("status", ["SUSPENDED", "RESCUE", "ERROR", "SHELVED", "VERIFY_RESIZE", "UNKNOWN"])
def test_a_server_in_a_state_that_no_migration_takes_is_refused(status: str):
    old = survey([host("a"), host("b")], [server("s1", "a", status=status)])
    assert reasons(vacate(old, "a")) == {"a": "host_not_free", "s1": "state"}


def test_a_paused_server_is_migrated_live_and_a_stopped_one_cold():
    old = survey([host("a"), host("b")], [server("s1", "a", status="PAUSED"), server("s2", "a", status="SHUTOFF")])
    verbs = {a.target.id: a.verb for a in clean(old, vacate(old, "a")).actions}
    assert verbs["s1"] is Verb.LIVE_MIGRATE
    assert verbs["s2"] is Verb.COLD_MIGRATE


def test_a_host_is_rolled_back_whole_when_one_server_has_no_room():
    old = survey([host("a"), host("b", vcpus=4)], [server("s1", "a"), server("s2", "a", vcpus=4), server("s3", "b", vcpus=1)])
    plan = vacate(old, "a")
    assert plan.actions == ()
    assert reasons(plan) == {"a": "host_not_free", "s2": "no_capacity"}


def test_a_shortage_is_told_in_numbers():
    old = survey([host("a"), host("b", memory_mib=4096)], [server("s1", "a", memory_mib=4000), server("s2", "b", memory_mib=1000)])
    (_, refusal) = vacate(old, "a").refusals
    assert refusal.reason is Reason.NO_CAPACITY
    assert refusal.text == "name-of-s1 on a needs 4000 MEMORY_MB, 2 VCPU; the closest, b, lacks 904 MEMORY_MB beside what it is to hold."


def test_a_host_that_is_named_takes_the_servers_of_another_only_where_the_goal_says_so():
    old = survey([host("a"), host("b"), host("c", vcpus=2)], [server("s1", "a"), server("s2", "b"), server("s3", "c")])
    assert vacate(old, "a", "b").forecast.freed_hosts == ()
    among = plan_vacate(old, Policy(), goal=VacateGoal(hosts=("a", "b"), among=True), made_from={"old": sha256(old)})
    assert moves(clean(old, among)) in ({"s1": ("a", "b")}, {"s2": ("b", "a")})
    assert len(among.forecast.freed_hosts) == 1


def test_a_place_that_others_of_its_host_take_is_no_shortage_of_its_own():
    old = survey([host("a"), host("b", vcpus=4)], [server("s1", "a", vcpus=3), server("s2", "a", vcpus=3)])
    (_, refusal) = vacate(old, "a").refusals
    assert refusal.text == (
        "name-of-s2 on a needs 2048 MEMORY_MB, 3 VCPU; the closest, b, has room for it, but not beside others that leave with it."
    )


@pytest.mark.parametrize("state", [{"status": "disabled"}, {"state": "down"}])
def test_a_host_that_is_disabled_or_down_takes_nothing(state: dict[str, str]):
    old = survey([host("a"), host("b", **state)], [server("s1", "a")])
    assert reasons(vacate(old, "a")) == {"a": "host_not_free", "s1": "no_host"}


def test_a_disabled_host_is_emptied_like_any_other():
    old = survey([host("a", status="disabled"), host("b")], [server("s1", "a")])
    plan = clean(old, vacate(old, "a"))
    assert plan.forecast.freed_hosts == ("a",)
    assert plan.actions[0].changes == {}


def test_a_down_host_is_refused_with_servers_and_freed_without():
    hosts = [host("a", state="down"), host("b", state="down"), host("c")]
    old = survey(hosts, [server("s1", "a")])
    plan = clean(old, vacate(old, "a", "b"))
    assert plan.forecast.freed_hosts == ("b",)
    assert reasons(plan) == {"a": "host_down"}


def test_a_host_without_inventory_is_neither_freed_nor_filled():
    old = survey([host("a"), host("b", provider=None, inventories={})], [server("s1", "a")])
    assert reasons(vacate(old, "b")) == {"b": "no_inventory"}
    assert reasons(vacate(old, "a"))["s1"] == "no_capacity"


def test_a_server_may_stay_on_a_host_without_inventory_says_the_bound():
    plan = clean(old := survey([host("a"), host("b"), host("c", inventories={})], [server("s1", "c")]), vacate(old))
    assert plan.forecast.freed_hosts_upper_bound == len(plan.forecast.freed_hosts) == 2
    assert plan.forecast.occupied_hosts == plan.forecast.occupied_hosts_lower_bound == 1


def test_allocations_of_no_server_keep_a_host_and_count_on_another():
    old = survey([host("a"), host("b", other_allocations={"VCPU": 7})], [server("s1", "a")])
    assert reasons(vacate(old, "b")) == {"b": "host_not_free"}
    assert reasons(vacate(old, "a"))["s1"] == "no_capacity"


def test_a_host_that_nobody_knows_is_refused_by_its_whole_name():
    old = survey([host("cmp-1.rack1"), host("cmp-10"), host("cmp-1.rack2")])
    plan = clean(old, vacate(old, "cmp-1", "cmp-1.rack2"))
    assert reasons(plan) == {"cmp-1": "host_unknown"}
    assert plan.forecast.freed_hosts == ("cmp-1.rack2",)


def test_hosts_with_common_prefixes_and_dots_are_told_apart():
    hosts = [host("cmp-1"), host("cmp-1.a"), host("cmp-10"), host("cmp-1.ab")]
    old = survey(hosts, [server("s1", "cmp-1"), server("s2", "cmp-10"), server("s3", "cmp-1.ab")])
    plan = clean(old, vacate(old, "cmp-1"))
    assert {a.target.id for a in plan.actions} == {"cmp-1", "s1"}


def test_zone_and_traits_limit_where_a_server_goes():
    hosts = [
        host("a", zone="z1", traits=("AVX", "SSD")),
        host("b", zone="z2", traits=("AVX", "SSD")),
        host("c", zone="z1", traits=("AVX",)),
    ]
    zoned = survey(hosts, [server("s1", "a", zone="z1")])
    assert moves(clean(zoned, vacate(zoned, "a"))) == {"s1": ("a", "c")}
    picky = survey(hosts, [server("s1", "a", traits=("SSD",))])
    assert moves(clean(picky, vacate(picky, "a"))) == {"s1": ("a", "b")}
    both = survey(hosts, [server("s1", "a", traits=("SSD",), zone="z1")])
    assert reasons(vacate(both, "a"))["s1"] == "no_host"
    assert "SSD" in vacate(both, "a").refusals[1].text


def test_members_of_an_anti_affinity_group_go_to_different_hosts_one_after_the_other():
    group = Group(id="g", policy="anti-affinity", members=("s1", "s2"))
    servers = [server("s1", "a", group="g"), server("s2", "b", group="g"), server("s3", "c", vcpus=3), server("s4", "d", vcpus=3)]
    old = survey([host(name) for name in "abcd"], servers, [group])
    plan = clean(old, vacate(old, "a", "b"))
    (first, _), (second, _) = moves(plan).items()
    assert moves(plan)[first][1] != moves(plan)[second][1]
    actions = {a.target.id: a for a in plan.actions}
    assert actions[first].id in actions[second].after


def test_an_anti_affinity_group_without_a_host_left_is_a_refusal_of_its_policy():
    group = Group(id="g", policy="anti-affinity", members=("s1", "s2"))
    old = survey([host("a"), host("b")], [server("s1", "a", group="g"), server("s2", "b", group="g")], [group])
    assert reasons(vacate(old, "a")) == {"a": "host_not_free", "s1": "group_policy"}


def test_two_members_may_share_a_host_where_the_rule_says_two():
    group = Group(id="g", policy="anti-affinity", members=("s1", "s2"), max_server_per_host=2)
    old = survey([host("a"), host("b")], [server("s1", "a", group="g"), server("s2", "b", group="g")], [group])
    assert moves(clean(old, vacate(old, "a"))) == {"s1": ("a", "b")}


def test_members_of_an_affinity_group_stay_together_and_a_single_one_is_free_to_go():
    group = Group(id="g", policy="affinity", members=("s1", "s2"))
    two = survey([host("a"), host("b")], [server("s1", "a", group="g"), server("s2", "a", group="g")], [group])
    assert reasons(vacate(two, "a")) == {"a": "host_not_free", "s1": "group_policy", "s2": "group_policy"}
    one = survey([host("a"), host("b")], [server("s1", "a", group="g")], [group])
    assert moves(clean(one, vacate(one, "a"))) == {"s1": ("a", "b")}


def test_soft_policies_are_preferences():
    servers = [server("s1", "a", group="g"), server("s2", "b", group="g", vcpus=4), server("s3", "c")]
    for policy, preferred in (("soft-affinity", "b"), ("soft-anti-affinity", "c")):
        old = survey([host("a"), host("b"), host("c")], servers, [Group(id="g", policy=policy, members=("s1", "s2"))])
        assert moves(clean(old, vacate(old, "a"))) == {"s1": ("a", preferred)}
    old = survey([host("a"), host("b")], servers[:2], [Group(id="g", policy="soft-anti-affinity", members=("s1", "s2"))])
    assert moves(clean(old, vacate(old, "a"))) == {"s1": ("a", "b")}


def test_a_group_that_the_survey_does_not_have_keeps_its_members():
    old = survey([host("a"), host("b")], [server("s1", "a", group="unknown")])
    assert reasons(vacate(old, "a"))["s1"] == "incomplete"


def test_a_server_without_allocations_stays_since_nobody_knows_its_size():
    old = survey([host("a"), host("b")], [server("s1", "a", allocations={})])
    assert reasons(vacate(old, "a"))["s1"] == "incomplete"


def test_policy_keeps_hosts_and_servers_where_they_are():
    old = survey([host("a"), host("b"), host("c")], [server("s1", "a"), server("s2", "b"), server("s3", "c")])
    policy = Policy(never_touch_hosts=("c",), never_move_servers=("s1",))
    assert reasons(vacate(old, "a", "c", policy=policy)) == {"a": "host_not_free", "s1": "policy", "c": "policy"}
    plan = clean(old, vacate(old, policy=policy), policy)
    assert moves(plan) == {"s2": ("b", "a")}


def test_a_host_that_is_shunned_takes_nothing_and_may_be_freed_all_the_same():
    old = survey([host("a"), host("b"), host("c")], [server("s1", "a"), server("s2", "b")])
    plan = plan_vacate(old, Policy(), goal=VacateGoal(hosts=("a",), shun={"b": "Nothing gets in."}), made_from={"old": sha256(old)})
    assert moves(plan) == {"s1": ("a", "c")}
    plan = plan_vacate(old, Policy(), goal=VacateGoal(hosts=("b",), shun={"b": "Nothing gets in."}), made_from={"old": sha256(old)})
    assert plan.forecast.freed_hosts == ("b",)


def test_where_more_hosts_are_asked_for_than_can_be_freed_those_are_that_cost_least():
    old = survey(
        [host("a", vcpus=9), host("b", vcpus=3), host("c", vcpus=3, traits=("AVX",)), host("d", vcpus=3, traits=("AVX",))],
        [server("big", "b", vcpus=4), server("s1", "c", vcpus=1), server("s2", "c", vcpus=1), server("s3", "c", vcpus=1, traits=("AVX",))],
    )
    policy = Policy(never_touch_hosts=("d",))
    plan = clean(old, vacate(old, count=2, policy=policy), policy)
    assert (plan.forecast.freed_hosts, moves(plan)) == (("a",), {})


def test_the_spare_that_policy_keeps_is_not_eaten():
    old = survey([host("a"), host("b"), host("c")], [*_many("a", 1), *_many("b", 1), *_many("c", 1)])
    # 6 VCPU in use: two hosts of 8 can hold it, and then one of the two that are kept is spare
    policy = Policy(spare_hosts=1)
    plan = clean(old, vacate(old, policy=policy), policy)
    assert len(plan.forecast.freed_hosts) == 1
    refused = vacate(old, count=2, policy=policy)
    assert Reason.SPARE in {r.reason for r in refused.refusals}
    assert len(vacate(old).forecast.freed_hosts) == 2


def test_a_host_that_holds_nothing_and_takes_nothing_is_freed_though_there_is_no_spare():
    old = survey([host("a", status="disabled"), host("b")], [server("s1", "b")])
    policy = Policy(spare_hosts=1)
    assert clean(old, vacate(old, "a", policy=policy), policy).forecast.freed_hosts == ("a",)


def test_named_hosts_take_no_servers_even_if_they_cannot_be_freed():
    old = survey([host("a"), host("b"), host("c")], [server("s1", "a"), server("s2", "b", pinned=Pinned.LOCKED), server("s3", "c")])
    plan = clean(old, vacate(old, "a", "b"))
    assert moves(plan) == {"s1": ("a", "c")}
    assert reasons(plan) == {"b": "host_not_free", "s2": "locked"}


def test_a_number_that_is_reached_refuses_nothing():
    old = survey([host("a"), host("b")], [server("s1", "a", pinned=Pinned.LOCKED), server("s2", "b")])
    plan = clean(old, vacate(old, count=1))
    assert plan.forecast.freed_hosts == ("b",)
    assert plan.refusals == ()


def test_a_number_that_is_not_reached_tells_why_for_every_host_that_stays():
    old = survey([host("a"), host("b"), host("c")], [server("s1", "a", pinned=Pinned.LOCKED), server("s2", "b"), *_many("c", 4)])
    plan = clean(old, vacate(old, count=3))
    assert plan.forecast.freed_hosts == ("b",)
    assert {"a", "c"} <= set(reasons(plan))


def test_a_server_that_the_plan_brings_to_a_host_that_stays_is_no_refusal():
    old = survey([host("a"), host("b")], [server("s1", "a"), server("s2", "b")])
    plan = clean(old, vacate(old, count=2))
    assert moves(plan) == {"s1": ("a", "b")}
    assert reasons(plan) == {"b": "host_not_free", "s2": "no_host"}
    assert "name-of-s1, which comes from a, has nowhere to go" in plan.refusals[0].text


def test_a_survey_without_admin_rights_frees_nothing():
    for limited in (survey([host("a")], admin=False), survey([host("a")], project="p")):
        assert [r.reason for r in vacate(limited).refusals] == [Reason.INCOMPLETE]


def test_servers_of_unknown_whereabouts_are_told():
    servers = [server("s1", None), server("s2", None, status="SHELVED_OFFLOADED"), server("s3", "ghost")]
    assert reasons(vacate(survey([host("a")], servers), "a")) == {"s1": "incomplete", "s3": "no_host"}


def test_a_server_is_migrated_once_even_if_the_host_it_was_thought_for_is_freed_too():
    # a goes to b first (the fullest), then b is emptied as well
    old = survey(
        [host("a"), host("b", vcpus=4), host("c", vcpus=16, memory_mib=16384)],
        [server("s1", "a", vcpus=1), server("s2", "b"), *_many("c", 5)],
    )
    plan = clean(old, vacate(old))
    assert set(plan.forecast.freed_hosts) == {"a", "b"}
    assert moves(plan) == {"s1": ("a", "c"), "s2": ("b", "c")}


def test_no_more_run_at_a_time_on_a_host_than_it_allows():
    old = survey([host("a", max_live_migrations=2), host("b")], _many("a", 3))
    locks = [a.locks for a in clean(old, vacate(old, "a")).actions if a.verb is Verb.LIVE_MIGRATE]
    assert {names[0] for names in locks} <= {"host:a/1", "host:a/2"}
    assert {names[1] for names in locks} == {"host:b"}


def test_the_forecast_counts_bytes_seconds_and_what_cannot_be_undercut():
    old = survey([host("a", nic_mbps=8000), host("b", nic_mbps=8000)], [server("s1", "a", migration_bytes=2 * GIB), *_many("b", 2)])
    told = clean(old, vacate(old, "a")).forecast
    assert (told.migrations, told.bytes, told.bytes_lower_bound) == (1, 2 * GIB, 2 * GIB)
    assert told.seconds == told.seconds_lower_bound == round(2 * GIB / 1e9, 1)
    assert (told.occupied_hosts, told.occupied_hosts_lower_bound) == (1, 1)


def test_a_cold_migration_moves_no_memory():
    old = survey([host("a"), host("b")], [server("s1", "a", status="SHUTOFF", memory_mib=1024, migration_bytes=3 * GIB)])
    assert vacate(old, "a").forecast.bytes == 2 * GIB


def test_migrations_of_one_host_follow_each_other_in_the_forecast():
    hosts = [host("a", nic_mbps=800), host("b", nic_mbps=800), host("c", nic_mbps=800)]
    old = survey(hosts, [server("s1", "a", migration_bytes=10**8), server("s2", "a", migration_bytes=10**8)])
    assert vacate(old, "a").forecast.seconds == 2.0


@pytest.mark.parametrize("goal", [VacateGoal(), VacateGoal(hosts=("a",), max=True), VacateGoal(count=0), VacateGoal(count=1, max=True)])
def test_a_goal_that_asks_for_nothing_or_for_two_things_is_bad_input(goal: VacateGoal):
    with pytest.raises(BadInput):
        plan_vacate(survey([host("a")]), Policy(), goal=goal, made_from={})


def test_the_same_cloud_listed_in_another_order_gives_the_same_actions():
    hosts = [host(f"h{n}") for n in range(6)]
    servers = [server(f"s{n}", f"h{n % 5}", vcpus=1 + n % 3) for n in range(12)]
    first = vacate(survey(hosts, servers))
    shuffled = random.Random(7)  # noqa: S311
    for _ in range(5):
        shuffled.shuffle(hosts)
        shuffled.shuffle(servers)
        other = vacate(survey(hosts, servers))
        assert encode(msgspec.structs.replace(other, id="", made_from={})) == encode(msgspec.structs.replace(first, id="", made_from={}))


def _many(on: str, count: int) -> list:
    return [server(f"{on}{n}", on) for n in range(count)]
