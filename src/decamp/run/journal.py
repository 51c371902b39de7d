"""What the executor writes of runs and actions. Every write of an execution is fenced by its token."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from decamp.model.documents import encode
from decamp.model.effects import Outcome
from decamp.model.errors import BadInput, Changed, Refused
from decamp.model.limits import UNLIMITED, Limits
from decamp.model.plan import Action, ConfirmGoal, Goal, Plan, UndoGoal
from decamp.model.run import ACTION_TRANSITIONS, ENDED, ActionState, RunState
from decamp.model.setbacks import Setback
from decamp.model.timing import ALWAYS, Schedule
from decamp.run import locks, schema, turns, workers
from decamp.run.database import Database, timestamp
from decamp.run.ledger import mark_verified, strike_entry, write_entry
from decamp.run.redacting import without_secrets

_RUNS, _ACTIONS = schema.runs, schema.actions
_DONE_OR_HALF = sa.or_(_ACTIONS.c.state == ActionState.DONE, _ACTIONS.c.recorded)
_CALLING_OFF = sa.and_(_ACTIONS.c.state == ActionState.RUNNING, _ACTIONS.c.error.is_not(None))
"""Of a hook that has failed, and what was done for its server is being taken back."""
_ANSWERED = {"asked_at": None}


class Fenced(Exception):
    """Another execution has taken over what this one wanted to write."""


class ActionEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How an action ended, if not well."""

    state: ActionState
    error: str | None = None
    kind: str | None = None
    setback: Setback | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution that has just taken an action over finds."""

    tried: bool
    recorded: bool
    number: int = 1
    """Of this attempt."""
    asked_seconds_ago: float | None = None
    """Since the last attempt may have sent a request that had no answer; null: all had theirs."""
    failed: ActionEnd | None = None
    """A hook failed already: what was done for its server is to be taken back."""


def begin(
    database: Database,
    plan: Plan,
    concurrency: int,
    worker: workers.Worker,
    bytes_per_second: int | None = None,
    schedule: Schedule = ALWAYS,
    limits: Limits = UNLIMITED,
) -> str:
    """Store the plan and a run of it, on which `worker` works from now on; the run's id.

    Raises Refused where the plan is being applied, Changed where it was.
    """
    try:
        with database.writing() as connection:
            if about := about_of(plan.goal):
                _refuse_unless_over(connection, about)
            number = _next_number(connection, plan)
            run = insert(
                database,
                connection,
                plan,
                number=number,
                round=1,
                concurrency=concurrency,
                about=about,
                bytes_per_second=bytes_per_second,
                schedule=written(schedule),
                limits=None if limits == UNLIMITED else msgspec.json.encode(limits).decode(),
            )
            workers.enter(connection, worker, listens=run)
    except IntegrityError as error:
        raise Refused(f"plan {plan.id} has just been begun by somebody else: see `decamp runs`") from error
    return run


def insert(
    database: Database, connection: sa.Connection, plan: Plan, *, number: int, round: int, chain: str | None = None, **values: Any
) -> str:
    """Store the plan and a run of it; the run's id."""
    now = timestamp()
    connection.execute(database.insert_or_leave(schema.plans, {"id": plan.id, "document": encode(plan), "stored_at": now}))
    run = _run_id(connection, plan, number)
    goal = msgspec.json.encode(plan.goal).decode()
    connection.execute(
        sa.insert(_RUNS).values(id=run, plan=plan.id, number=number, goal=goal, round=round, began_at=now, chain=chain or run, **values)
    )
    if plan.actions:
        connection.execute(sa.insert(_ACTIONS), [_new_action(run, position, action) for position, action in enumerate(plan.actions)])
    return run


def written(schedule: Schedule) -> str | None:
    return None if schedule == ALWAYS else msgspec.json.encode(schedule).decode()


def schedule_of(row: Any) -> Schedule:
    """Of a run's row."""
    return msgspec.json.decode(row.schedule, type=Schedule) if row.schedule else ALWAYS


def limits_of(row: Any) -> Limits:
    """Of a run's row."""
    return msgspec.json.decode(row.limits, type=Limits) if row.limits else UNLIMITED


def about_of(goal: Goal) -> str | None:
    """The run that a goal is about."""
    return goal.run if isinstance(goal, UndoGoal | ConfirmGoal) else None


