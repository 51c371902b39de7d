"""Applies plans durably: one generic DBOS workflow walks a plan's actions, one performs an action, on any worker of the same database."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dbos import DBOS, SetWorkflowID
from sqlalchemy.exc import SQLAlchemyError

from decamp.model.effects import Performer
from decamp.model.errors import BadInput, Bug, Error, Failed
from decamp.model.plan import Action, Plan, Verb
from decamp.model.run import ActionReport, ActionState, RunReport, RunState
from decamp.run import journal, workers
from decamp.run.database import open_database, told
from decamp.run.durable import QUEUE_POLL_SECONDS, Durable
from decamp.run.failover import Heart
from decamp.run.patience import Patience
from decamp.run.performing import Job, Office, Stopped, perform_action
from decamp.run.runs import Runs, about_of
from decamp.run.walking import Walk, check_graph

LEG_ENDS = 200
"""A walk hands over to a successor after so many ended actions: what a worker that takes over has to replay stays short."""
LEAVE_SECONDS = 10.0
"""How long performers may take to come to a safe point when the process ends."""
WAKE_SECONDS = 0.25
"""A walk looks for actions that other processes ended; those of its own wake it at once."""

_log = logging.getLogger(__name__)


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
        leave_seconds: float = LEAVE_SECONDS,
    ) -> None:
        """Raises BadInput, Failed or Unreachable if the state database cannot be used; makes a SQLite file and its folder."""
        database = open_database(url, create=True)
        assert database is not None  # noqa: S101 - it was created
        self._database = database
        self._leave_seconds = leave_seconds
        self._stop = threading.Event()
        self._ended = threading.Condition()
        self._active = 0
        self._broken: Exception | None = None
        self._plans: dict[str, Plan] = {}
        self._actions: dict[str, dict[str, Action]] = {}
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
            stopping=self._stop.is_set,
        )
        self.runs = Runs(database)
        self.abandoned = False
        """After the block: a call to a cloud still hangs in a thread, and only os._exit ends this process before it does."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._ended:
            self._ended.notify_all()
        if self._heart:
            self._heart.stop()
        if self._durable:
            self._await_safe_points()
            self._durable.close()
        with contextlib.suppress(Error):
            workers.leave(self._database, self._worker.id)
        self._database.close()

    def begin(self, plan: Plan, concurrency: int = 4) -> str:
        """Store the plan and begin to apply it; the run's id.

        Raises Refused if it is being applied or was interrupted, Changed if it was applied already, BadInput if its graph is broken.
        """
        check_graph(plan.actions)
        unknown = sorted({action.verb for action in plan.actions} - set(self._office.performers))
        if unknown:
            raise BadInput(f"the plan has actions that nothing here can perform: {', '.join(unknown)}")
        if concurrency < 1:
            raise BadInput("the concurrency has to be 1 at least")
        run = journal.begin(self._database, plan, concurrency, self._worker)
        self._start(run, round=1)
        return run

    def resume(self, run: str) -> str:
        """Go on with a run that was interrupted, failed or was cancelled; its id. What is done is not repeated.

        Raises Refused if it is done, or if a worker lives that applies it.
        """
        run = self.runs.resolve(run)
        self._start(run, round=journal.resume(self._database, run, self._worker))
        return run

    def serve(self, stop: threading.Event) -> None:
        """Perform actions of all runs, and take over from workers that die, until `stop` is set."""
        with self._database.writing() as connection:
            workers.enter(connection, self._worker, listens=None)
        self._launch(queues=None)
        while not stop.wait(0.2):
            self._raise_if_broken()

    def cancel(self, run: str) -> RunState:
        """Ask that nothing more of the run begins, and that what is being done stops at a safe point."""
        return self.runs.cancel(run)

    def wait(self, run: str, on_event: Callable[[ActionReport], None] | None = None) -> RunReport:
        """Block until the run is over, telling every change. Raises what made this worker stop, if that came first."""
        report = self.runs.watch(run, on_event, until=lambda: self._broken is not None)
        self._raise_if_broken()
        return report

    def settle(self, run: str) -> RunReport:
        """Find out what the half-done actions of a run left behind, and journal it; nothing new begins.

        An interrupted run is cancelled by it. Raises Refused while a worker applies the run.
        """
        run = self.runs.resolve(run)
        number = journal.begin_settling(self._database, run, self._worker)
        for half_done in journal.unsettled(self._database, run):
            perform_action(self._office, self._job(run, number, self._action(run, half_done), settle=True))
        journal.set_aside(self._database, run, number, None, ActionState.CANCELLED)
        journal.end_run(self._database, run, number)
        return self.runs.report(run)

    def _start(self, run: str, round: int) -> None:
        if self._durable is None:
            self._launch(queues=[_queue(run, round)])
        with self._database.telling():
            self._enqueue_walk(run, round)
            _delete_queue(run, round - 1)

    def _enqueue_walk(self, run: str, round: int) -> None:
        """The workflow of the round, if it is not there yet."""
        DBOS.register_queue(_queue(run, round), polling_interval_sec=QUEUE_POLL_SECONDS, on_conflict="always_update")
        self._enqueue("walk/1", run, round, self._walk_workflow, run, round, 1, [])

    def _recover(self, worker: str) -> None:
        """Put what a dead worker had not finished back into the queues; also a run that it began and did not get to enqueue."""
        assert self._durable is not None  # noqa: S101 - the heart beats only while it is there
        with self._database.telling():
            self._durable.recover(worker)
            for left in journal.left_by(self._database, worker):
                self._enqueue_walk(*left)

    def _launch(self, queues: list[str] | None) -> None:
        if self._durable is not None:
            raise Bug("an engine is started once")
        self._durable = Durable(
            self._database,
            worker=self._worker.id,
            queues=queues,
            walk=self._guarded(self._walk),
            act=self._guarded(self._act),
            broken=self._break,
        )
        self._walk_workflow, self._act_workflow = self._durable.walk, self._durable.act
        self._heart = Heart(
            self._database,
            self._worker.id,
            recover=self._recover,
            taken_for_dead=lambda: self._break(
                Failed(
                    f"this worker did not report for {workers.DEAD_AFTER_SECONDS:.0f} s and was taken for dead: its work was given back. "
                    "`decamp runs` shows who goes on with it"
                )
            ),
            broken=self._break,
        )
        self._heart.start()

    def _enqueue(self, id: str, run: str, round: int, workflow: Callable[..., Any], *args: Any) -> None:
        """Under an id that makes a second time do nothing."""
        with SetWorkflowID(f"{run}/{round}/{id}"):
            DBOS.enqueue_workflow(_queue(run, round), workflow, *args)

    def _walk(self, run: str, round: int, leg: int, running: list[str]) -> str:
        """The workflow that walks a plan. Deterministic: whatever it learns, it learns in journaled steps."""
        look = DBOS.run_step({"name": "look"}, self._look, run, round)
        if look is None:
            return "stale"
        plan = self._plan(run)
        ended = {action: ActionState(state) for action, state in look["ended"].items()}
        walk = Walk(plan, dict.fromkeys(running, ActionState.RUNNING) | ended, look["concurrency"])
        cancelled, ends = bool(look["cancelled"]), 0
        while True:
            for action in [] if cancelled else walk.begin():
                self._enqueue(action, run, round, self._act_workflow, run, round, action)
            if not walk.running:
                break
            if ends >= LEG_ENDS:
                self._enqueue(f"walk/{leg + 1}", run, round, self._walk_workflow, run, round, leg + 1, sorted(walk.running))
                return "handed over"
            woken = DBOS.run_step({"name": "await"}, self._await_ends, run, round, sorted(walk.running))
            if woken is None:
                return "stale"
            for action, state in woken["ended"].items():
                walk.end(action, ActionState(state))
                ends += 1
            cancelled = cancelled or woken["cancelled"]
            if not cancelled and (skipped := walk.blocked()):
                DBOS.run_step({"name": "skip"}, self._set_aside, run, round, skipped, ActionState.SKIPPED.value)
        return str(DBOS.run_step({"name": "end"}, self._end, run, round, cancelled))

    def _act(self, run: str, round: int, id: str) -> str:
        """The workflow that performs one action."""
        action = self._action(run, id)
        return str(DBOS.run_step({"name": "perform"}, lambda: perform_action(self._office, self._job(run, round, action)).value))

    def _look(self, run: str, round: int) -> dict[str, Any] | None:
        current, concurrency, _ = journal.current_round(self._database, run)
        if current != round:
            return None
        return {
            "ended": journal.ended(self._database, run),
            "concurrency": concurrency,
            "cancelled": journal.cancel_asked(self._database, run),
        }

    def _await_ends(self, run: str, round: int, running: list[str]) -> dict[str, Any] | None:
        while True:
            if self._stop.is_set():
                raise Stopped
            ended = self._database.steadily(lambda: journal.ended_among(self._database, run, running))
            if ended:
                return {"ended": ended, "cancelled": journal.cancel_asked(self._database, run)}
            if journal.current_round(self._database, run)[0] != round:
                return None
            with self._ended:
                self._ended.wait(WAKE_SECONDS)

    def _set_aside(self, run: str, round: int, actions: list[str], state: str) -> int:
        journal.set_aside(self._database, run, round, actions, ActionState(state))
        return len(actions)

    def _end(self, run: str, round: int, cancelled: bool) -> str:
        journal.set_aside(self._database, run, round, None, ActionState.CANCELLED if cancelled else ActionState.SKIPPED)
        state = journal.end_run(self._database, run, round)
        if state is None:
            return "stale"
        _delete_queue(run, round)
        return state.value

    def _guarded(self, workflow: Callable[..., str]) -> Callable[..., str]:
        """An execution that cannot go on leaves its workflow unfinished, to be recovered: only what the workflow returns ends it."""

        def guarded(*args: Any) -> str:
            with self._counted():
                try:
                    return workflow(*args)
                except Exception as error:
                    if not self._stop.is_set():
                        _log.debug("a workflow stopped", exc_info=error)
                        self._break_unless_fenced(error)
                    raise Stopped from error

        return guarded

    def _break_unless_fenced(self, error: Exception) -> None:
        """DBOS tells an execution that lost its workflow to another worker by an error; that is no defect."""
        if type(error).__name__ not in {"DBOSWorkflowConflictIDError", "DBOSWorkflowCancelledError"}:
            self._break(error)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._ended:
            self._active += 1
        try:
            yield
        finally:
            with self._ended:
                self._active -= 1
                self._ended.notify_all()

    def _await_safe_points(self) -> None:
        deadline = time.monotonic() + self._leave_seconds
        with self._ended:
            while self._active and (left := deadline - time.monotonic()) > 0:
                self._ended.wait(left)
            self.abandoned = self._active > 0

    def _break(self, error: Exception) -> None:
        """This worker cannot go on: the first reason counts."""
        if self._broken is None:
            self._broken = told(error, self._database.where) if isinstance(error, SQLAlchemyError) else error
        self._stop.set()
        with self._ended:
            self._ended.notify_all()

    def _raise_if_broken(self) -> None:
        match self._broken:
            case None:
                return
            case Error() as error:
                raise error
            case error:
                raise Bug(f"the run stopped at a defect in Decamp, please report it: {type(error).__name__}: {error}") from error

    def _plan(self, run: str) -> Plan:
        if run not in self._plans:
            self._plans[run] = self.runs.plan(run)
        return self._plans[run]

    def _action(self, run: str, id: str) -> Action:
        if run not in self._actions:
            self._actions[run] = {action.id: action for action in self._plan(run).actions}
        return self._actions[run][id]

    def _job(self, run: str, round: int, action: Action, *, settle: bool = False) -> Job:
        return Job(run=run, round=round, action=action, about=about_of(self._plan(run).goal), settle=settle)


def _queue(run: str, round: int) -> str:
    """Each round of a run has a queue: a worker that applies one run takes nothing from the others, nor from what is over."""
    return f"run-{run}-{round}"


def _delete_queue(run: str, round: int) -> None:
    """Nobody takes from it any more."""
    DBOS.delete_queue(_queue(run, round))
