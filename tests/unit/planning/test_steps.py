"""The order in which a vacate's moves are begun: what waits for what, what is in flight together, and how long it takes."""

from __future__ import annotations

import pytest
from bench.vacate.instances import instance
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from decamp.model.amounts import shortage, subtract, total
from decamp.model.plan import Plan, Verb
from decamp.model.policy import Policy
from decamp.model.run import ActionState
from decamp.model.survey import Group, Survey
from decamp.planning.constraints import capacity
from decamp.planning.steps import Steps, bytes_to_move, steps
from decamp.planning.timetable import Job, Line, Started, Traffic, least_seconds, lower_bound, timetable
from decamp.run.walking import Walk
from small_clouds import broken, by_hand, host, moves, server, survey

GIB = 2**30


def ordered(old: Survey, freed: list[str], targets: dict[str, str | None], policy: Policy | None = None) -> Steps:
    return steps(old, policy or Policy(), freed, targets)


def plan(old: Survey, found: Steps) -> Plan:
    return by_hand(old, *found.actions)


def after(found: Steps) -> dict[str, tuple[str, ...]]:
    return {action.id: action.after for action in found.actions}


def test_a_host_is_cordoned_left_proved_empty_stopped_and_deleted():
    old = survey([host("a"), host("b")], [server("s", "a")])
    found = ordered(old, ["a"], {"s": "b"})
    assert after(found) == {
        "disable_service/host/a": (),
        "live_migrate/server/s": ("disable_service/host/a",),
        "prove_empty/host/a": ("live_migrate/server/s",),
        "stop_compute/host/a": ("prove_empty/host/a",),
        "delete_service/host/a": ("stop_compute/host/a",),
    }
    assert found.actions[0].args == {"reason": "vacated by decamp", "servers": ["s"]}
    assert broken(plan(old, found), old) == set()


def test_members_of_an_anti_affinity_group_follow_each_other():
    group = Group(id="g", policy="anti-affinity", members=("s", "t"))
    old = survey([host(name) for name in "abcd"], [server("s", "a", group="g"), server("t", "b", group="g")], [group])
    found = ordered(old, ["a", "b"], {"s": "c", "t": "d"})
    chained = [action for action in found.actions if any("migrate" in other for other in action.after) and action.target.kind == "server"]
    assert len(chained) == 1
    assert broken(plan(old, found), old) == set()


def test_what_comes_to_a_full_host_waits_for_what_leaves_it():
    old = survey([host("a"), host("b", vcpus=4), host("c")], [server("s", "a", vcpus=4), server("t", "b", vcpus=3)])
    found = ordered(old, ["a"], {"s": "b", "t": "c"})
    assert "live_migrate/server/t" in after(found)["live_migrate/server/s"]
    assert broken(plan(old, found), old) == set()


def test_nothing_waits_for_room_that_is_there():
    old = survey([host("a"), host("b", vcpus=8), host("c")], [server("s", "a", vcpus=4), server("t", "b", vcpus=3)])
    assert after(ordered(old, ["a"], {"s": "b", "t": "c"}))["live_migrate/server/s"] == ("disable_service/host/a",)


def test_two_that_wait_for_each_other_are_parted_by_a_third_host():
    full = [host("b", vcpus=4), host("c", vcpus=4)]
    servers = [server("t", "b", vcpus=3), server("u", "c", vcpus=3)]
    old = survey([*full, host("d", vcpus=4)], servers)
    found = ordered(old, [], {"t": "c", "u": "b"})
    went = [(action.id, action.args["from"], action.args["to"]) for action in found.actions]
    assert went == [
        ("live_migrate/server/t/1", "b", "d"),
        ("live_migrate/server/u", "c", "b"),
        ("live_migrate/server/t/2", "d", "c"),
    ]


def test_servers_that_no_order_brings_to_their_targets_are_named():
    old = survey([host("b", vcpus=4), host("c", vcpus=4)], [server("t", "b", vcpus=3), server("u", "c", vcpus=3)])
    assert ordered(old, [], {"t": "c", "u": "b"}) == Steps(stuck=("t", "u"))