def resume(database: Database, run: str, worker: workers.Worker, *, now: bool = False) -> int:
    """Begin another round, on which `worker` works: what is not done waits again. The new round's number. `now`: without its schedule.

    Raises Refused if it is running, or done.
    """
    with database.writing() as connection:
        row = run_of(connection, run)
        _refuse_if_done(row)
        refuse_if_live(connection, run)
        anew = {"outcome": None, "ended_at": None, "cancel_asked_at": None, "concluded_at": None, "whole": None}
        anew |= {"schedule": None} if now else {}
        connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run).values(round=row.round + 1, **anew))
        back = [state for state, following in ACTION_TRANSITIONS.items() if ActionState.WAITING in following]
        take_up_again(connection, run, back)
        workers.enter(connection, worker, listens=row.chain)
        return row.round + 1


def take_up_again(connection: sa.Connection, run: str, states: Iterable[ActionState]) -> None:
    """Actions in these states wait again; but for a hook that calls off its server's move: that goes first."""
    connection.execute(
        sa.update(_ACTIONS)
        .where(_ACTIONS.c.run == run, _ACTIONS.c.state.in_(sorted(states)), sa.not_(_CALLING_OFF))
        .values(
            state=ActionState.WAITING, holder=None, ended_at=None, error=None, error_kind=None, setback=None, said="", changed=time.time()
        )
    )


def ask_cancel(database: Database, run: str) -> RunState:
    """Nothing more of it begins, and nothing follows it but what leaves the cloud clean. INTERRUPTED: nobody lives who would hear it.

    Raises Refused if it is over.
    """
    with database.writing() as connection:
        row = run_of(connection, run)
        if row.concluded_at is not None:
            raise Refused(f"run {run} is over ({row.whole}): there is nothing to cancel")
        connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run, _RUNS.c.cancel_asked_at.is_(None)).values(cancel_asked_at=timestamp()))
        return RunState.RUNNING if workers.live_for(connection, row.chain) else RunState.INTERRUPTED


def calling_off(database: Database, run: str) -> tuple[str, ...]:
    """Hooks that have failed, and the process ended before all was taken back that was done for their servers."""
    with database.reading() as connection:
        return tuple(connection.execute(sa.select(_ACTIONS.c.id).where(_ACTIONS.c.run == run, _CALLING_OFF)).scalars())


def called_off(database: Database, run: str, round: int) -> None:
    """All of these are taken back, by a round that does them anew."""
    with database.writing() as connection:
        if run_of(connection, run).round == round:
            take_up_again(connection, run, {ActionState.FAILED, ActionState.UNDONE})


def left_by(database: Database, worker: str) -> tuple[str, ...]:
    """The runs that a dead worker worked for and that are not over, or that something may follow."""
    query = (
        sa.select(_RUNS.c.id)
        .join(schema.workers, schema.workers.c.listens == _RUNS.c.chain)
        .where(schema.workers.c.id == worker, _RUNS.c.concluded_at.is_(None))
        .where(_RUNS.c.id.not_in(sa.select(_RUNS.c.follows).where(_RUNS.c.follows.is_not(None))))
    )
    with database.reading() as connection:
        return tuple(connection.execute(query).scalars())


def over(database: Database) -> frozenset[str]:
    """The runs that nobody will go on with but on demand."""
    followed = sa.select(_RUNS.c.follows).where(_RUNS.c.follows.is_not(None))
    query = sa.select(_RUNS.c.id).where(sa.or_(_RUNS.c.concluded_at.is_not(None), _RUNS.c.id.in_(followed)))
    with database.reading() as connection:
        return frozenset(connection.execute(query).scalars())


