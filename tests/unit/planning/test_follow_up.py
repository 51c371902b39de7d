"""What is left of a vacate after a run, and what is made of what failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from decamp.model.chain import Chain, Link
from decamp.model.plan import Action, Plan, Reason, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.run import ActionReport, ActionState, RunReport
from decamp.model.setbacks import Failure, Setback
from decamp.planning.follow_up import cordoned, goal_of, may_gather, plan_release, refusals, rest, with_cordons_lifted
from small_clouds import host as a_host
from small_clouds import ran, survey

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
POLICY = Policy(migration_attempts=3, retry_seconds=60)
STEPS = (Verb.DISABLE_SERVICE, Verb.LIVE_MIGRATE, Verb.PROVE_EMPTY, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE)


def step(verb: Verb, host: str) -> Action:
    if verb is Verb.LIVE_MIGRATE:
        return Action(id=f"{verb}/server/s-{host}", verb=verb, target=Ref("server", f"s-{host}"), args={"from": host, "to": "keep"})
    return Action(id=f"{verb}/host/{host}", verb=verb, target=Ref("host", host))


def link(number: int, hosts: dict[str, Verb | None], **failed: object) -> Link:
    """A run that came to `hosts`, each of which failed at a step, or at none; `failed` says of the failures how."""
    actions, reports = [], []
    for host, broken in hosts.items():
        state = ActionState.DONE
        for verb in STEPS:
            action = step(verb, host)
            how = {}
            if verb is broken:
                state, how = ActionState.FAILED, {"error": "no", "error_kind": "failed", "ended_at": NOW.isoformat(), **failed}
            attempts = 0 if state is ActionState.SKIPPED else 1
            reports.append(ActionReport(id=action.id, verb=verb, target=action.target, state=state, attempts=attempts, **how))
            if state is ActionState.FAILED:
                state = ActionState.SKIPPED
            actions.append(action)
    plan = Plan(goal=VacateGoal(hosts=tuple(hosts)), made_from={}, actions=tuple(actions)).sealed()
    return ran(plan, number, reports)


def setback(failure: Failure, host: str | None = None) -> Setback:
    return Setback(failure=failure, servers=("s-h1",), host=host)


def test_what_is_free_is_not_asked_for_again_and_nothing_is_that_the_first_plan_did_not_show() -> None:
    chain = Chain(links=(link(1, {"h1": Verb.LIVE_MIGRATE, "h2": None, "h3": Verb.PROVE_EMPTY}, error_kind="changed"),))
    goal = goal_of(chain, rest(chain, POLICY, NOW))
    assert (goal.hosts, goal.follows) == (("h1", "h3"), "run-1")


@pytest.mark.parametrize("failure", [Failure.NO_VALID_HOST, Failure.ROLLED_BACK, Failure.TARGET_DOWN])
def test_what_a_host_refused_is_tried_elsewhere_at_once(failure: Failure) -> None:
    chain = Chain(links=(link(1, {"h1": Verb.LIVE_MIGRATE}, setback=setback(failure, "keep-2")),))
    left = rest(chain, POLICY, NOW)
    assert (left.hosts, left.avoid, left.stay) == (("h1",), {"s-h1": ("keep-2",)}, {})


def test_a_failure_that_says_nothing_is_tried_elsewhere_than_it_was_sent() -> None:
    left = rest(Chain(links=(link(1, {"h1": Verb.LIVE_MIGRATE}),)), POLICY, NOW)
    assert left.avoid == {"s-h1": ("keep",)}


def test_what_has_to_pass_first_is_tried_later_and_later_still_the_next_time() -> None:
    once = link(1, {"h1": Verb.LIVE_MIGRATE, "h2": Verb.LIVE_MIGRATE}, setback=setback(Failure.STALLED))
    left = rest(Chain(links=(once,)), POLICY, NOW)
    assert left.again_at == NOW + timedelta(seconds=60)
    assert set(left.stay) == {"s-h1", "s-h2"}
    assert "is tried again later" in left.stay["s-h1"]
    twice = Chain(links=(once, once))
    assert rest(twice, POLICY, NOW).again_at == NOW + timedelta(seconds=120)
    later = rest(twice, POLICY, NOW + timedelta(seconds=121))
    assert (later.stay, later.again_at, later.hosts) == ({}, None, ("h1", "h2"))


def test_a_server_that_failed_too_often_stays_with_its_reason() -> None:
    failed = link(1, {"h1": Verb.LIVE_MIGRATE}, setback=setback(Failure.ROLLED_BACK, "keep"), error="qemu is too old")
    left = rest(Chain(links=(failed,) * 3), POLICY, NOW)
    assert left.stay == {"s-h1": "was tried 3 times, and is not tried again. qemu is too old"}
    assert left.avoid == {}
    assert left.again_at is None
    (refusal,) = refusals(left)
    assert (refusal.ref, refusal.reason) == (Ref("server", "s-h1"), Reason.MIGRATION_FAILED)


@pytest.mark.parametrize("failure", [Failure.SERVER_ERROR, Failure.PINNED, Failure.CONFIRM_FAILED])
def test_what_a_person_has_to_look_at_is_not_tried_again(failure: Failure) -> None:
    left = rest(Chain(links=(link(1, {"h1": Verb.LIVE_MIGRATE}, setback=setback(failure)),)), POLICY, NOW)
    assert "was tried once" in left.stay["s-h1"]


def test_a_server_that_changed_is_planned_anew_at_once_but_not_for_ever() -> None:
    changed = link(1, {"h1": Verb.LIVE_MIGRATE}, setback=setback(Failure.SERVER_CHANGED), error_kind="changed")
    assert rest(Chain(links=(changed,)), POLICY, NOW).stay == {}
    assert set(rest(Chain(links=(changed,) * 3), POLICY, NOW).stay) == {"s-h1"}


def test_a_host_one_of_whose_steps_failed_too_often_is_left_and_that_is_told() -> None:
    failed = link(1, {"h1": Verb.STOP_COMPUTE, "h2": Verb.LIVE_MIGRATE}, error_kind="changed", error="enabled again")
    left = rest(Chain(links=(failed,) * 3), POLICY, NOW)
    assert left.hosts == ("h2",)
    assert [refusal.reason for refusal in refusals(left)] == [Reason.MIGRATION_FAILED, Reason.HOST_NOT_FREE]
    assert "enabled again" in left.kept["h1"]


def test_what_failed_before_somebody_resumed_a_concluded_vacate_does_not_count() -> None:
    failed = link(1, {"h1": Verb.LIVE_MIGRATE}, setback=setback(Failure.SERVER_ERROR))
    reopened = Link(plan=failed.plan, report=RunReport(**{**as_dict(failed.report), "reopened_at": NOW.isoformat()}))
    left = rest(Chain(links=(reopened,)), POLICY, NOW)
    assert (left.stay, left.hosts) == ({}, ("h1",))


def as_dict(report: RunReport) -> dict:
    return {name: getattr(report, name) for name in report.__struct_fields__}


def test_what_was_cordoned_and_is_not_free_is_given_back_but_for_what_is_stopped() -> None:
    chain = Chain(links=(link(1, {"h1": Verb.LIVE_MIGRATE, "h2": None, "h3": Verb.DELETE_SERVICE, "h4": Verb.DISABLE_SERVICE}),))
    release = plan_release(chain)
    assert [(action.verb, action.target.id) for action in release.actions] == [
        (Verb.ENABLE_SERVICE, "h1"),
        (Verb.ENABLE_SERVICE, "h4"),
    ], "a cordon that found new servers stands, though it failed"
    assert Link(plan=release, report=chain.last).releases


def released(number: int, *hosts: str) -> Link:
    """A run that gave these hosts back."""
    actions = tuple(step(Verb.ENABLE_SERVICE, host) for host in hosts)
    plan = Plan(goal=VacateGoal(hosts=hosts), made_from={}, actions=actions).sealed()
    reports = tuple(ActionReport(id=one.id, verb=one.verb, target=one.target, state=ActionState.DONE, attempts=1) for one in actions)
    return ran(plan, number, reports)


def test_hosts_take_each_others_servers_unless_somebody_wants_them_free_by_name() -> None:
    by_name = link(1, {"h1": Verb.LIVE_MIGRATE, "h2": Verb.LIVE_MIGRATE})
    as_many_as_can_be = Link(plan=msgspec.structs.replace(by_name.plan, goal=VacateGoal(max=True)).sealed(), report=by_name.report)
    for first, may in ((by_name, False), (as_many_as_can_be, True)):
        chain = Chain(links=(first,))
        assert may_gather(chain, rest(chain, POLICY, NOW)) is may


def test_what_was_given_back_is_not_cordoned_any_more_until_it_is_again() -> None:
    first = link(1, {"h1": Verb.LIVE_MIGRATE, "h2": Verb.LIVE_MIGRATE, "h3": None})
    assert cordoned(Chain(links=(first,))) == {"h1", "h2"}
    assert cordoned(Chain(links=(first, released(2, "h1")))) == {"h2"}
    assert cordoned(Chain(links=(first, released(2, "h1"), link(3, {"h1": Verb.LIVE_MIGRATE})))) == {"h1", "h2"}


def test_the_cloud_with_our_cordons_lifted_leaves_those_of_others_and_of_hosts_that_are_given_up() -> None:
    failed = link(1, {"h1": Verb.LIVE_MIGRATE, "h2": Verb.PROVE_EMPTY}, error_kind="failed")
    chain = Chain(links=(failed,) * 3)
    left = rest(chain, POLICY, NOW)
    assert "h2" in left.kept
    old = survey([a_host(name, status="disabled") for name in ("h1", "h2", "theirs")])
    assert {one.name: one.status for one in with_cordons_lifted(chain, left, old).hosts} == {
        "h1": "enabled",
        "h2": "disabled",
        "theirs": "disabled",
    }


def test_only_the_hosts_that_are_asked_for_are_given_back() -> None:
    chain = Chain(links=(link(1, {"h1": Verb.LIVE_MIGRATE, "h2": Verb.LIVE_MIGRATE}),))
    assert [action.target.id for action in plan_release(chain, {"h2", "h9"}).actions] == ["h2"]


def sent(number: int, *migrations: tuple[str, str, str, Failure | None]) -> Link:
    """A run of migrations (server, from, to, how it failed), one after the other."""
    actions, reports = [], []
    for at, (server, source, target, failure) in enumerate(migrations):
        args = {"from": source, "to": target}
        action = Action(id=f"live_migrate/{server}/{at}", verb=Verb.LIVE_MIGRATE, target=Ref("server", server), args=args)
        ended: dict[str, object] = {"ended_at": (NOW + timedelta(seconds=100 * number + at)).isoformat(), "attempts": 1}
        if failure:
            ended |= {"error": "no", "error_kind": "failed", "setback": Setback(failure=failure, servers=(server,), host=target)}
        state = ActionState.FAILED if failure else ActionState.DONE
        reports.append(ActionReport(id=action.id, verb=action.verb, target=action.target, state=state, **ended))  # type: ignore[arg-type]
        actions.append(action)
    it = link(number, {})
    plan = msgspec.structs.replace(it.plan, actions=tuple(actions)).sealed()
    return Link(plan=plan, report=msgspec.structs.replace(it.report, plan=plan.id, actions=tuple(reports)))


BROKE = Failure.ROLLED_BACK


def test_a_target_that_several_servers_do_not_get_into_is_shunned_by_all() -> None:
    chain = Chain(links=(sent(1, ("s1", "h1", "keep", BROKE)), sent(2, ("s2", "h2", "keep", BROKE))))
    left = rest(chain, POLICY, NOW)
    assert list(left.shun) == ["keep"]
    assert goal_of(chain, left).shun == left.shun
    assert "2 servers" in left.shun["keep"]


@pytest.mark.parametrize(
    "migrations",
    [
        [("s1", "h1", "keep", BROKE)],
        [("s1", "h1", "keep", BROKE), ("s1", "h1", "keep", BROKE)],
        [("s1", "h1", "keep", BROKE), ("s2", "h2", "keep", Failure.NO_VALID_HOST)],
        [("s1", "h1", "keep", BROKE), ("s2", "h2", "keep", None), ("s3", "h3", "keep", BROKE)],
    ],
    ids=["one server", "the same server", "the scheduler's word", "one arrived in between"],
)
def test_what_says_nothing_against_a_target_does_not_count(migrations: list[tuple[str, str, str, Failure | None]]) -> None:
    assert rest(Chain(links=(sent(1, *migrations),)), POLICY, NOW).shun == {}


def test_a_source_that_lets_nobody_go_is_not_its_targets_fault() -> None:
    stuck = [("s1", "h1", "keep", BROKE), ("s2", "h1", "keep", BROKE)]
    assert rest(Chain(links=(sent(1, *stuck),)), POLICY, NOW).shun == {}
    assert list(rest(Chain(links=(sent(1, *stuck, ("s3", "h1", "other", None)),)), POLICY, NOW).shun) == ["keep"]


@pytest.mark.parametrize("failure", [Failure.SERVER_ERROR, Failure.SERVER_STUCK, Failure.CONFIRM_FAILED])
def test_what_harmed_one_server_is_not_given_another(failure: Failure) -> None:
    shun = rest(Chain(links=(sent(1, ("s1", "h1", "keep", failure), ("s2", "h2", "keep", None)),)), POLICY, NOW).shun
    assert "came to harm" in shun["keep"]
