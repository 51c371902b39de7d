"""Live migration of one server to one host: asked for with the scheduler's check, watched until it has arrived or policy ends it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from decamp.hosts import migrations, pinning
from decamp.hosts.migrating import Journey, Means, Vigil, missing
from decamp.hosts.migrations import watched
from decamp.hosts.waiting import wait
from decamp.model.effects import Outcome
from decamp.model.errors import Failed
from decamp.model.policy import OnCancel, OnStall
from decamp.model.setbacks import Failure

Json = dict[str, Any]

ACT = "live-migration"
TASKS = frozenset({"migrating"})

RUNNING = "running"
"""How the status of a migration begins whose bytes flow; Nova adds "(post-copy)"."""
ABORT_SECONDS = 120.0
"""How long Nova may take to end a migration that it was asked to abort."""


def _request(journey: Journey) -> Json:
    """From compute 2.30 on the scheduler checks the target, as nothing is forced."""
    return {"os-migrateLive": {"host": journey.target, "block_migration": journey.options.get("block_migration", "auto")}}


def _follow(journey: Journey) -> Outcome:
    watch = _Watch(journey)
    record = wait(watch.look, f"the live migration of server {journey.server}", seconds=float("inf"), cancelled=journey.attempt.leaving)
    return Outcome(
        bytes=watch.moved,
        said=f"live-migrated from {journey.source} to {journey.target} (migration {record['id']})",
        facts={"from": journey.source, "to": journey.target, "migration": record["id"]},
    )


LIVE = Means(act=ACT, states=pinning.LIVE, tasks=TASKS, request=_request, follow=_follow)


class Progress:
    """Whether a migration converges: what remains falls below what it ever was. Before it runs, and after, nothing is to converge.

    Memory is copied in rounds, so what remains rises again and again: only its lowest mark tells (as in Nova's own
    nova.virt.libvirt.migration.should_abort).
    """

    def __init__(self, now: float) -> None:
        self._status: str | None = None
        self._lowest: int | None = None
        self._since = now

    def stalled_for(self, status: str | None, remaining: int | None, now: float) -> float:
        """Seconds since it last came nearer to its end. `remaining` bytes are null where the hypervisor does not tell."""
        falls = remaining is not None and (self._lowest is None or remaining < self._lowest)
        if falls or status != self._status or not (status or "").startswith(RUNNING):
            self._since = now
        if falls:
            self._lowest = remaining
        self._status = status
        return now - self._since


class _Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A migration is to be aborted."""

    failure: Failure
    why: str
    asked_at: float | None
    """null: its state has not allowed that so far."""
    asked_in: str | None = None
    """Its status then: before it runs, Nova may accept the request, and drop it when it is about to run."""

    def is_due(self, record: Json) -> bool:
        runs_all_the_same = record["status"] == RUNNING and self.asked_in != RUNNING
        return self.asked_at is None or runs_all_the_same


