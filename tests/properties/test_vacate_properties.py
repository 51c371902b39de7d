"""Whatever the cloud: the planner's plans replay clean, its refusals are true, its bounds hold, and what is broken is caught."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
from bench.vacate.instances import instance
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from decamp.model.amounts import Inventory, shortage, subtract, total
from decamp.model.documents import encode, sha256
from decamp.model.plan import Action, Plan, Reason, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.survey import Group, Host, Pinned, Server, Survey
from decamp.planning.constraints import capacity
from decamp.planning.replay import Rule, replay
from decamp.planning.vacate import plan_vacate
from small_clouds import host, moves, server, survey

NAMES = ("cmp-1", "cmp-10", "cmp-1.a", "cmp-1.ab", "b", "c.example.com")
ZONES = ("nova", "z2")
TRAITS = ("AVX", "SSD")
POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")

HOST_TROUBLES: tuple[dict[str, Any], ...] = (
    {"state": "down"},
    {"status": "disabled"},
    {"inventories": {}},
    {"other_allocations": {"VCPU": 1}},
)
SERVER_TROUBLES: tuple[dict[str, Any], ...] = (
    {"allocations": {}},
    {"host": None},
    {"host": "ghost"},
    {"status": "SUSPENDED"},
    {"status": "ERROR"},
    {"group": "gone"},
    *({"pinned": reason} for reason in Pinned),
)

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def rarely(things: tuple[dict[str, Any], ...], rarity: int) -> st.SearchStrategy[dict[str, Any]]:
    """One of them once in `rarity` times, else nothing."""
    return st.integers(1, rarity).flatmap(lambda number: st.sampled_from(things) if number == 2 else st.just({}))


@st.composite
def hosts(draw: st.DrawFn, name: str, rarity: int) -> Host:
    inventories = {
        "VCPU": Inventory(total=draw(st.sampled_from((3, 6, 9, 12))), allocation_ratio=draw(st.sampled_from((1.0, 1.5, 2.0)))),
        "MEMORY_MB": Inventory(total=draw(st.sampled_from((8, 16, 24))) * 512, reserved=draw(st.sampled_from((0, 512)))),
    }
    plain = host(
        name,
        inventories=inventories,
        zone=draw(st.sampled_from(ZONES)),
        traits=draw(st.sampled_from((TRAITS, TRAITS, TRAITS[:1], ()))),
        max_live_migrations=draw(st.integers(1, 3)),
        nic_mbps=draw(st.sampled_from((None, 1000, 10000))),
    )
    return msgspec.structs.replace(plain, **draw(rarely(HOST_TROUBLES, rarity)))


@st.composite
def servers(draw: st.DrawFn, number: int, names: list[str], rarity: int) -> Server:
    memory_mib = draw(st.sampled_from((256, 512, 1024, 2048)))
    plain = server(
        f"s{number:02d}",
        draw(st.sampled_from(names)),
        allocations={"VCPU": draw(st.integers(1, 4)), "MEMORY_MB": memory_mib},
        migration_bytes=memory_mib << 20,
        status=draw(st.sampled_from(("ACTIVE", "ACTIVE", "SHUTOFF", "PAUSED"))),
        zone=draw(st.sampled_from((None,) * 8 + ZONES)),
        traits=draw(st.sampled_from(((),) * 6 + (("AVX",), TRAITS))),
        group=draw(st.sampled_from((None, None, "g0", "g1"))),
    )
    return msgspec.structs.replace(plain, **draw(rarely(SERVER_TROUBLES, rarity * 3)))


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    rarity = draw(st.sampled_from((5, 40)))
    names = list(NAMES[: draw(st.sampled_from((0, 1, 2, 3, 4, 4, 5, 5, 6, 6)))])
    placed = [draw(servers(number, names, rarity)) for number in range(draw(st.integers(0, 10)) if names else 0)]
    groups = [
        Group(
            id=name,
            policy=draw(st.sampled_from((*POLICIES, "anti-affinity", "anti-affinity"))),
            members=tuple(one.id for one in placed if one.group == name),
            max_server_per_host=draw(st.integers(1, 2)),
        )
        for name in ("g0", "g1")
    ]
    return survey([draw(hosts(name, rarity)) for name in names], placed, groups)


goals = st.one_of(
    st.just(VacateGoal(max=True)),
    st.builds(VacateGoal, count=st.integers(1, 4)),
    st.builds(VacateGoal, hosts=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple)),
)
policies = st.builds(
    Policy,
    spare_hosts=st.sampled_from((0, 0, 1, 2)),
    never_touch_hosts=st.sampled_from(((), (), ("cmp-1",))),
    never_move_servers=st.sampled_from(((), (), ("s03",))),
)


def planned(old: Survey, goal: VacateGoal, policy: Policy) -> Plan:
    return plan_vacate(old, policy, goal=goal, made_from={"old": sha256(old)})


def rules(plan: Plan, old: Survey, policy: Policy | None = None) -> set[Rule]:
    return {violation.rule for violation in replay(plan, {"old": old}, policy)}


@quick
@given(surveys(), goals, policies)
def test_every_plan_replays_clean(old: Survey, goal: VacateGoal, policy: Policy):
    assert replay(planned(old, goal, policy), {"old": old}, policy) == ()


def in_disorder(seed: int) -> tuple[Survey, VacateGoal]:
    """A cloud of 20 hosts with realistic flavors, where operators have moved servers against their zones and traits, and disabled hosts."""
    random = Random(seed)  # noqa: S311 repeatable
    old = instance(20, remaining=random.choice((0.3, 0.6, 0.9)), constraints=True, seed=seed)
    names = [one.name for one in old.hosts]
    moved = tuple(msgspec.structs.replace(one, host=random.choice(names)) if random.random() < 0.15 else one for one in old.servers)
    disabled = tuple(msgspec.structs.replace(one, status="disabled") if random.random() < 0.2 else one for one in old.hosts)
    some = tuple(random.sample(names, random.randint(1, 11)))
    goal = random.choice((VacateGoal(max=True), VacateGoal(hosts=some), VacateGoal(hosts=some, among=True)))
    return msgspec.structs.replace(old, servers=moved, hosts=disabled), goal


@settings(quick, max_examples=5)
@given(st.integers(0, 10**6))
@example(1014)
@example(1017)
def test_every_plan_of_a_cloud_in_disorder_replays_clean(seed: int):
    old, goal = in_disorder(seed)
    assert replay(plan_vacate(old, Policy(), goal=goal, made_from={"old": sha256(old)}), {"old": old}, Policy()) == ()


@quick
@given(surveys(), goals, policies, st.randoms(use_true_random=False))
def test_any_run_that_honours_after_stays_feasible(old: Survey, goal: VacateGoal, policy: Policy, chance):
    """A simulation of its own: actions begin and end in any order that `after` permits, and Placement is summed up at each step."""
    plan = planned(old, goal, policy)
    allocations = {one.id: one.allocations for one in old.servers}
    holding = {one.id: {one.host} for one in old.servers}
    room = {one.name: capacity.capacity(one) for one in old.hosts}
    groups = {group.id: group for group in old.groups if group.policy == "anti-affinity"}
    waiting, running, done = list(plan.actions), list[Action](), set[str]()
    while waiting or running:
        ready = [one for one in waiting if set(one.after) <= done]
        chosen = chance.choice([*ready, *running])
        if chosen in running:
            running.remove(chosen)
            done.add(chosen.id)
            if "to" in chosen.args:
                holding[chosen.target.id] = {chosen.args["to"]}
            continue
        waiting.remove(chosen)
        running.append(chosen)
        if chosen.verb is Verb.PROVE_EMPTY:
            assert not any(chosen.target.id in where for where in holding.values())
        if "to" not in chosen.args:
            continue
        target = chosen.args["to"]
        holding[chosen.target.id].add(target)
        held = total(allocations[one] for one, where in holding.items() if target in where and one != chosen.target.id)
        assert shortage(allocations[chosen.target.id], subtract(room[target], held)) == {}
        for group in groups.values():
            if chosen.target.id in group.members:
                assert sum(target in holding[one] for one in group.members) <= group.max_server_per_host
                assert sum(one.target.id in group.members for one in running) == 1


@quick
@given(surveys(), goals, policies)
def test_refusals_are_true(old: Survey, goal: VacateGoal, policy: Policy):
    plan = planned(old, goal, policy)
    hosts, servers = {one.name: one for one in old.hosts}, {one.id: one for one in old.servers}
    for refusal in plan.refusals:
        assert refusal.ref.id not in plan.forecast.freed_hosts
        assert refusal.ref.id not in moves(plan)
        if refusal.ref.kind == "host" and refusal.reason is not Reason.HOST_UNKNOWN:
            _is_true_of_host(refusal.reason, hosts[refusal.ref.id], old, plan, policy)
        if refusal.ref.kind == "server":
            _is_true_of_server(refusal.reason, servers[refusal.ref.id], old, plan, policy)
    if goal.hosts:
        refused = {refusal.ref.id for refusal in plan.refusals}
        assert set(goal.hosts) == (refused & set(goal.hosts)) | set(plan.forecast.freed_hosts)
    if goal.count is not None:
        assert len(plan.forecast.freed_hosts) == goal.count or plan.refusals


def _is_true_of_host(reason: Reason, one: Host, old: Survey, plan: Plan, policy: Policy) -> None:
    taken = any(other.host == one.name for other in old.servers) or any(to == one.name for _, to in moves(plan).values())
    holds = {
        Reason.HOST_DOWN: one.state == "down" and any(other.host == one.name for other in old.servers),
        Reason.NO_INVENTORY: not one.inventories,
        Reason.SPARE: policy.spare_hosts > 0,
        Reason.POLICY: one.name in policy.never_touch_hosts,
        Reason.HOST_NOT_FREE: bool(one.other_allocations) or taken,
    }
    assert holds[reason]


def _is_true_of_server(reason: Reason, one: Server, old: Survey, plan: Plan, policy: Policy) -> None:
    if reason is Reason.NO_CAPACITY:
        # where several have to go, one may be without room because of the others
        alone = sum(other.host == one.host for other in old.servers) == 1
        assert not alone or all(shortage(one.allocations, _left(old, plan, name)) for name in _open_to(one, old, plan))
    elif one.pinned is not None and one.host in {host.name for host in old.hosts}:
        assert reason == one.pinned.value
    elif reason is Reason.POLICY:
        assert one.id in policy.never_move_servers
    elif reason is Reason.STATE:
        assert one.status in {"SUSPENDED", "ERROR"}
    elif reason is Reason.GROUP_POLICY:
        assert one.group in {group.id for group in old.groups if "soft" not in group.policy}
    else:
        assert reason in {Reason.NO_HOST, Reason.INCOMPLETE}


def _left(old: Survey, plan: Plan, name: str) -> dict[str, int]:
    """What is free on a host at the end of the plan: moves only ever fill the hosts that stay."""
    place = {one.id: moves(plan).get(one.id, (None, one.host))[1] for one in old.servers}
    held = total(one.allocations for one in old.servers if place[one.id] == name)
    return subtract(capacity.capacity(next(one for one in old.hosts if one.name == name)), held)


def _open_to(one: Server, old: Survey, plan: Plan) -> Iterator[str]:
    """Hosts that may take the server, as far as that is sure: in its zone, with its traits, of no group that would forbid it."""
    if one.group is not None or (isinstance(plan.goal, VacateGoal) and plan.goal.hosts):
        return
    for other in old.hosts:
        stays = other.receives and other.name not in {one.host, "cmp-1", *plan.forecast.freed_hosts}
        if stays and one.zone in {None, other.zone} and set(one.traits) <= set(other.traits):
            yield other.name


@quick
@given(surveys(), goals, policies)
def test_what_is_forecast_is_never_better_than_its_bound(old: Survey, goal: VacateGoal, policy: Policy):
    told = planned(old, goal, policy).forecast
    assert told.occupied_hosts >= told.occupied_hosts_lower_bound
    assert told.bytes >= told.bytes_lower_bound
    assert told.seconds >= told.seconds_lower_bound


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.lists(st.integers(2, 8), min_size=1, max_size=4))
def test_no_assignment_at_all_beats_the_lower_bound_of_occupied_hosts(demands: list[int], rooms: list[int]):
    """Every assignment of a small cloud is tried."""
    at: list[int] = []
    free = list(rooms)
    for demand in demands:
        place = next((number for number, room in enumerate(free) if room >= demand), None)
        assume(place is not None)
        free[place or 0] -= demand
        at.append(place or 0)
    old = survey(
        [host(f"h{n}", vcpus=room) for n, room in enumerate(rooms)],
        [server(f"s{n}", f"h{at[n]}", vcpus=demand, memory_mib=1) for n, demand in enumerate(demands)],
    )
    best = min(
        len(set(assignment))
        for assignment in itertools.product(range(len(rooms)), repeat=len(demands))
        if all(sum(d for d, a in zip(demands, assignment, strict=True) if a == n) <= room for n, room in enumerate(rooms))
    )
    told = planned(old, VacateGoal(max=True), Policy()).forecast
    assert told.occupied_hosts_lower_bound <= best <= told.occupied_hosts


@quick
@given(surveys(), goals, policies, st.randoms(use_true_random=False))
def test_the_order_in_which_a_cloud_is_listed_changes_nothing(old: Survey, goal: VacateGoal, policy: Policy, chance):
    def shuffled(things: tuple) -> tuple:
        return tuple(chance.sample(things, len(things)))

    other = msgspec.structs.replace(old, hosts=shuffled(old.hosts), servers=shuffled(old.servers), groups=shuffled(old.groups))
    first, second = (plan_vacate(one, policy, goal=goal, made_from={}) for one in (old, other))
    assert encode(first) == encode(second)


@settings(quick, max_examples=30)
@given(surveys(), policies)
def test_a_plan_that_is_broken_in_any_one_place_is_caught(old: Survey, policy: Policy):
    plan = planned(old, VacateGoal(max=True), policy)
    for broken in _mutations(plan):
        assert replay(broken, {"old": old}, policy) != ()


def _mutations(plan: Plan) -> Iterator[Plan]:
    """Each breaks one thing that matters, whatever the cloud."""

    def changed(action: Action, **fields: object) -> Plan:
        actions = tuple(msgspec.structs.replace(one, **fields) if one.id == action.id else one for one in plan.actions)
        return msgspec.structs.replace(plan, actions=actions)

    for action in plan.actions:
        for dropped in action.after:
            yield changed(action, after=tuple(one for one in action.after if one != dropped))
        if action.verb is Verb.DISABLE_SERVICE:
            left = tuple(
                msgspec.structs.replace(one, after=tuple(a for a in one.after if a != action.id))
                for one in plan.actions
                if one.id != action.id
            )
            yield msgspec.structs.replace(plan, actions=left)
        yield msgspec.structs.replace(plan, actions=(*plan.actions, action))
        if "to" in action.args:
            for lock in action.locks:
                yield changed(action, locks=tuple(one for one in action.locks if one != lock))
            yield changed(action, expects="0" * 32)
            yield changed(action, args={**action.args, "to": action.args["from"]})
            yield changed(action, args={**action.args, "to": "ghost"})
            for freed in plan.forecast.freed_hosts:
                yield changed(action, args={**action.args, "to": freed})
            yield changed(action, after=(*action.after, plan.actions[-1].id))


@settings(quick, max_examples=30)
@given(surveys())
def test_a_server_that_is_sent_where_it_does_not_fit_is_caught(old: Survey):
    plan = planned(old, VacateGoal(max=True), Policy())
    for action in plan.actions:
        for target in old.hosts if "to" in action.args else ():
            one = next(one for one in old.servers if one.id == action.target.id)
            if target.name != action.args["to"] and not _fits(one, target, old, plan):
                actions = tuple(
                    msgspec.structs.replace(other, args={**other.args, "to": target.name}) if other is action else other
                    for other in plan.actions
                )
                broken = rules(msgspec.structs.replace(plan, actions=actions), old)
                assert broken & {Rule.CAPACITY, Rule.RECEIVES, Rule.ZONE, Rule.TRAITS, Rule.GROUPS, Rule.ITINERARY}


def _fits(one: Server, target: Host, old: Survey, plan: Plan) -> bool:
    """Whether it would be right there, as far as this knows: where it is unsure, it would."""
    group = next((group for group in old.groups if group.id == one.group), None)
    siblings = sum(other.group == one.group for other in old.servers if other.host == target.name and other.id != one.id)
    crowded = group is not None and group.policy == "anti-affinity" and siblings >= group.max_server_per_host
    suits = target.receives and one.zone in {None, target.zone} and set(one.traits) <= set(target.traits)
    return suits and not crowded and not shortage(one.allocations, _left(old, plan, target.name))
