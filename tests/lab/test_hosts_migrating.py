"""Every end that a migration can have, on a real Nova whose hypervisors fail on demand: each is stated, and none is half-way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hosts_ground import Ground

from decamp.hosts import emptiness, migrating, migrations, placement
from decamp.hosts.cold_migration import COLD
from decamp.hosts.live_migration import LIVE
from decamp.hosts.migrating import Means, Migrate
from decamp.hosts.reading import read_service, show_server
from decamp.lab import machines
from decamp.lab.layout import Lab
from decamp.lab.machines import Fault
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action, Verb
from decamp.model.policy import OnCancel, OnStall, Policy
from decamp.model.refs import Ref
from decamp.model.setbacks import Failure, Retry, Setback

pytestmark = pytest.mark.lab

HOST, TASK = "OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state"
BRISK = Policy(stall_seconds=4, migration_timeout_seconds=90)


@pytest.fixture(scope="module")
def ground(lab: Lab) -> Iterator[Ground]:
    ground = Ground(lab.folder)
    yield ground
    ground.close()


class Trial:
    """One server, on a host with a fault, and the host that it is to go to."""

    def __init__(self, ground: Ground, server: Ref, source: str, target: str) -> None:
        self.ground, self.server, self.source, self.target = ground, server, source, target

    def migrate(self, policy: Policy = BRISK, means: Means = LIVE, cancelled: Callable[[], bool] = lambda: False) -> Outcome:
        """As the executor does it: perform, then verify."""
        performer, attempt = Migrate(self.ground.old, policy, means), self.attempt(cancelled)
        outcome = performer.perform(self.action, attempt)
        assert performer.verify(self.action, outcome, attempt) == ()
        return outcome

    def fails(self, policy: Policy = BRISK, means: Means = LIVE, cancelled: Callable[[], bool] = lambda: False) -> tuple[Setback, str]:
        with pytest.raises(Failed) as caught:
            self.migrate(policy, means, cancelled)
        assert caught.value.setback is not None
        assert caught.value.setback.servers == (self.server.id,)
        return caught.value.setback, caught.value.message

    def attempt(self, cancelled: Callable[[], bool]) -> Attempt:
        return msgspec.structs.replace(self.ground.attempt(), cancelled=cancelled)

    @property
    def action(self) -> Action:
        return Action(id="x", verb=Verb.LIVE_MIGRATE, target=self.server, args={"from": self.source, "to": self.target})

    @property
    def now(self) -> tuple[str, str, str | None]:
        there = show_server(self.ground.old, self.server.id)
        assert there is not None
        return there[HOST], there["status"], there[TASK]

    @property
    def record(self) -> dict[str, Any]:
        return migrations.of_server(self.ground.old, self.server.id)[0]


@contextmanager
def trial(ground: Ground, *, stopped: bool = False, at_source: dict[Fault, bool | float] | None = None, at_target: Fault | None = None):
    source, target = ground.two_hosts()
    machines.set_faults(ground.lab, source, at_source or {})
    machines.set_faults(ground.lab, target, {at_target: True} if at_target else {})
    try:
        with ground.server_on(source, stopped=stopped) as server:
            yield Trial(ground, server, source, target)
    finally:
        for host in (source, target):
            machines.set_faults(ground.lab, host, {})
            release_orphans(ground, host)


def release_orphans(ground: Ground, host: str) -> None:
    """What a broken migration held, Nova does not give back when its server is deleted."""
    provider = placement.by_name(ground.old, host)
    for consumer in (placement.held(ground.old, provider) or {}) if provider else ():
        if show_server(ground.old, consumer) is None:
            placement.release(ground.old, consumer)


@contextmanager
def meanwhile(one: Trial, act: Callable[[], object]) -> Iterator[None]:
    """Somebody else does something once the server's migration runs."""

    def once_it_runs() -> None:
        one.ground.until(lambda: any(record["status"] == "running" for record in migrations.of_server(one.ground.old, one.server.id)))
        act()

    other = threading.Thread(target=once_it_runs)
    other.start()
    yield
    other.join()


STALLS: dict[Fault, bool | float] = {Fault.LIVE_MIGRATION_STALLS: True, Fault.LIVE_MIGRATION_SLOW: 3}


def policy(on_stall: OnStall = OnStall.WAIT, **fields: Any) -> Policy:
    return msgspec.structs.replace(BRISK, on_stall=on_stall, **fields)


@pytest.mark.parametrize(
    ("on_stall", "failure", "retry"),
    [(OnStall.ABORT_AND_RETRY, Failure.STALLED, Retry.LATER), (OnStall.ABORT_AND_PIN, Failure.PINNED, Retry.NEVER)],
)
def test_a_guest_that_does_not_converge_is_aborted_and_stays(ground: Ground, on_stall: OnStall, failure: Failure, retry: Retry) -> None:
    with trial(ground, at_source=STALLS) as one:
        setback, text = one.fails(policy(on_stall))
        assert (setback.failure, setback.failure.retry) == (failure, retry)
        assert "ended as cancelled" in text
        assert "it came no nearer to its end for 4 s" in text
        assert one.now == (one.source, "ACTIVE", None)


