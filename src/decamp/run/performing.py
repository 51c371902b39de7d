"""One action from its claim to its end: locks, find what a crash left, compare, perform, journal, verify."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.errors import Changed, Error, Failed, Refused, Unanswered, Unreachable
from decamp.model.ledger import Entry
from decamp.model.limits import UNLIMITED, Limits, Move, project_of
from decamp.model.plan import LEAVES_ITS_HOST, Action, Plan, Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionState, error_kind
from decamp.model.timing import ALWAYS, Schedule
from decamp.run import journal, locks, workers
from decamp.run.attention import Attention, Seen
from decamp.run.database import Database, timestamp
from decamp.run.journal import ActionEnd, Claim, Fenced
from decamp.run.ledger import Ledger, facts_of, ids_between
from decamp.run.pacing import Rations, Turnstile
from decamp.run.patience import Patience
from decamp.run.queueing import require_turn
from decamp.run.redacting import without_secrets

LOCK_POLL_SECONDS = 0.5
FIND_POLL_SECONDS = 2.0
"""Between two looks for what a request without an answer asked for."""
TELL_SECONDS = 1.0
"""How often progress is written."""

TAKEN_BACK = {
    Verb.REMOVE: (Verb.CREATE, Verb.TAKE_MEMBER),
    Verb.START_SERVER: (Verb.STOP_SERVER,),
    Verb.UNLOCK_SERVER: (Verb.LOCK_SERVER,),
}
"""What takes back -> what is taken back."""

GONE = {"gone": True}
"""Facts of such an outcome."""

TakeBack = Callable[[Plan, tuple[Entry, ...], str, Ref], tuple[tuple[Action, ...], tuple[Refusal, ...]]]
"""(plan, ledger, run, server) -> what takes back all that was done for that server alone, and what has to stay."""

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class Stopped(BaseException):
    """This execution leaves its action as it is: its process ends, or another worker has taken it over. Nothing is recorded."""


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker performs actions with."""

    database: Database
    performers: Mapping[Verb, Performer]
    worker: str
    old: str
    """Names of the clouds: the ledger is kept for the pair."""
    new: str
    patience: Patience = Patience()
    attention: Attention
    turnstile: Turnstile
    rations: Rations
    take_back: TakeBack | None = None
    """Without it, what was done for a server stays when a hook of it fails."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """What schedules are kept by."""
    stopping: Callable[[], bool] = lambda: False
    """Whether this process is about to end, or was taken for dead."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One action of one run."""

    run: str
    round: int
    action: Action
    plan: Plan
    sources: tuple[str, ...]
    """Runs whose facts it may read, the one that counts most last: its own, and what it undoes, confirms or follows."""
    bytes: int = 0
    """What a migration is expected to take."""
    bytes_per_second: int | None = None
    """What those of all runs may take in total."""
    limits: Limits = UNLIMITED
    move: Move | None = None
    """That it is a part of, where the number of moves at a time is limited."""
    schedule: Schedule = ALWAYS
    """When it may begin, and who goes first where others wait for the same."""
    settle: bool = False
    """Only find out what earlier attempts left behind; begin nothing."""


def perform_action(office: Office, job: Job) -> ActionState:
    """Bring the action to its end, whatever earlier attempts did. Raises Stopped, and errors of the state database."""
    token = uuid.uuid4().hex
    claim = office.database.steadily(
        lambda: journal.claim(office.database, job.run, job.round, job.action.id, token=token, worker=office.worker, settle=job.settle)
    )
    if not isinstance(claim, Claim):
        return claim
    return _Execution(office, job, token).go(claim)


def mark_of(run: str, action: str) -> str:
    """Equal for every attempt of an action in a run, and for no other."""
    return "decamp-" + hashlib.sha256(f"{run} {action}".encode()).hexdigest()[:16]


class _Cancelled(Exception):
    """Somebody asked to stop the run, and this is a safe point."""


class _Closed(Exception):
    """The time in which it may begin is over, and it has not begun."""