def ended(database: Database, run: str) -> dict[str, ActionState]:
    """The actions that are over, and how they ended."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(_ACTIONS.c.id, _ACTIONS.c.state).where(_ACTIONS.c.run == run, _ACTIONS.c.state.in_(sorted(ENDED)))
        )
        return {row.id: ActionState(row.state) for row in rows}


def ended_among(database: Database, run: str, running: Iterable[str]) -> dict[str, ActionState]:
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(_ACTIONS.c.id, _ACTIONS.c.state)
            .where(_ACTIONS.c.run == run, _ACTIONS.c.id.in_(sorted(running)), _ACTIONS.c.state.in_(sorted(ENDED)))
            .order_by(_ACTIONS.c.position)
        )
        return {row.id: ActionState(row.state) for row in rows}


def claim(database: Database, run: str, round: int, action: str, *, token: str, worker: str, settle: bool = False) -> Claim | ActionState:
    """Take an action: from now on only `token` writes it. Its state instead, if it ended, is of another round, or may not begin.

    To settle, also one that ended badly is taken, and stays as it is.
    """
    with database.writing() as connection:
        head = run_of(connection, run)
        if head.round != round:
            return ActionState.CANCELLED
        row = connection.execute(sa.select(_ACTIONS).where(_ACTIONS.c.run == run, _ACTIONS.c.id == action)).one()
        if row.state == ActionState.DONE or (not settle and ActionState(row.state) in ENDED):
            return ActionState(row.state)
        mine = sa.update(_ACTIONS).where(_ACTIONS.c.run == run, _ACTIONS.c.id == action)
        failing = row.state == ActionState.RUNNING and row.error is not None
        failed = ActionEnd(state=ActionState.FAILED, error=row.error, kind=row.error_kind) if failing else None
        # clocks of two machines may differ
        ago = max(0.0, time.time() - row.asked_at) if row.asked_at is not None else None
        if settle:
            connection.execute(mine.values(holder=token))
            return Claim(tried=row.tried, recorded=row.recorded, asked_seconds_ago=ago, failed=failed)
        if (head.cancel_asked_at or head.drained_at) and not row.tried:
            connection.execute(mine.values(state=ActionState.CANCELLED, ended_at=timestamp(), changed=time.time()))
            return ActionState.CANCELLED
        connection.execute(
            mine.values(
                state=ActionState.RUNNING,
                holder=token,
                worker=worker,
                attempts=_ACTIONS.c.attempts + 1,
                started_at=sa.func.coalesce(_ACTIONS.c.started_at, timestamp()),
                said="",
                progress_done=None,
                progress_total=None,
                changed=time.time(),
            )
        )
        return Claim(tried=row.tried, recorded=row.recorded, number=row.attempts + 1, asked_seconds_ago=ago, failed=failed)


def holders(database: Database, run: str) -> tuple[bool, bool, dict[str, str | None]]:
    """(whether somebody asked to cancel the run; whether it is drained; the tokens that hold its running actions)."""
    with database.reading() as connection:
        row = run_of(connection, run)
        running = sa.select(_ACTIONS.c.id, _ACTIONS.c.holder).where(_ACTIONS.c.run == run, _ACTIONS.c.state == ActionState.RUNNING)
        held = {action.id: action.holder for action in connection.execute(running)}
        return row.cancel_asked_at is not None, row.drained_at is not None, held


def tell(database: Database, run: str, action: str, token: str, **values: Any) -> None:
    """Update what the report shows of a running action (said, progress_done, progress_total, tried, asked_at). Raises Fenced."""
    with database.writing() as connection:
        _fenced_update(connection, run, action, token, **values)


def record(database: Database, run: str, action: Action, token: str, outcome: Outcome, *, old: str, new: str) -> None:
    """Journal the effect: from here on it is not looked for any more. Raises Fenced, and then nothing is written."""
    with database.writing() as connection:
        _fenced_update(
            connection, run, action.id, token, **_ANSWERED, recorded=True, bytes=max(outcome.bytes, 0), said=without_secrets(outcome.said)
        )
        write_entry(database, connection, run, action, outcome, old=old, new=new)


def finish(database: Database, run: str, action: Action, token: str, *, new: str) -> None:
    """The effect is proved: the action is done, its locks are free. Raises Fenced."""
    with database.writing() as connection:
        now = timestamp()
        _fenced_update(connection, run, action.id, token, state=ActionState.DONE, ended_at=now, error=None, error_kind=None, setback=None)
        mark_verified(connection, run, action, new=new)
        locks.release(connection, run, action.id)


def end_badly(database: Database, run: str, action: str, token: str, end: ActionEnd, *, answered: bool) -> None:
    """Failed or cancelled, all requests `answered` or not; its locks are free. Raises Fenced."""
    with database.writing() as connection:
        error = without_secrets(end.error) if end.error else None
        setback = msgspec.json.encode(end.setback).decode() if end.setback else None
        how = {"state": end.state, "error": error, "error_kind": end.kind, "setback": setback}
        how |= _ANSWERED if answered else {}
        _fenced_update(connection, run, action, token, **how, ended_at=timestamp())
        locks.release(connection, run, action)


def taken_back(database: Database, run: str, hook: str, token: str, action: str) -> None:
    """What an action did, if it was done, is not there any more, since a hook failed, which `token` holds. Raises Fenced."""
    with database.writing() as connection:
        _fenced_update(connection, run, hook, token)
        now = timestamp()
        connection.execute(
            sa.update(_ACTIONS)
            .where(_ACTIONS.c.run == run, _ACTIONS.c.id == action, _DONE_OR_HALF)
            .values(state=ActionState.UNDONE, tried=False, recorded=False, holder=None, ended_at=now, changed=time.time())
        )
        strike_entry(connection, run, action)


def settle(database: Database, run: str, action: str, token: str) -> None:
    """The attempts left nothing behind: the next one begins from nothing. Raises Fenced."""
    with database.writing() as connection:
        _fenced_update(connection, run, action, token, **_ANSWERED, tried=False)


def warn(database: Database, run: str, action: str, warning: str) -> None:
    """Not fenced: it is the fenced ones who have something to say."""
    with database.writing() as connection:
        connection.execute(
            sa.update(_ACTIONS)
            .where(_ACTIONS.c.run == run, _ACTIONS.c.id == action)
            .values(warning=without_secrets(warning), changed=time.time())
        )


def say_of_waiting(database: Database, run: str, said: Mapping[str, str]) -> None:
    """What each of these actions waits for."""
    with database.writing() as connection:
        for text in sorted(set(said.values())):
            where = (_ACTIONS.c.run == run, _ACTIONS.c.state == ActionState.WAITING, _ACTIONS.c.said != text)
            among = _ACTIONS.c.id.in_(sorted(action for action, about in said.items() if about == text))
            connection.execute(sa.update(_ACTIONS).where(*where, among).values(said=text, changed=time.time()))


def set_aside(database: Database, run: str, round: int, actions: Iterable[str] | None, state: ActionState) -> None:
    """Waiting actions (null: all that wait) are skipped or cancelled."""
    with database.writing() as connection:
        if run_of(connection, run).round != round:
            return
        where = [_ACTIONS.c.run == run, _ACTIONS.c.state == ActionState.WAITING]
        if actions is not None:
            where.append(_ACTIONS.c.id.in_(sorted(actions)))
        connection.execute(sa.update(_ACTIONS).where(*where).values(state=state, ended_at=timestamp(), said="", changed=time.time()))


def end_run(database: Database, run: str, round: int, *, followed: bool = False) -> RunState | None:
    """The walk is over: the run's state follows from its actions'. None: a later round has begun meanwhile.

    Not `followed`: with it the whole is over.
    """
    with database.writing() as connection:
        row = run_of(connection, run)
        if row.round != round:
            return None
        states = set(connection.execute(sa.select(_ACTIONS.c.state).where(_ACTIONS.c.run == run).distinct()).scalars())
        if states <= {ActionState.DONE}:
            outcome = RunState.DONE
        elif row.cancel_asked_at and ActionState.CANCELLED in states:
            outcome = RunState.CANCELLED
        elif row.drained_at and ActionState.FAILED not in states:
            outcome = RunState.DRAINED
        else:
            outcome = RunState.FAILED
        now = timestamp()
        over = {"outcome": outcome, "ended_at": now} | ({} if followed else {"concluded_at": now, "whole": outcome})
        connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run, _RUNS.c.outcome.is_(None)).values(**over))
        locks.release(connection, run)
        turns.release(connection, run)
        return outcome


def unsettled(database: Database, run: str) -> tuple[str, ...]:
    """Actions of which nobody knows whether an attempt had an effect, in the order of the plan."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(_ACTIONS.c.id)
            .where(_ACTIONS.c.run == run, _ACTIONS.c.tried.is_(True), _ACTIONS.c.state != ActionState.DONE)
            .order_by(_ACTIONS.c.position)
        )
        return tuple(rows.scalars())