def test_a_guest_that_does_not_converge_is_forced_where_policy_says_so(ground: Ground) -> None:
    with trial(ground, at_source=STALLS) as one:
        outcome = one.migrate(policy(OnStall.FORCE_COMPLETE))
        assert outcome.bytes > 0
        assert one.now == (one.target, "ACTIVE", None)


def test_a_slow_guest_that_converges_is_left_to_it(ground: Ground) -> None:
    with trial(ground, at_source={Fault.LIVE_MIGRATION_SLOW: 12}) as one:
        one.migrate(policy(OnStall.ABORT_AND_PIN))
        assert one.now == (one.target, "ACTIVE", None)


def test_what_does_not_end_in_time_is_told_and_left_to_nova_where_policy_says_wait(ground: Ground) -> None:
    with trial(ground, at_source=STALLS) as one:
        setback, text = one.fails(policy(migration_timeout_seconds=15))
        assert setback.failure is Failure.TIMED_OUT
        assert f"force complete {one.server.id} {one.record['id']}" in text
        ground.until(lambda: one.record["status"] == "running")
        assert migrations.abort(ground.old, one.record)
        ground.until(lambda: one.record["status"] == "cancelled")


def test_what_does_not_end_in_time_is_aborted_where_policy_aborts(ground: Ground) -> None:
    with trial(ground, at_source=STALLS) as one:
        setback, _ = one.fails(policy(OnStall.ABORT_AND_RETRY, stall_seconds=600, migration_timeout_seconds=6))
        assert setback.failure is Failure.TIMED_OUT
        assert one.now == (one.source, "ACTIVE", None)


def test_a_cancel_waits_for_the_end_of_a_migration_so_that_none_is_left_half_way(ground: Ground) -> None:
    with trial(ground, at_source={Fault.LIVE_MIGRATION_SLOW: 6}) as one:
        one.migrate(cancelled=lambda: True)
        assert one.now == (one.target, "ACTIVE", None)


def test_a_cancel_aborts_a_migration_where_policy_says_so(ground: Ground) -> None:
    with trial(ground, at_source={Fault.LIVE_MIGRATION_SLOW: 60}) as one:
        setback, text = one.fails(policy(on_cancel=OnCancel.ABORT), cancelled=lambda: True)
        assert setback.failure is Failure.ABORTED
        assert "the run was cancelled" in text
        assert one.now == (one.source, "ACTIVE", None)


def test_a_migration_that_somebody_else_aborts_is_told(ground: Ground) -> None:
    with trial(ground, at_source={Fault.LIVE_MIGRATION_SLOW: 60}) as one:
        with meanwhile(one, lambda: migrations.abort(ground.old, one.record)):
            setback, _ = one.fails()
        assert (setback.failure, setback.failure.retry) == (Failure.ABORTED, Retry.LATER)


def test_a_server_that_its_owner_deletes_meanwhile_is_no_failure(ground: Ground) -> None:
    with trial(ground, at_source={Fault.LIVE_MIGRATION_SLOW: 20}) as one:
        provider = placement.by_name(ground.old, one.source)
        assert provider
        others = (placement.held(ground.old, provider) or {}).keys() - {one.server.id}
        with meanwhile(one, lambda: ground.old.connection.compute.delete_server(one.server.id)):
            outcome = one.migrate()
        assert outcome.facts == {"gone": True}
        assert "nothing is left to migrate" in outcome.said
        assert (placement.held(ground.old, provider) or {}).keys() == others


def test_a_server_that_was_deleted_before_is_no_failure(ground: Ground) -> None:
    with trial(ground) as one:
        ground.old.connection.compute.delete_server(one.server.id)
        ground.until(lambda: show_server(ground.old, one.server.id) is None)
        assert one.migrate().facts == {"gone": True}


@pytest.mark.parametrize(
    ("means", "at_source", "at_target"),
    [
        (LIVE, Fault.LIVE_MIGRATION_ROLLS_BACK, None),
        (LIVE, None, Fault.PRE_LIVE_MIGRATION_FAILS),
        (COLD, Fault.COLD_MIGRATION_ROLLS_BACK, None),
    ],
)
def test_a_migration_that_is_rolled_back_leaves_the_server_and_is_worth_another_host(
    ground: Ground, means: Means, at_source: Fault | None, at_target: Fault | None
) -> None:
    with trial(ground, stopped=means is COLD, at_source={at_source: True} if at_source else None, at_target=at_target) as one:
        setback, text = one.fails(means=means)
        assert (setback.failure, setback.failure.retry, setback.host) == (Failure.ROLLED_BACK, Retry.ELSEWHERE, one.target)
        assert "may go to another host" in text
        assert one.now == (one.source, "SHUTOFF" if means is COLD else "ACTIVE", None)