class _Execution:
    """One execution of one action, by one thread. Another that takes over has another token, and fences this one."""

    def __init__(self, office: Office, job: Job, token: str) -> None:
        self._office, self._job, self._token = office, job, token
        self._action = job.action
        self._performer = office.performers[job.action.verb]
        self._attempt = self._new_attempt(job.action.id)
        self._began = time.monotonic()
        self._told_at = float("-inf")
        self._has_begun = False
        self._unanswered_at: float | None = None
        """By time.monotonic(): until then a request may have been sent that had no answer."""

    def go(self, claim: Claim) -> ActionState:
        self._attempt = self._new_attempt(self._action.id, claim.number)
        ago = claim.asked_seconds_ago
        if ago is not None and ago < self._office.patience.arrives_seconds:
            self._unanswered_at = time.monotonic() - ago
        try:
            end = claim.failed or self._go(claim)
            if end and end.state is ActionState.FAILED and self._action.verb is Verb.RUN_HOOK:
                end = self._call_off(end)
        except Fenced as error:
            raise Stopped from error
        if end is None:
            self._write(lambda: journal.finish(self._office.database, self._job.run, self._action, self._token, new=self._office.new))
            return ActionState.DONE
        if self._job.settle:
            return journal.end_settling(self._office.database, self._job.run, self._action.id, self._token)
        answered = self._unanswered_at is None
        self._write(lambda: journal.end_badly(self._office.database, self._job.run, self._action.id, self._token, end, answered=answered))
        return end.state

    def _go(self, claim: Claim) -> ActionEnd | None:
        """None: done. Errors of the performer become how it ended; the state database's go through."""
        self._has_begun = claim.tried or claim.recorded or self._job.settle
        try:
            outcome = self._outcome(claim)
            if outcome.facts == GONE:
                return None
            differences = self._patiently(lambda: self._call(lambda: self._performer.verify(self._action, outcome, self._attempt)))
            if differences and not self._is_gone():
                return self._ended_with(Failed(f"it was made, but is not what the plan asks for: {'; '.join(differences)}"))
        except _Cancelled as cancelled:
            return ActionEnd(state=ActionState.CANCELLED, error=str(cancelled) or None)
        except _Told as told:
            return self._ended_with(told.error)
        return None

    def _call_off(self, end: ActionEnd) -> ActionEnd:
        """A hook failed: that is journaled, then all that was done for its server is taken back, so that the old one runs again.

        After a crash in between the hook is not run again, and the rest is taken back.
        """
        office, job = self._office, self._job
        if office.take_back is None:
            return end
        self._tell(error=without_secrets(end.error or ""), error_kind=end.kind, said="takes back what was done for the server")
        entries = self._steadily(lambda: Ledger(office.database).everything())
        actions, refusals = office.take_back(job.plan, entries, job.run, self._action.target)
        told = "What was done for the server is taken back, and the old one is as it was."
        try:
            for action in actions:
                self._take_back(action)
        except (_Told, _Cancelled) as error:
            told = f"It could not all be taken back ({error}): `decamp undo {job.run}` does the rest."
        self._repeat_hooks()
        return msgspec.structs.replace(end, error=" ".join([f"{end.error}.", told, *(one.text for one in refusals)]))

    def _repeat_hooks(self) -> None:
        """Hooks of the server, or of its stack, that went well are run again as well: what they stood between is done anew, in the same
        order."""
        own, stack = self._action, self._action.args.get("stack")
        for action in self._job.plan.actions:
            is_taken_back = action.target == own.target or (stack is not None and action.args.get("stack") == stack)
            if action.verb is Verb.RUN_HOOK and is_taken_back and action.id != own.id:
                self._strike(action)

    def _take_back(self, action: Action) -> None:
        """As a run of its own would: looked for first, performed, verified; then what it takes back waits to be done anew."""
        performer = self._office.performers[action.verb]
        attempt = self._new_attempt(action.id)

        def bring_about() -> Outcome:
            return performer.find(action, attempt) or performer.perform(action, attempt)

        outcome = self._patiently(lambda: self._call(bring_about))
        if differences := self._patiently(lambda: self._call(lambda: performer.verify(action, outcome, attempt))):
            raise _Told(Failed("; ".join(differences)))
        for done in self._job.plan.actions:
            if done.verb in TAKEN_BACK[action.verb] and done.target == action.target:
                self._strike(done)

    def _strike(self, action: Action) -> None:
        self._write(partial(journal.taken_back, self._office.database, self._job.run, self._action.id, self._token, action.id))

    def _outcome(self, claim: Claim) -> Outcome:
        """As it is journaled, else the effect, journaled. Where it is closing time before that begins, its locks are given back."""
        self._require_turn()
        while True:
            self._take_locks()
            if claim.recorded and (outcome := self._recorded()):
                return outcome
            try:
                outcome = self._effect(tried=claim.tried)
            except _Closed:
                self._steadily(lambda: locks.give_back(self._office.database, self._job.run, self._action.id))
                continue
            self._record(outcome)
            return outcome

    def _require_turn(self) -> None:
        """The walk has asked for it; where it cannot be had, the walk lets the action begin all the same, so that it is told here."""
        job = self._job
        if job.move is None or self._has_begun:
            return
        move, database = job.move, self._office.database
        try:
            self._steadily(lambda: require_turn(database, job.run, move, job.limits, job.schedule.priority))
        except Refused as error:
            raise _Told(error) from error

    def _await_opening(self) -> None:
        """Until the schedule lets it begin."""
        said = ""
        while opens_at := self._opens_at():
            if said != (said := f"waits until {self._job.schedule.shown(opens_at)}"):
                self._tell(said=said)
            self._stop_if_drained()
            self._sleep(LOCK_POLL_SECONDS)
        if said:
            self._tell(said="")

    def _opens_at(self) -> datetime | None:
        return None if self._has_begun else self._job.schedule.opens_at(self._office.clock())

    def _stop_if_closed(self) -> None:
        if self._opens_at():
            raise _Closed

    def _ended_with(self, error: Exception) -> ActionEnd:
        """Asked to stop, a performer says so with an error: then the action is cancelled, not failed."""
        self._leave_if_stopping()
        if isinstance(error, Error) and self._cancelled():
            return ActionEnd(state=ActionState.CANCELLED, error=str(error), setback=error.setback)
        kind = error_kind(error)
        if kind == "bug":
            _log.debug("run %s: %s", self._job.run, self._action.id, exc_info=error)
            return ActionEnd(
                state=ActionState.FAILED, error=f"a defect in Decamp, please report it: {type(error).__name__}: {error}", kind=kind
            )
        setback = error.setback if isinstance(error, Error) else None
        return ActionEnd(state=ActionState.FAILED, error=str(error), kind=kind, setback=setback)

    def _take_locks(self) -> None:
        began = time.monotonic()
        said = False
        while holder := self._take():
            if not said and holder.run:
                self._tell(said=f"waits for {holder.name}, which {holder.action} of run {holder.run} has")
                said = True
            self._stop_if_drained()
            if time.monotonic() - began > 2 * workers.DEAD_AFTER_SECONDS and self._is_orphaned(holder):
                raise _Told(
                    Refused(
                        f"{holder.name} is held by {holder.action} of run {holder.run}, which was interrupted: "
                        f"`decamp resume {holder.run}` or `decamp cancel {holder.run}` first"
                    )
                )
            self._sleep(LOCK_POLL_SECONDS)

    def _take(self) -> locks.Holder | None:
        self._await_opening()
        database, priority = self._office.database, self._job.schedule.priority
        return self._steadily(lambda: locks.take(database, self._action.locks, self._job.run, self._action.id, priority))

    def _is_orphaned(self, holder: locks.Holder) -> bool:
        if not holder.run:
            return False
        with self._office.database.reading() as connection:
            return not workers.live_for(connection, holder.run)

    def _effect(self, *, tried: bool) -> Outcome:
        """The effect, found or brought about. After no answer everything is looked at anew: the call may have arrived."""
        begun: dict[str, str] = {}

        def bring_about() -> Outcome:
            nonlocal tried
            if tried:
                if (found := self._found_in_time()) is not None:
                    return found
                tried = False
                self._write(lambda: journal.settle(self._office.database, self._job.run, self._action.id, self._token))
            if self._job.settle:
                raise _Cancelled
            self._stop_if_drained()
            self._await_turn()
            self._stop_if_closed()
            self._compare()
            tried = self._has_begun = True
            begun.setdefault("started_at", timestamp())
            self._tell(tried=True, asked_at=time.time(), **begun)
            return self._performed()

        try:
            return self._patiently(bring_about)
        except _Told as told:
            if isinstance(told.error, Unreachable) or not self._is_gone():
                raise
            return Outcome(said=f"{self._action.target} is gone: nothing to migrate", facts=GONE)

    def _performed(self) -> Outcome:
        """Where asking again is refused, what the request before has made meanwhile may be why."""
        was_answered = self._unanswered_at is None
        try:
            outcome = self._call(lambda: self._performer.perform(self._action, self._attempt))
        except _Told as told:
            self._unanswered_at = time.monotonic() if isinstance(told.error, Unanswered) else None
            if was_answered or isinstance(told.error, Unreachable) or self._cancelled():
                raise
            with contextlib.suppress(_Told):
                if (found := self._found()) is not None:
                    return found
            raise
        self._unanswered_at = None
        return outcome

    def _found_in_time(self) -> Outcome | None:
        """What earlier attempts have brought about. A request that had no answer is given the time to become visible."""
        while True:
            found = self._found()
            if found is not None or not self._may_arrive():
                return found
            self._sleep(FIND_POLL_SECONDS)

    def _may_arrive(self) -> bool:
        at = self._unanswered_at
        return at is not None and time.monotonic() < at + self._office.patience.arrives_seconds

    def _found(self) -> Outcome | None:
        return self._call(lambda: self._performer.find(self._action, self._attempt))

    def _await_turn(self) -> None:
        """Until the rate lets this migration begin."""
        rate = self._job.bytes_per_second
        if rate is None or self._action.verb not in LEAVES_ITS_HOST:
            return
        said = False

        def wait(seconds: float) -> None:
            nonlocal said
            if not said:
                self._tell(said=f"waits for its turn: migrations take {rate / 1e6:.4g} MB/s in total")
                said = True
            self._stop_if_drained()
            self._stop_if_closed()
            time.sleep(seconds)

        self._office.turnstile.enter(self._job.bytes, rate, wait)
        if said:
            self._tell(said="")

    def _is_gone(self) -> bool:
        """Whether a server that was to leave its host is not there any more: then it has left."""
        if self._action.verb not in LEAVES_ITS_HOST or self._action.expects is None:
            return False
        try:
            return self._call(lambda: self._performer.fingerprint(self._action)) is None
        except _Told:
            return False

    def _compare(self) -> None:
        if self._action.expects is None:
            return
        now = self._call(lambda: self._performer.fingerprint(self._action))
        if now is None:
            raise _Told(Changed(f"{self._action.target} is not there any more: make a new plan"))
        if now != self._action.expects:
            raise _Told(Changed(f"{self._action.target} has changed since the plan was made: make a new plan"))

    def _record(self, outcome: Outcome) -> None:
        office, job = self._office, self._job
        if job.bytes_per_second and outcome.bytes > job.bytes:
            self._steadily(lambda: office.turnstile.charge(outcome.bytes - job.bytes, job.bytes_per_second or 1))
        try:
            self._write(
                lambda: journal.record(office.database, job.run, self._action, self._token, outcome, old=office.old, new=office.new)
            )
        except Fenced:
            self._warn_of_double(outcome)
            raise

    def _warn_of_double(self, outcome: Outcome) -> None:
        """This worker was taken for dead in the middle of a call, and came back with a result that nobody waits for any more."""
        if outcome.id is None or outcome.adopted:
            return
        kept = Ledger(self._office.database).outcome(self._job.run, self._action.id)
        if kept is None or kept.id != outcome.id:
            text = f"a worker that was taken for dead has made {outcome.id} in {self._office.new} too: remove it, if the ledger has another"
            journal.warn(self._office.database, self._job.run, self._action.id, text)

    def _recorded(self) -> Outcome | None:
        return self._steadily(lambda: Ledger(self._office.database).outcome(self._job.run, self._action.id))

    def _patiently(self, call: Callable[[], Result]) -> Result:
        """Again and again while a service does not answer, as long as patience lasts."""
        first: float | None = None
        failures = 0
        while True:
            try:
                return call()
            except _Told as told:
                if not isinstance(told.error, Unreachable):
                    raise
                now = time.monotonic()
                first = first or now
                failures += 1
                pause = self._office.patience.pause(failures, now - first)
                if pause is None:
                    raise
                self._stop_if_asked(str(told.error))
                doubt = {} if self._unanswered_at is None else {"asked_at": time.time()}
                self._tell(said=f"no answer, tried {failures} times, once more in {pause:.0f} s: {told.error}", **doubt)
                self._sleep(pause)

    def _call(self, call: Callable[[], Result]) -> Result:
        """Call the performer; what it raises is kept apart from what the state database raises."""
        self._leave_if_stopping()
        try:
            return call()
        except Exception as error:
            self._leave_if_stopping()
            raise _Told(error) from error

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._stop_if_asked()
            time.sleep(min(left, 0.2))

    def _stop_if_asked(self, error: str = "") -> None:
        """Raises Stopped if this process ends or is fenced, _Cancelled if somebody cancelled the run."""
        cancelled = self._cancelled()
        self._leave_if_stopping()
        if cancelled:
            raise _Cancelled(error)

    def _leave_if_stopping(self) -> None:
        if self._leaving():
            raise Stopped

    def _stop_if_drained(self) -> None:
        """As `_stop_if_asked`; also where nothing more of the run is to begin."""
        self._stop_if_asked()
        if (seen := self._seen()) and seen.drained and not self._job.settle:
            raise _Cancelled("It had not begun when the run was drained: what follows plans it anew.")

    def _cancelled(self) -> bool:
        """Whether to stop at the next safe point: somebody cancelled the run, this process ends, or another has taken over."""
        seen = self._seen()
        return bool(seen and seen.cancel_asked and not self._job.settle) or self._leaving()

    def _leaving(self) -> bool:
        return self._is_fenced() or self._office.stopping()

    def _is_fenced(self) -> bool:
        """An action that is settled is not running, and only its writes are fenced."""
        seen = self._seen()
        return bool(seen and not self._job.settle and seen.holders.get(self._action.id) != self._token)

    def _seen(self) -> Seen | None:
        """How the run stands; null: nobody has looked since this execution began."""
        seen = self._office.attention.look(self._job.run)
        return seen if seen and seen.began > self._began else None

    def _progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told_at < TELL_SECONDS and done < total:
            return
        self._told_at = now
        try:
            self._tell(progress_done=int(done), progress_total=int(total), asked_at=time.time())
        except (Error, Fenced):
            _log.debug("progress of %s was not written", self._action.id, exc_info=True)

    def _new_attempt(self, action: str, number: int = 1) -> Attempt:
        office, job = self._office, self._job
        ledger = Ledger(office.database)
        return Attempt(
            run=job.run,
            mark=mark_of(job.run, action),
            ids=ids_between(ledger, office.old, office.new),
            facts=facts_of(ledger, job.sources),
            progress=self._progress,
            cancelled=self._cancelled,
            leaving=self._leaving,
            pace=office.rations.pace(job.limits, project_of(self._action)),
            limits=job.limits,
            settling=job.settle,
            number=number,
        )

    def _tell(self, **values: Any) -> None:
        self._write(lambda: journal.tell(self._office.database, self._job.run, self._action.id, self._token, **values))

    def _write(self, write: Callable[[], None]) -> None:
        self._steadily(write)

    def _steadily(self, work: Callable[[], Result]) -> Result:
        return self._office.database.steadily(work)


class _Told(Exception):
    """What a performer raised, or what is found wrong with what it did."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