def begin_settling(database: Database, run: str, worker: workers.Worker) -> int:
    """A round in which nothing new begins. Raises Refused if the run is running."""
    with database.writing() as connection:
        row = run_of(connection, run)
        refuse_if_live(connection, run)
        values: dict[str, Any] = {"round": row.round + 1}
        if row.outcome is None:
            values["cancel_asked_at"] = row.cancel_asked_at or timestamp()
        connection.execute(sa.update(_RUNS).where(_RUNS.c.id == run).values(**values))
        workers.enter(connection, worker, listens=row.chain)
        return row.round + 1


def end_settling(database: Database, run: str, action: str, token: str) -> ActionState:
    """Nothing was left behind: an action that an interrupted run was doing is cancelled, one that had ended stays as it ended."""
    with database.writing() as connection:
        row = connection.execute(sa.select(_ACTIONS.c.state).where(_ACTIONS.c.run == run, _ACTIONS.c.id == action)).one()
        state = ActionState(row.state)
        if state not in ENDED:
            state = ActionState.CANCELLED
            _fenced_update(connection, run, action, token, state=state, ended_at=timestamp())
        locks.release(connection, run, action)
        return state


def _fenced_update(connection: sa.Connection, run: str, action: str, token: str, **values: Any) -> None:
    changed = connection.execute(
        sa.update(_ACTIONS)
        .where(_ACTIONS.c.run == run, _ACTIONS.c.id == action, _ACTIONS.c.holder == token)
        .values(**values, changed=time.time())
    )
    if changed.rowcount != 1:
        raise Fenced(f"run {run}: {action} was taken over")