def test_a_halfway_house_is_no_host_that_policy_says_not_to_touch():
    old = survey([host("b", vcpus=4), host("c", vcpus=4), host("d")], [server("t", "b", vcpus=3), server("u", "c", vcpus=3)])
    assert ordered(old, [], {"t": "c", "u": "b"}, Policy(never_touch_hosts=("d",))).stuck == ("t", "u")


def test_a_server_without_a_target_is_shelved_and_holds_its_room_until_then():
    old = survey([host("a"), host("b")], [server("s", "a", status="SHUTOFF", migration_bytes=2 * GIB, memory_mib=1024)])
    found = ordered(old, ["a"], {"s": None})
    shelve = found.actions[1]
    assert (shelve.verb, shelve.args, shelve.after) == (Verb.SHELVE, {"from": "a", "bytes": GIB}, ("disable_service/host/a",))
    assert found.seconds == pytest.approx(GIB / 1.25e9)  # a stopped server has no memory to move


def test_a_host_that_takes_two_at_a_time_has_two_in_flight_and_they_share_its_nic():
    old = survey(
        [host("a", nic_mbps=8000, max_live_migrations=2), host("b", nic_mbps=8000), host("c", nic_mbps=8000)],
        [server(name, "a", migration_bytes=10**9) for name in ("s", "t")],
    )
    found = ordered(old, ["a"], {"s": "b", "t": "c"})
    assert found.seconds == pytest.approx(2.0)
    assert [action.locks[0] for action in found.actions if action.verb is Verb.LIVE_MIGRATE] == ["host:a/1", "host:a/2"]


def test_hosts_become_free_one_after_the_other_where_that_costs_nothing():
    """All go to one host: the smallest first, so that the mean host is free early, and the last one is free no later."""
    names = [f"h{number}" for number in range(6)]
    servers = [server(f"{name}-{n}", name, vcpus=1, memory_mib=512) for name in names for n in range(4)]
    old = survey([*(host(name) for name in names), host("z", vcpus=24, memory_mib=24 * 512)], servers)
    found = ordered(old, names, {one.id: "z" for one in servers})
    assert found.seconds == pytest.approx(found.seconds_lower_bound)
    free = sorted(found.free_after_seconds.values())
    # urgent ones come last: before that, each host is done before the next begins
    assert free[:3] == pytest.approx([found.seconds * share / 6 for share in (1, 2, 3)])


@pytest.fixture(scope="module")
def cloud() -> Survey:
    return instance(120, remaining=0.5, constraints=False, seed=7)


def spread(old: Survey, count: int) -> tuple[list[str], dict[str, str | None]]:
    """The least loaded hosts, their servers each to the emptiest of some others."""
    on = {one.name: [s for s in old.servers if s.host == one.name] for one in old.hosts}
    free = {one.name: subtract(capacity.capacity(one), total(s.allocations for s in on[one.name])) for one in old.hosts}
    names = sorted(on, key=lambda name: (sum(s.allocations["MEMORY_MB"] for s in on[name]), name))
    freed, kept, targets = names[:count], names[count:], dict[str, str | None]()
    for one in (s for name in freed for s in on[name]):
        fits = [name for name in kept if not shortage(one.allocations, free[name])]
        best = max(fits, key=lambda name: free[name]["MEMORY_MB"])
        targets[one.id] = best
        free[best] = subtract(free[best], one.allocations)
    return freed, targets


def test_the_schedule_of_a_cloud_is_within_a_twentieth_of_its_bound(cloud: Survey):
    freed, targets = spread(cloud, 40)
    found = ordered(cloud, freed, targets)
    assert found.seconds_lower_bound <= found.seconds <= 1.05 * found.seconds_lower_bound
    assert broken(plan(cloud, found), cloud) == set()
    assert len(moves(plan(cloud, found))) == len(targets)