class _Watch:
    """One live migration, from the request to its end."""

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        self._vigil = Vigil(journey, ACT, TASKS)
        self._deadline = time.monotonic() + journey.policy.migration_timeout_seconds
        self._progress = Progress(time.monotonic())
        self._forced_at: float | None = None
        self._ending: _Ending | None = None
        self.moved = 0
        """Bytes."""

    def look(self) -> Json | None:
        """The record of the migration once it is proved to be over; null: not yet. Raises Failed, and Gone."""
        journey = self._journey
        # the record first: a server that is looked at after it was completed must have arrived
        record = journey.record()
        server = watched(journey.cloud, journey.server)
        if not missing(server, record, journey.target, TASKS):
            return record
        try:
            self._vigil.look(server, record)
        except Failed as failed:
            raise self._told(failed) from failed
        self._steer(server, record, self._stalled_seconds(record))
        return None

    def _told(self, failed: Failed) -> Failed:
        """Where Nova says that somebody aborted it, it was we, if we have asked for that."""
        if self._ending and failed.setback and failed.setback.failure is Failure.ABORTED:
            return self._journey.failed(self._ending.failure, f"{failed.message} It was aborted, since {self._ending.why}.")
        return failed

    def _stalled_seconds(self, record: Json | None) -> float:
        figures = record and migrations.figures(self._journey.cloud, self._journey.server, record["id"])
        whole = remaining = 0
        if figures:
            whole, remaining = (sum(figures[f"{what}_{part}_bytes"] or 0 for what in ("memory", "disk")) for part in ("total", "remaining"))
            self.moved = max(self.moved, sum(figures[f"{what}_processed_bytes"] or 0 for what in ("memory", "disk")))
        if whole:
            self._journey.attempt.progress(whole - remaining, whole)
        return self._progress.stalled_for(record["status"] if record else None, remaining if whole else None, time.monotonic())

    def _steer(self, server: Json, record: Json | None, stalled_seconds: float) -> None:
        """What policy says about a migration that is cancelled, takes too long, or does not converge."""
        policy = self._journey.policy
        if self._ending:
            self._abort(server, record, self._ending)
        elif self._journey.attempt.cancelled() and policy.on_cancel is OnCancel.ABORT:
            self._end(server, record, Failure.ABORTED, "the run was cancelled")
        elif time.monotonic() > self._deadline:
            why = f"it did not end within {policy.migration_timeout_seconds:.0f} s"
            if policy.on_stall is OnStall.WAIT:
                raise self._too_late(server, record, f"{why}. Nova goes on with it")
            self._end(server, record, Failure.TIMED_OUT, why)
        elif stalled_seconds > policy.stall_seconds:
            self._unstall(server, record, f"it came no nearer to its end for {policy.stall_seconds:.0f} s")

    def _unstall(self, server: Json, record: Json | None, why: str) -> None:
        match self._journey.policy.on_stall:
            case OnStall.WAIT:
                pass
            case OnStall.ABORT_AND_PIN:
                self._end(server, record, Failure.PINNED, f"{why}, and policy says not to try it again")
            case OnStall.ABORT_AND_RETRY:
                self._end(server, record, Failure.STALLED, why)
            case OnStall.FORCE_COMPLETE:
                self._force(server, record, why)

    def _force(self, server: Json, record: Json | None, why: str) -> None:
        now = time.monotonic()
        if self._forced_at is None:
            self._forced_at = now if record and migrations.force_complete(self._journey.cloud, record) else None
        elif now - self._forced_at > self._journey.policy.stall_seconds:
            self._end(server, record, Failure.STALLED, f"{why}, though Nova was told to complete it")

    def _end(self, server: Json, record: Json | None, failure: Failure, why: str) -> None:
        self._abort(server, record, _Ending(failure=failure, why=why, asked_at=None))

    def _abort(self, server: Json, record: Json | None, ending: _Ending) -> None:
        """Asks once, and again where it runs all the same; what cannot be aborted now may be later, or comes to its end.

        Raises Failed where neither happens in time.
        """
        now = time.monotonic()
        if record and ending.is_due(record) and migrations.abort(self._journey.cloud, record):
            ending = msgspec.structs.replace(ending, asked_at=now, asked_in=record["status"])
        self._ending = ending
        if now > max(self._deadline, ending.asked_at or 0) + ABORT_SECONDS:
            done = "Nova was asked to abort it, and does not" if ending.asked_at else "its state does not let it be aborted"
            raise self._too_late(server, record, f"{ending.why}; {done}")

    def _too_late(self, server: Json, record: Json | None, why: str) -> Failed:
        journey, number = self._journey, record["id"] if record else "MIGRATION"
        return journey.failed(
            Failure.TIMED_OUT,
            f"The live migration of {server['name']} from {journey.source} to {journey.target} is not over: {why}. "
            f"Still: {'; '.join(missing(server, record, journey.target, TASKS))}. Wait and resume, or end it with "
            f"`openstack server migration force complete {journey.server} {number}` or `... abort {journey.server} {number}`.",
        )
