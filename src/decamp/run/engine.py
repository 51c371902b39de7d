"""Applies plans durably: one generic DBOS workflow walks a plan's actions, one performs an action, on any worker of the same database."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from dbos import DBOS, SetWorkflowID

from decamp.model import accounts
from decamp.model.chain import Chain
from decamp.model.effects import Performer
from decamp.model.errors import BadInput, Bug, Error, Failed
from decamp.model.limits import Move, moves_of
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.run import ActionReport, ActionState, RunReport, RunState
from decamp.model.timing import ALWAYS, Schedule
from decamp.run import chains, journal, turns, workers
from decamp.run.attention import Attention
from decamp.run.database import open_database
from decamp.run.durable import QUEUE_POLL_SECONDS, Durable
from decamp.run.failover import Heart
from decamp.run.pacing import Rations, Turnstile
from decamp.run.patience import Patience
from decamp.run.performing import Job, Office, TakeBack, perform_action
from decamp.run.presence import Presence
from decamp.run.queueing import Queue, Queued
from decamp.run.runs import Runs
from decamp.run.succession import Follow, Succession
from decamp.run.walking import Walk, Wave, check_graph, going_on

LEG_ENDS = 200
"""A walk hands over to a successor after so many ended actions: what a worker that takes over has to replay stays short."""
LEAVE_SECONDS = 10.0
"""How long performers may take to come to a safe point when the process ends."""
WAKE_SECONDS = 0.25
"""A walk looks for actions that other processes ended; those of its own wake it at once."""
CLOSED_WAKE_SECONDS = 1.0
"""The same while nothing goes on, and it waits for the time when actions may begin."""
MOST_AT_ONCE = 400
"""Actions that one process has in hand at a time, where only the plan's locks say how many may be: each is a thread that mostly waits."""
PRUNE_SECONDS = 3600.0
"""How often a worker that serves takes away what DBOS keeps of runs that are over."""