def test_whoever_begins_the_first_that_may_begin_carries_the_timetable_out(cloud: Survey):
    """The engine's own walk, on NICs that are shared as the forecast says."""
    freed, targets = spread(cloud, 40)
    found = ordered(cloud, freed, targets)
    numbers = {one.name: number for number, one in enumerate(cloud.hosts)}
    servers = {one.id: one for one in cloud.servers}
    lines = [Line(name=one.name, bytes_per_second=(one.nic_mbps or 0) * 1e6 / 8, turns=one.max_live_migrations) for one in cloud.hosts]
    moving = [action for action in found.actions if "to" in action.args]
    jobs = [Job(bytes=bytes_to_move(servers[a.target.id]), source=numbers[a.args["from"]], target=numbers[a.args["to"]]) for a in moving]
    traffic, number_of = Traffic(lines, jobs), {action.id: number for number, action in enumerate(moving)}
    walk, now = Walk(plan(cloud, found), {}, concurrency=10_000), 0.0
    while True:
        while begun := walk.begin():
            for name in begun:
                if name in number_of:
                    traffic.begin(number_of[name], now)
                else:
                    walk.end(name, ActionState.DONE)
        if (ended := traffic.next_ended()) is None:
            break
        now = ended[0]
        for number in ended[1]:
            walk.end(moving[number].id, ActionState.DONE)
    assert set(walk.states.values()) == {ActionState.DONE}
    assert now == pytest.approx(found.seconds, rel=0.001)


jobs_of_hosts = st.lists(
    st.builds(
        Job,
        bytes=st.integers(0, 50),
        source=st.integers(0, 2),
        target=st.one_of(st.none(), st.integers(3, 5)),
        group=st.sampled_from((None, None, 0, 1)),
    ),
    max_size=12,
)
hosts_of_jobs = st.lists(
    st.builds(Line, name=st.just("h"), bytes_per_second=st.sampled_from((1.0, 2.5)), turns=st.integers(1, 3)), min_size=6, max_size=6
)


@settings(max_examples=200, deadline=None)
@given(hosts_of_jobs, jobs_of_hosts)
def test_no_timetable_is_shorter_than_its_bound_or_longer_than_one_after_the_other(lines: list[Line], jobs: list[Job]):
    bound = lower_bound(lines, jobs)
    table = timetable(lines, jobs, bound)
    assert bound.seconds <= table.seconds * (1 + 1e-9)
    shared = max((line.turns for line in lines), default=1)
    assert table.seconds <= shared * sum(least_seconds(lines, job) for job in jobs) * (1 + 1e-9)
    assert len([event for event in table.events if isinstance(event, Started)]) == len(jobs)


@st.composite
def rearrangements(draw: st.DrawFn) -> tuple[Survey, list[str], dict[str, str | None]]:
    """Servers on full hosts, and other places for them that all fit at the end; whether an order leads there is the question."""
    names = [f"h{number}" for number in range(draw(st.integers(2, 5)))]
    freed = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    kept = [name for name in names if name not in freed]
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    at = [draw(st.sampled_from(names)) for _ in sizes]
    to = [draw(st.sampled_from(kept or names)) for _ in sizes]
    group = Group(id="g", policy="anti-affinity", max_server_per_host=draw(st.integers(1, 2)))
    grouped = [draw(st.sampled_from(("g", None, None))) for _ in sizes]
    slack = draw(st.integers(0, 2))
    rooms = {n: max(sum(s for s, where in zip(sizes, w, strict=True) if where == n) for w in (at, to)) + slack for n in names}
    for where in (at, to):
        crowd = [name for name, one in zip(where, grouped, strict=True) if one]
        assume(all(crowd.count(name) <= group.max_server_per_host for name in crowd))
    assume(kept)
    servers = [server(f"s{n}", at[n], vcpus=sizes[n], memory_mib=1, group=grouped[n]) for n in range(len(sizes))]
    hosts = [host(name, vcpus=rooms[name], max_live_migrations=draw(st.integers(1, 2))) for name in names]
    return survey(hosts, servers, [group]), freed, {f"s{n}": to[n] for n in range(len(sizes)) if at[n] != to[n]}


@settings(max_examples=300, deadline=None)
@given(rearrangements())
def test_every_order_that_the_steps_permit_has_room_for_both_sides_of_every_move(case: tuple[Survey, list[str], dict[str, str | None]]):
    old, freed, targets = case
    found = ordered(old, freed, targets)
    assert found.stuck or broken(plan(old, found), old) == set()
    assert not found.stuck or set(found.stuck) <= set(targets)
    assert found.stuck or {one: went[1] for one, went in moves(plan(old, found)).items()} == targets