@pytest.mark.parametrize(
    ("means", "at_source", "at_target"),
    [
        (LIVE, Fault.LIVE_MIGRATION_BREAKS, None),
        (COLD, None, Fault.FINISH_MIGRATION_FAILS),
        (COLD, Fault.CONFIRM_MIGRATION_FAILS, None),
    ],
)
def test_a_server_that_a_migration_leaves_in_error_is_reported_and_never_reset(
    ground: Ground, means: Means, at_source: Fault | None, at_target: Fault | None
) -> None:
    with trial(ground, stopped=means is COLD, at_source={at_source: True} if at_source else None, at_target=at_target) as one:
        setback, text = one.fails(means=means)
        assert (setback.failure, setback.failure.retry) == (Failure.SERVER_ERROR, Retry.NEVER)
        assert "Decamp resets nothing" in text
        assert one.now[1:] == ("ERROR", None)


def test_a_host_that_nova_does_not_take_for_a_target_is_to_be_avoided(ground: Ground) -> None:
    with trial(ground) as one:
        one.target = one.source
        assert one.fails()[0].failure is Failure.NO_VALID_HOST
        one.target = "nowhere"
        setback, text = one.fails()
        assert (setback.failure, setback.host) == (Failure.TARGET_DOWN, "nowhere")
        assert "could not be found" in text


def test_a_migration_under_way_holds_both_hosts(ground: Ground) -> None:
    with trial(ground, at_source={Fault.LIVE_MIGRATION_SLOW: 20}) as one:
        held: list[set[str]] = []

        def look() -> None:
            providers = (placement.by_name(ground.old, host) or "" for host in (one.source, one.target))
            held.extend(set(placement.held(ground.old, provider) or {}) for provider in providers)

        with meanwhile(one, look):
            one.migrate()
        assert one.record["uuid"] in held[0]
        assert one.server.id in held[1]


def test_nova_keeps_members_of_an_anti_affinity_group_apart_as_the_checker_does(ground: Ground) -> None:
    compute = ground.old.connection.compute
    body = {"server_group": {"name": "hosts-test", "policy": "anti-affinity"}}
    group = compute.post("/os-server-groups", json=body).json()["server_group"]["id"]
    source, target = ground.two_hosts()
    try:
        with ground.server_on(source, group=group) as server, ground.server_on(target, group=group):
            one = Trial(ground, server, source, target)
            setback, _ = one.fails()
            assert (setback.failure, setback.host) == (Failure.NO_VALID_HOST, target)
            assert one.now == (source, "ACTIVE", None)
    finally:
        compute.delete(f"/os-server-groups/{group}")


def test_a_server_that_is_not_what_it_was_is_planned_again(ground: Ground) -> None:
    with trial(ground, stopped=True) as one:
        with pytest.raises(Changed, match="is SHUTOFF on") as caught:
            one.migrate()
        assert caught.value.setback is not None
        assert caught.value.setback.failure is Failure.SERVER_CHANGED


def test_a_locked_server_can_be_migrated_by_an_admin_and_stays_locked(ground: Ground) -> None:
    with trial(ground) as one:
        ground.act(one.server, {"lock": {"locked_reason": "payroll"}})
        one.migrate()
        assert one.now == (one.target, "ACTIVE", None)
        assert ground.server(one.server.id)["locked_reason"] == "payroll"


def test_a_paused_server_is_migrated_live_and_stays_paused(ground: Ground) -> None:
    with trial(ground) as one:
        ground.act(one.server, {"pause": None})
        ground.until(lambda: one.now == (one.source, "PAUSED", None))
        one.migrate()
        assert one.now == (one.target, "PAUSED", None)


@pytest.mark.parametrize(("verb", "status"), [("suspend", "SUSPENDED"), ("rescue", "RESCUE"), ("os-stop", "SHUTOFF"), ("pause", "PAUSED")])
def test_a_server_in_any_state_keeps_its_host_from_being_empty(ground: Ground, verb: str, status: str) -> None:
    with trial(ground) as one:
        ground.act(one.server, {verb: None})
        ground.until(lambda: one.now == (one.source, status, None))
        service = read_service(ground.old, one.source)
        assert service
        left = emptiness.what_is_left(ground.old, service)
        assert f"server {one.server.id} (hosts-test) is on it, {status}" in left


def test_a_source_that_dies_during_a_migration_is_told_and_its_server_is_found_when_it_is_back(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "DOWN_SECONDS", 1.0)
    with trial(ground, at_source={Fault.LIVE_MIGRATION_SLOW: 300}) as one:
        try:
            with meanwhile(one, lambda: machines.kill_compute(ground.lab, one.source, nova_runs=True)):
                setback, text = one.fails(policy(stall_seconds=600, migration_timeout_seconds=300))
        finally:
            machines.set_compute_enabled(ground.lab, one.source, True, nova_runs=True)
        assert (setback.failure, setback.failure.retry, setback.host) == (Failure.SOURCE_DOWN, Retry.LATER, one.source)
        assert "start it, then resume" in text
        ground.until(lambda: one.now == (one.source, "ACTIVE", None))