class _Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk waits for."""

    running: list[str]
    held_back: bool
    """Something could begin, but for the time of the day, or for a turn."""
    was_open: bool
    over: list[str]
    """Moves whose turns are over."""


class Engine:
    """One worker. `with Engine(...) as engine:`, then one of begin, resume, serve; settle needs none of them.

    Leaving the block leaves what is not over in the database, for `resume` or for another worker.
    """

    def __init__(
        self,
        url: str,
        performers: Mapping[Verb, Performer],
        *,
        old: str = "old",
        new: str = "new",
        patience: Patience | None = None,
        policy: Policy | None = None,
        follow: Follow | None = None,
        take_back: TakeBack | None = None,
        leave_seconds: float = LEAVE_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`follow` says what comes after a run of a vacate; without it, nothing does. `take_back` says what takes back
        what was done for a server, when a hook of it fails. Schedules are kept by `clock`.

        Raises BadInput, Failed or Unreachable if the state database cannot be used; makes a SQLite file and its folder.
        """
        database = open_database(url, create=True)
        assert database is not None  # noqa: S101 - it was created
        self._database = database
        self._leave_seconds = leave_seconds
        self._presence = Presence(database.where)
        self._plans: dict[str, Plan] = {}
        self._actions: dict[str, dict[str, Action]] = {}
        self._known_bearings: dict[str, chains.Bearings] = {}
        self._going_on: dict[str, frozenset[str]] = {}
        self._known_moves: dict[str, dict[str, Move]] = {}
        self._clock = clock
        self._durable: Durable | None = None
        self._heart: Heart | None = None
        self._worker = workers.this_process()
        self._office = Office(
            database=database,
            performers=performers,
            worker=self._worker.id,
            old=old,
            new=new,
            patience=patience or Patience(),
            attention=Attention(database),
            turnstile=Turnstile(database),
            rations=Rations(database),
            take_back=take_back,
            clock=clock,
            stopping=self._presence.is_stopping,
        )
        self._policy = policy or Policy()
        self._succession = follow and Succession(
            database=database, follow=follow, patience=self._office.patience, leave=self._presence.leave_if_stopping
        )
        self.runs = Runs(database)
        self.abandoned = False
        """After the block: a call to a cloud still hangs in a thread, and only os._exit ends this process before it does."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._presence.stop()
        if self._heart:
            self._heart.stop()
        if self._durable:
            self.abandoned = not self._presence.await_safe_points(self._leave_seconds)
            self._durable.close()
        with contextlib.suppress(Error):
            workers.leave(self._database, self._worker.id)
        self._database.close()

    def begin(self, plan: Plan, concurrency: int | None = None, bytes_per_second: int | None = None, schedule: Schedule = ALWAYS) -> str:
        """Store the plan and begin to apply it; the run's id.

        Without a concurrency, as many actions as policy says are performed at a time, of a vacate as many as its locks allow.
        `bytes_per_second` is what its migrations may take, with those of all runs; `schedule` is when its actions may begin.
        What policy limits besides, it limits for the whole of this run, as it is now.

        Raises Refused if it is being applied or was interrupted, Changed if it was applied already, BadInput if its graph is broken.
        """
        check_graph(plan.actions)
        unknown = sorted({action.verb for action in plan.actions} - set(self._office.performers))
        if unknown:
            raise BadInput(f"the plan has actions that nothing here can perform: {', '.join(unknown)}")
        if concurrency is None:
            concurrency = MOST_AT_ONCE if isinstance(plan.goal, VacateGoal) else self._policy.concurrency
        if concurrency < 1:
            raise BadInput("the concurrency has to be 1 at least")
        run = journal.begin(self._database, plan, concurrency, self._worker, bytes_per_second, schedule, self._policy.limits)
        self._start(run, round=1)
        return run

    def resume(self, run: str, *, now: bool = False) -> str:
        """Go on with a run that was interrupted, failed or was cancelled; its id. What is done is not repeated.

        It goes by its schedule, unless that is to be forgotten (`now`). Of runs that follow each other, with the last.

        Raises Refused if it is done, or if a worker lives that applies it.
        """
        run = self.runs.last(run)
        begin_round = chains.resume if self._is_followed(run) else journal.resume
        self._start(run, round=begin_round(self._database, run, self._worker, now=now))
        return run

    def serve(self, stop: threading.Event) -> None:
        """Perform actions of all runs, and take over from workers that die, until `stop` is set."""
        with self._database.writing() as connection:
            workers.enter(connection, self._worker, listens=None)
        self._launch(queues=None)
        pruned_at = float("-inf")
        while not stop.wait(0.2):
            self._presence.raise_if_broken()
            if time.monotonic() - pruned_at >= PRUNE_SECONDS:
                self._prune()
                pruned_at = time.monotonic()

    def cancel(self, run: str) -> RunState:
        """Ask that nothing more of the run begins, and that what is being done stops at a safe point."""
        return self.runs.cancel(run)

    def wait(
        self, run: str, on_event: Callable[[ActionReport], None] | None = None, on_look: Callable[[Chain], None] | None = None
    ) -> RunReport:
        """Block until the run and all that follows it is over, telling every change; the last run.

        Raises what made this worker stop, if that came first.
        """
        report = self.runs.watch(run, on_event, on_look, until=lambda: self._presence.is_broken)
        self._presence.raise_if_broken()
        self._prune()
        return report

    def settle(self, run: str) -> RunReport:
        """Find out what the half-done actions of a run left behind, and journal it; nothing new begins.

        An interrupted run is cancelled by it; what leaves the cloud clean then (`release`) is not done yet.
        Raises Refused while a worker applies the run.
        """
        run = self.runs.resolve(run)
        number = journal.begin_settling(self._database, run, self._worker)
        for half_done in journal.unsettled(self._database, run):
            perform_action(self._office, self._job(run, number, self._action(run, half_done), settle=True))
        journal.set_aside(self._database, run, number, None, ActionState.CANCELLED)
        journal.end_run(self._database, run, number, followed=self._is_followed(run))
        return self.runs.report(run)

    def release(self, run: str) -> str:
        """Begin what follows a run that was cancelled: hosts that it did not free are given back. Its id."""
        run = self.runs.last(run)
        self._start(run, round=chains.standing(self._database, run).round)
        return run

    def _start(self, run: str, round: int) -> None:
        chain = chains.standing(self._database, run).chain
        if self._durable is None:
            self._launch(queues=[_queue(chain, round)])
        with self._database.telling():
            self._enqueue_next(run)
            _delete_queue(chain, round - 1)

    def _enqueue_next(self, run: str) -> None:
        """The workflow that the run needs now, if it is not there yet: that of its walk, or that of what follows."""
        now = chains.standing(self._database, run)
        DBOS.register_queue(_queue(now.chain, now.round), polling_interval_sec=QUEUE_POLL_SECONDS, on_conflict="always_update")
        if not now.over:
            self._enqueue("walk/1", run, now.round, self._walk_workflow, run, now.round, 1, [])
        elif self._is_followed(run) and not now.concluded:
            self._enqueue("follow", run, now.round, self._follow_workflow, run, now.round)

    def _recover(self, worker: str) -> None:
        """Put what a dead worker had not finished back into the queues; also a run that it began and did not get to enqueue."""
        assert self._durable is not None  # noqa: S101 - the heart beats only while it is there
        with self._database.telling():
            self._durable.recover(worker)
            for left in journal.left_by(self._database, worker):
                self._enqueue_next(left)

    def _prune(self) -> None:
        """Take away what DBOS keeps of runs that are over: the truth about them is in our own rows."""
        if self._durable is not None:
            with self._database.telling():
                self._durable.prune(journal.over(self._database))

    def _launch(self, queues: list[str] | None) -> None:
        if self._durable is not None:
            raise Bug("an engine is started once")
        self._durable = Durable(
            self._database,
            worker=self._worker.id,
            queues=queues,
            walk=self._presence.guarded(self._walk),
            act=self._presence.guarded(self._act),
            follow=self._presence.guarded(self._take_up),
            broken=self._presence.break_off,
        )
        self._walk_workflow, self._act_workflow, self._follow_workflow = self._durable.walk, self._durable.act, self._durable.follow
        self._heart = Heart(
            self._database,
            self._worker.id,
            recover=self._recover,
            taken_for_dead=lambda: self._presence.break_off(
                Failed(
                    f"this worker did not report for {workers.DEAD_AFTER_SECONDS:.0f} s and was taken for dead: its work was given back. "
                    "`decamp runs` shows who goes on with it"
                )
            ),
            broken=self._presence.break_off,
        )
        self._heart.start()

    def _enqueue(self, id: str, run: str, round: int, workflow: Callable[..., Any], *args: Any) -> None:
        """Under an id that makes a second time do nothing."""
        with SetWorkflowID(f"{run}/{round}/{id}"):
            DBOS.enqueue_workflow(_queue(self._bearings(run).chain, round), workflow, *args)

    def _walk(self, run: str, round: int, leg: int, running: list[str]) -> str:
        """The workflow that walks a plan. Deterministic: whatever it learns, it learns in journaled steps."""
        look = DBOS.run_step({"name": "look"}, self._look, run, round, leg)
        if look is None:
            return "stale"
        plan = self._plan(run)
        ended = {action: ActionState(state) for action, state in look["ended"].items()}
        wave = Wave(**look["wave"]) if look["wave"] else None
        states = dict.fromkeys(running, ActionState.RUNNING) | ended
        walk = Walk(plan, states, look["concurrency"], wave, self._moves(run), look["turns"])
        cancelled, closed, ends, is_open = bool(look["cancelled"]), bool(look["drained"]), 0, bool(look["open"])
        while True:
            closed = self._begin_more(run, round, walk, look["unsettled"], closed=closed or cancelled, is_open=is_open)
            queued = {} if closed else walk.queued()
            held_back = bool(walk.holds_back or queued) and not closed
            if not walk.running and not held_back:
                break
            if ends >= LEG_ENDS:
                self._enqueue(f"walk/{leg + 1}", run, round, self._walk_workflow, run, round, leg + 1, sorted(walk.running))
                return "handed over"
            waiting = _Waiting(running=sorted(walk.running), held_back=held_back, was_open=is_open, over=walk.over())
            woken = DBOS.run_step({"name": "await"}, self._await_ends, run, round, waiting, queued, walk.room)
            if woken is None:
                return "stale"
            is_open = woken["open"]
            walk.have_turns(woken["turns"])
            for action, state in woken["ended"].items():
                walk.end(action, ActionState(state))
                ends += 1
            cancelled = cancelled or woken["cancelled"]
            if not cancelled and (skipped := walk.blocked()):
                DBOS.run_step({"name": "skip"}, self._set_aside, run, round, skipped, ActionState.SKIPPED.value)
        ended_as = DBOS.run_step({"name": "end"}, self._end, run, round, cancelled)
        if ended_as != "stale" and look["followed"]:
            self._enqueue("follow", run, round, self._follow_workflow, run, round)
        return str(ended_as)

    def _finish_calling_off(self, run: str, round: int) -> None:
        """What a crash left of that, before anything of a new round begins."""
        half_done = journal.calling_off(self._database, run)
        for hook in half_done:
            perform_action(self._office, self._job(run, round, self._action(run, hook)))
        if half_done:
            journal.called_off(self._database, run, round)

    def _begin_more(self, run: str, round: int, walk: Walk, unsettled: Iterable[str], *, closed: bool, is_open: bool) -> bool:
        """Enqueue what may begin now; whether nothing new may from here on: then only what earlier attempts began is taken up."""
        if not closed and walk.is_drained():
            DBOS.run_step({"name": "drain"}, chains.drain, self._database, run, round)
            closed = True
        for action in walk.take(unsettled) if closed else walk.begin(is_open=is_open):
            self._enqueue(action, run, round, self._act_workflow, run, round, action)
        return closed

    def _act(self, run: str, round: int, id: str) -> str:
        """The workflow that performs one action."""
        action = self._action(run, id)
        return str(DBOS.run_step({"name": "perform"}, lambda: perform_action(self._office, self._job(run, round, action)).value))

    def _take_up(self, run: str, round: int) -> str:
        """The workflow between a run and the one that follows it."""
        assert self._succession is not None  # noqa: S101 - else it is not enqueued
        following = DBOS.run_step({"name": "take up"}, self._succession.take_up, run, round)
        if following is not None:
            self._enqueue("walk/1", following, round, self._walk_workflow, following, round, 1, [])
            return str(following)
        DBOS.run_step({"name": "clear"}, self._clear, run, round)
        return "nothing follows"

    def _look(self, run: str, round: int, leg: int) -> dict[str, Any] | None:
        now = chains.standing(self._database, run)
        if now.round != round:
            return None
        if leg == 1:
            self._finish_calling_off(run, round)
        followed = self._is_followed(run)
        return {
            "ended": journal.ended(self._database, run),
            "unsettled": journal.unsettled(self._database, run),
            "concurrency": now.concurrency,
            "cancelled": now.cancel_asked,
            "drained": now.drained,
            "open": self._is_open(now.schedule),
            "turns": turns.held(self._database, run),
            "followed": followed,
            "wave": {"hosts": self._policy.wave_hosts, "share": self._policy.drain_share} if followed else None,
        }

    def _await_ends(
        self, run: str, round: int, waiting: _Waiting, queued: Mapping[str, tuple[str, ...]], room: int
    ) -> dict[str, Any] | None:
        """Until one of these ends or a move that is queued has its turn; where some are held back, also until the time of the day lets
        more or less begin than before, or somebody cancels."""
        if waiting.over:
            self._database.steadily(lambda: turns.give_back(self._database, run, waiting.over))
        queue = self._queue(run, queued, room) if queued else None
        while True:
            self._presence.leave_if_stopping()
            ended = self._database.steadily(lambda: journal.ended_among(self._database, run, waiting.running))
            now = chains.standing(self._database, run)
            is_open = self._is_open(now.schedule)
            if now.round != round and not ended:
                return None
            has_turn = self._database.steadily(queue.ask) if queue and not now.cancel_asked and is_open == waiting.was_open else ()
            if ended or has_turn or (waiting.held_back and (is_open != waiting.was_open or now.cancel_asked)):
                return {"ended": ended, "turns": has_turn, "cancelled": now.cancel_asked, "open": is_open}
            self._presence.await_change(WAKE_SECONDS if waiting.running else CLOSED_WAKE_SECONDS)

    def _queue(self, run: str, queued: Mapping[str, tuple[str, ...]], room: int) -> Queue:
        moves = {move.name: move for move in self._moves(run).values()}
        limits, priority = self._bearings(run).limits, chains.standing(self._database, run).schedule.priority
        asked = tuple(moves[name] for name in queued)
        return Queue(self._database, Queued(run=run, moves=asked, actions=queued, limits=limits, priority=priority, room=room))

    def _is_open(self, schedule: Schedule) -> bool:
        return schedule.opens_at(self._clock()) is None

    def _set_aside(self, run: str, round: int, actions: list[str], state: str) -> int:
        journal.set_aside(self._database, run, round, actions, ActionState(state))
        return len(actions)

    def _end(self, run: str, round: int, cancelled: bool) -> str:
        journal.set_aside(self._database, run, round, None, ActionState.CANCELLED if cancelled else ActionState.SKIPPED)
        followed = self._is_followed(run)
        state = journal.end_run(self._database, run, round, followed=followed)
        if state is None:
            return "stale"
        if not followed:
            self._clear(run, round)
        return state.value

    def _clear(self, run: str, round: int) -> None:
        _delete_queue(self._bearings(run).chain, round)

    def _is_followed(self, run: str) -> bool:
        """Whether something may follow the run."""
        return self._succession is not None and isinstance(self._plan(run).goal, VacateGoal)

    def _moves(self, run: str) -> dict[str, Move]:
        """Action -> the move that it is a part of, where the run has limits on moves."""
        if run not in self._known_moves:
            self._known_moves[run] = moves_of(self._plan(run)) if self._bearings(run).limits.bound_moves else {}
        return self._known_moves[run]

    def _plan(self, run: str) -> Plan:
        if run not in self._plans:
            self._plans[run] = self.runs.plan(run)
        return self._plans[run]

    def _action(self, run: str, id: str) -> Action:
        if run not in self._actions:
            self._actions[run] = {action.id: action for action in self._plan(run).actions}
        return self._actions[run][id]

    def _bearings(self, run: str) -> chains.Bearings:
        if run not in self._known_bearings:
            self._known_bearings[run] = chains.bearings(self._database, run)
        return self._known_bearings[run]

    def _job(self, run: str, round: int, action: Action, *, settle: bool = False) -> Job:
        bearings = self._bearings(run)
        if run not in self._going_on:
            self._going_on[run] = going_on(self._plan(run))
        schedule = self._database.steadily(lambda: chains.standing(self._database, run)).schedule
        if action.id in self._going_on[run]:
            schedule = Schedule(priority=schedule.priority)
        return Job(
            run=run,
            round=round,
            action=action,
            plan=self._plan(run),
            sources=bearings.sources,
            bytes=accounts.bytes_of(self._plan(run), action),
            bytes_per_second=bearings.bytes_per_second,
            limits=bearings.limits,
            move=self._moves(run).get(action.id),
            schedule=schedule,
            settle=settle,
        )


def _queue(chain: str, round: int) -> str:
    """Each round of runs that follow each other has one: a worker that applies them takes nothing from others, nor from what is over."""
    return f"run-{chain}-{round}"


def _delete_queue(chain: str, round: int) -> None:
    """Nobody takes from it any more."""
    DBOS.delete_queue(_queue(chain, round))