def run_of(connection: sa.Connection, run: str) -> Any:
    """Its row. Raises BadInput if there is none."""
    row = connection.execute(sa.select(_RUNS).where(_RUNS.c.id == run)).one_or_none()
    if row is None:
        raise BadInput(f"there is no run {run!r}: see `decamp runs`")
    return row


def _refuse_if_done(row: Any) -> None:
    if row.outcome == RunState.DONE:
        raise Refused(f"run {row.id} is done: there is nothing to resume")


def refuse_if_live(connection: sa.Connection, run: str) -> None:
    """Raises Refused where a worker lives that goes on with it, or with what follows it."""
    row = run_of(connection, run)
    if row.concluded_at is None and (live := workers.live_for(connection, row.chain)):
        raise Refused(
            f"run {run} is running: {live[0].host}, process {live[0].pid}, works on it. `decamp status {run}` shows how far it is"
        )


def _refuse_unless_over(connection: sa.Connection, run: str) -> None:
    row = run_of(connection, run)
    if row.outcome is None:
        raise Refused(f"run {run} is not over: resume or cancel it first")
    half = connection.execute(
        sa.select(sa.func.count()).where(_ACTIONS.c.run == run, _ACTIONS.c.tried.is_(True), _ACTIONS.c.state != ActionState.DONE)
    ).scalar_one()
    if half:
        raise Refused(f"run {run} has {half} actions of which an attempt may have left something behind: `decamp cancel {run}` finds out")


def _next_number(connection: sa.Connection, plan: Plan) -> int:
    rows = connection.execute(sa.select(_RUNS).where(_RUNS.c.plan == plan.id).order_by(_RUNS.c.number)).all()
    if not rows:
        return 1
    last = rows[-1]
    if last.outcome is None:
        if workers.live_for(connection, last.id):
            raise Refused(f"run {last.id} is applying this plan right now: `decamp status {last.id}` shows how far it is")
        raise Refused(f"run {last.id} of this plan was interrupted: go on with `decamp resume {last.id}`")
    undone = connection.execute(sa.select(_RUNS.c.goal).where(_RUNS.c.about == last.id, _RUNS.c.outcome == RunState.DONE)).scalars()
    if any(msgspec.json.decode(goal).get("verb") == "undo" for goal in undone):
        return last.number + 1
    if last.outcome == RunState.DONE:
        raise Changed(f"run {last.id} applied this plan already, at {last.ended_at}: there is nothing left to do")
    told = "failed" if last.outcome == RunState.FAILED else "was cancelled"
    raise Refused(f"run {last.id} of this plan {told}: go on with `decamp resume {last.id}`, or make a new plan")


def _run_id(connection: sa.Connection, plan: Plan, number: int) -> str:
    """The first eight digits of the plan's id and the number; all its digits in the one case in four billion."""
    short = f"{plan.id[:8]}-{number}"
    taken = connection.execute(sa.select(_RUNS.c.plan).where(_RUNS.c.id == short)).scalar()
    return short if taken is None else f"{plan.id}-{number}"


def _new_action(run: str, position: int, action: Action) -> dict[str, Any]:
    return {
        "run": run,
        "id": action.id,
        "position": position,
        "state": ActionState.WAITING,
        "attempts": 0,
        "tried": False,
        "recorded": False,
        "said": "",
        "bytes": 0,
        "changed": time.time(),
    }
