"""Runs that follow each other: drained, followed once, concluded, cancelled, resumed, also when their process dies in between."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from clerk import Desk, a_plan, an_action, failing

from decamp.model import accounts
from decamp.model.chain import Chain, FollowUp, HostOutcome, ServerOutcome
from decamp.model.effects import Attempt
from decamp.model.errors import Failed, Refused, Unreachable
from decamp.model.plan import Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.run import ActionState, Conclusion, Later, RunState
from decamp.model.setbacks import Failure, Setback
from decamp.planning.follow_up import plan_release
from decamp.run.engine import Engine
from decamp.run.runs import open_runs

Say = Callable[[str], None]


def emptying(*hosts: str, follows: str | None = None, to: str = "keep") -> Plan:
    """Each host has one server, named after it."""
    actions = []
    for host in hosts:
        cordon = an_action(f"disable/{host}", verb=Verb.DISABLE_SERVICE, target=Ref("host", host), args={"servers": [f"s-{host}"]})
        move = an_action(
            f"migrate/{host}", cordon.id, verb=Verb.LIVE_MIGRATE, target=Ref("server", f"s-{host}"), args={"from": host, "to": to}
        )
        delete = an_action(f"delete/{host}", move.id, verb=Verb.DELETE_SERVICE, target=Ref("host", host))
        actions += [cordon, move, delete]
    return a_plan(*actions, goal=VacateGoal(hosts=hosts, follows=follows))


def again(chain: Chain, _say: Say) -> FollowUp | Later | Conclusion:
    """What is left is tried in the same way, until a run that follows frees nothing."""
    if chain.conclusion:
        return chain.conclusion
    left = [host for host in chain.hosts if host not in chain.freed]
    if not left:
        return Conclusion(state=RunState.DONE, text="all free")
    if chain.last.cancel_asked_at:
        return closing(chain, Conclusion(state=RunState.CANCELLED, text="cancelled"))
    if len(chain.fresh) > 1 and not chain.links[-1].done(Verb.DELETE_SERVICE):
        return closing(chain, Conclusion(state=RunState.FAILED, text="no more"))
    return FollowUp(plan=emptying(*left, follows=chain.last.id))


def closing(chain: Chain, conclusion: Conclusion) -> FollowUp:
    return FollowUp(plan=plan_release(chain), conclusion=conclusion)


def chain_of(desk: Desk, run: str) -> Chain:
    with open_runs(desk.url) as runs:
        return runs.chain(run)


def apply(desk: Desk, plan: Plan, **options) -> Chain:
    with desk.engine(**{"follow": again, "policy": Policy(drain_share=1.0)} | options) as engine:
        run = engine.begin(plan)
        engine.wait(run)
        return engine.runs.chain(run)


def test_a_vacate_that_frees_all_is_one_run_and_is_concluded(desk: Desk) -> None:
    chain = apply(desk, emptying("h1", "h2"))
    assert len(chain.links) == 1
    assert (chain.state, chain.freed, accounts.exit_code(chain)) == (RunState.DONE, {"h1", "h2"}, 0)
    assert {one.outcome for one in accounts.host_accounts(chain)} == {HostOutcome.FREED}
    assert [(one.outcome, one.host) for one in accounts.server_accounts(chain)] == [(ServerOutcome.MOVED, "keep")] * 2


def test_what_failed_is_taken_up_by_a_run_that_follows_and_both_are_one(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no valid host"))
    events: list[str] = []
    looks: list[Chain] = []
    with desk.engine(follow=again, policy=Policy(drain_share=1.0)) as engine:
        run = engine.begin(emptying("h1", "h2"))
        last = engine.wait(run, lambda action: events.append(f"{action.id} {action.state}"), looks.append)
        chain = engine.runs.chain(run)
    assert [link.report.state for link in chain.links] == [RunState.FAILED, RunState.DONE]
    assert chain.links[1].report.follows == chain.id == run
    assert last.id == chain.last.id != run
    assert chain.state is RunState.DONE
    assert chain.links[1].plan.goal.hosts == ("h1",)  # type: ignore[union-attr]
    assert events.count("migrate/h1 failed") == 1
    assert events.count("migrate/h1 done") == 1
    assert looks[-1].last.id == last.id
    told = accounts.figures(chain, datetime.now(UTC))
    assert (told.hosts_freed, told.hosts, told.servers_moved, told.servers, told.wave) == (2, 2, 2, 2, 2)


def test_when_nothing_more_can_be_freed_the_hosts_that_stay_are_given_back_and_that_is_told(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no valid host"), times=9)
    chain = apply(desk, emptying("h1", "h2"))
    assert [link.releases for link in chain.links] == [False, False, True]
    assert (chain.state, chain.last.state) == (RunState.FAILED, RunState.DONE)
    assert accounts.exit_code(chain) == 1
    assert "enable_service/host/h1" in desk.clerk.performed()
    assert "enable_service/host/h2" not in desk.clerk.performed()
    assert [(one.host, one.outcome) for one in accounts.host_accounts(chain)] == [("h1", HostOutcome.STAYS), ("h2", HostOutcome.FREED)]
    (stays, moved) = accounts.server_accounts(chain)
    assert (stays.outcome, stays.host, stays.text) == (ServerOutcome.STAYS, "h1", "no valid host")
    assert moved.outcome is ServerOutcome.MOVED


def test_a_server_that_came_to_harm_is_told_apart_and_no_run_of_it_ends_well(desk: Desk) -> None:
    harm = Setback(failure=Failure.SERVER_ERROR, servers=("s-h1",), host="keep")
    desk.clerk.when["perform migrate/h1"] = failing(Failed("in ERROR on keep", setback=harm), times=9)
    chain = apply(desk, emptying("h1", "h2"))
    (harmed, moved) = accounts.server_accounts(chain)
    assert (harmed.outcome, harmed.text, moved.outcome) == (ServerOutcome.HARMED, "in ERROR on keep", ServerOutcome.MOVED)
    assert accounts.exit_code(chain) == 1


def test_a_run_is_drained_after_a_wave_of_hosts_and_the_rest_follows(desk: Desk) -> None:
    desk.clerk.when = {f"perform migrate/h{number}": lambda _: time.sleep(0.3) for number in range(6)}
    with desk.engine(follow=again, policy=Policy(wave_hosts=2)) as engine:
        run = engine.begin(emptying(*[f"h{number}" for number in range(6)]), concurrency=2)
        engine.wait(run)
        chain = engine.runs.chain(run)
    assert chain.state is RunState.DONE
    assert len(chain.links) >= 2
    assert chain.links[0].report.state is RunState.DRAINED
    assert 2 <= len(chain.links[0].done(Verb.DELETE_SERVICE)) < 6
    assert len(desk.clerk.performed()) - len(set(desk.clerk.performed())) <= 6, "cordons are the only thing that is done again"


def test_a_run_is_drained_early_when_too_many_hosts_fail(desk: Desk) -> None:
    names = [f"h{number}" for number in range(8)]
    desk.clerk.when = {f"perform migrate/{name}": failing(Failed("no")) for name in names[:2]}
    with desk.engine(follow=again, policy=Policy(drain_share=0.2)) as engine:
        run = engine.begin(emptying(*names), concurrency=1)
        engine.wait(run)
        chain = engine.runs.chain(run)
    first = chain.links[0]
    assert first.report.state is RunState.FAILED
    assert first.report.drained_at
    assert first.report.count(ActionState.FAILED) == 2
    assert len(first.done(Verb.DELETE_SERVICE)) < 6
    assert chain.state is RunState.DONE


def test_after_a_cancel_nothing_is_planned_and_the_hosts_are_given_back(desk: Desk) -> None:
    plan = emptying("h1", "h2")

    def cancel(_attempt) -> None:
        with open_runs(desk.url) as runs:
            assert runs.cancel(plan.id[:8]) is RunState.RUNNING

    desk.clerk.when["performed migrate/h1"] = cancel
    with desk.engine(follow=again) as engine:
        run = engine.begin(plan, concurrency=1)
        engine.wait(run)
        chain = engine.runs.chain(run)
    assert [link.report.state for link in chain.links] == [RunState.CANCELLED, RunState.DONE]
    assert chain.state is RunState.CANCELLED
    assert chain.links[1].releases
    assert chain.links[1].done(Verb.ENABLE_SERVICE) == chain.links[0].done(Verb.DISABLE_SERVICE) - chain.freed
    with open_runs(desk.url) as runs, pytest.raises(Refused, match="is over"):
        runs.cancel(run)


def test_a_cancel_between_two_runs_is_heard(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no"))

    def cancelled_meanwhile(chain: Chain, say: Say) -> FollowUp | Later | Conclusion:
        answer = again(chain, say)
        if len(chain.links) == 1 and not chain.last.cancel_asked_at:
            with open_runs(desk.url) as runs:
                assert runs.cancel(chain.id) is RunState.RUNNING
        return answer

    chain = apply(desk, emptying("h1"), follow=cancelled_meanwhile)
    assert chain.state is RunState.CANCELLED
    assert [link.releases for link in chain.links] == [False, True]


def test_what_is_concluded_is_resumed_with_a_clean_slate(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no"), times=2)
    chain = apply(desk, emptying("h1", "h2"))
    assert chain.state is RunState.FAILED
    with desk.engine(follow=again) as engine:
        engine.wait(engine.resume(chain.id))
        chain = engine.runs.chain(chain.id)
        with pytest.raises(Refused, match="is done"):
            engine.resume(chain.id)
    assert chain.state is RunState.DONE
    assert [len(chain.fresh), len(chain.links)] == [1, 4]


def test_a_run_that_waits_says_so_and_goes_on(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no"))
    said: list[str] = []
    asked: list[int] = []

    def later(chain: Chain, say: Say) -> FollowUp | Later | Conclusion:
        asked.append(1)
        return Later(seconds=0.5, text="waits a little") if len(asked) == 1 else again(chain, say)

    with desk.engine(follow=later) as engine:
        run = engine.begin(emptying("h1"))
        engine.wait(run, on_look=lambda chain: said.append(chain.last.said))
        assert engine.runs.chain(run).state is RunState.DONE
    assert len(asked) >= 2


def test_a_cloud_that_does_not_answer_between_two_runs_is_asked_again(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no"))
    fail = failing(Unreachable("old: no answer"), times=3)

    def unsteady(chain: Chain, say: Say) -> FollowUp | Later | Conclusion:
        fail(None)  # type: ignore[arg-type]
        return again(chain, say)

    assert apply(desk, emptying("h1"), follow=unsteady).state is RunState.DONE


def test_what_was_on_its_way_when_the_process_of_a_drained_run_ended_is_found_before_anything_is_planned(desk: Desk) -> None:
    on_its_way = threading.Event()

    def leave(attempt: Attempt) -> None:
        on_its_way.set()
        while not attempt.leaving():
            time.sleep(0.02)
        raise Failed("no time")

    def fail_meanwhile(_attempt: Attempt) -> None:
        assert on_its_way.wait(20)
        raise Failed("no")

    desk.clerk.when = {"perform migrate/h1": fail_meanwhile, "performed migrate/h2": leave}
    with desk.engine(follow=again, policy=Policy(drain_share=0.3)) as engine:
        run = engine.begin(emptying("h1", "h2", "h3"), concurrency=2)
        assert on_its_way.wait(20)
        until = time.monotonic() + 20
        while not chain_of(desk, run).last.drained_at and time.monotonic() < until:
            time.sleep(0.05)
    desk.clerk.when.clear()
    with desk.engine(follow=again, policy=Policy(drain_share=0.3)) as engine:
        engine.wait(engine.resume(run))
        chain = engine.runs.chain(run)
    assert "s-h2" in chain.links[0].done(Verb.LIVE_MIGRATE)
    assert chain.state is RunState.DONE
    assert {one.outcome for one in accounts.server_accounts(chain)} == {ServerOutcome.MOVED}


def leave_while(desk: Desk, follow: Callable[[threading.Event], object], plan: Plan) -> str:
    """A process that ends between two runs."""
    inside = threading.Event()
    engine: Engine
    with desk.engine(follow=follow(inside), policy=Policy(drain_share=1.0)) as engine:
        run = engine.begin(plan)
        assert inside.wait(30)
    return run


def hanging(inside: threading.Event):
    def hang(_chain: Chain, say: Say) -> Conclusion:
        inside.set()
        while True:
            say("looks")  # leaves when the process ends
            time.sleep(0.05)

    return hang


def test_a_chain_whose_process_ended_between_two_runs_is_interrupted_and_resumed(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no"))
    run = leave_while(desk, hanging, emptying("h1", "h2"))
    chain = chain_of(desk, run)
    assert (chain.state, chain.last.state, len(chain.links)) == (RunState.INTERRUPTED, RunState.FAILED, 1)
    with desk.engine(follow=again) as engine:
        engine.wait(engine.resume(run))
        chain = engine.runs.chain(run)
    assert chain.state is RunState.DONE
    assert len(chain.links) == 2


def test_a_worker_goes_on_with_a_chain_whose_process_ended_between_two_runs(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no"))
    run = leave_while(desk, hanging, emptying("h1", "h2"))
    stop = threading.Event()
    with desk.engine(follow=again) as worker:
        thread = threading.Thread(target=worker.serve, args=(stop,))
        thread.start()
        deadline = time.monotonic() + 30
        while chain_of(desk, run).state is not RunState.DONE and time.monotonic() < deadline:
            time.sleep(0.1)
        stop.set()
        thread.join(timeout=20)
    assert chain_of(desk, run).state is RunState.DONE


def test_what_dbos_keeps_of_runs_that_are_over_is_taken_away(desk: Desk) -> None:
    desk.clerk.when["perform migrate/h1"] = failing(Failed("no"))
    chain = apply(desk, emptying("h1", "h2"))
    apply(desk, emptying("h3"))
    with sqlite3.connect(desk.url.removeprefix("sqlite:///")) as connection:
        left = [row[0] for row in connection.execute("SELECT workflow_uuid FROM workflow_status")]
    connection.close()
    assert [one for one in left if one.startswith(chain.id.partition("-")[0])] == []
    assert len(left) <= 1
