"""Asks for the turns of a run's moves while it is walked, and says what those wait for that have none."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from decamp.model.errors import Refused
from decamp.model.limits import Full, Limits, Move
from decamp.run import journal, turns, workers
from decamp.run.database import Database

ASK_SECONDS = 1.0
"""Between two times that a run asks, where nothing of its own has ended."""


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """Moves of a run that could begin if they had their turn, in the order of the plan."""

    run: str
    moves: tuple[Move, ...]
    actions: Mapping[str, Sequence[str]]
    """Move -> its actions that could begin."""
    limits: Limits
    priority: int
    room: int
    """How many more actions the run may perform at once."""


class Queue:
    """For one step of a walk."""

    def __init__(self, database: Database, queued: Queued, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._queued, self._clock = database, queued, clock
        self._began = clock()
        self._asked_at = float("-inf")
        self._told: dict[str, str] = {}

    def ask(self) -> tuple[str, ...]:
        """Names of the moves that may begin. Where nobody lives who would give a place back, also those that are to be refused."""
        queued, now = self._queued, self._clock()
        if not queued.moves or not queued.room or now - self._asked_at < ASK_SECONDS:
            return ()
        self._asked_at = now
        answer = turns.ask(self._database, queued.run, queued.moves, queued.limits, queued.priority, queued.room)
        self._tell({action: full.text for move, full in answer.waiting for action in queued.actions[move]})
        if answer.granted or now - self._began <= 2 * workers.DEAD_AFTER_SECONDS:
            return answer.granted
        return tuple(move for move, full in answer.waiting if orphans(self._database, queued.run, full))

    def _tell(self, said: dict[str, str]) -> None:
        if changed := {action: text for action, text in said.items() if self._told.get(action) != text}:
            self._told |= changed
            journal.say_of_waiting(self._database, self._queued.run, changed)


def orphans(database: Database, run: str, full: Full) -> tuple[str, ...]:
    """Runs that have all the places, where nobody works on any of them."""
    holders = sorted({turn.run for turn in full.turns})
    with database.reading() as connection:
        for holder in holders:
            if holder == run or workers.live_for(connection, journal.run_of(connection, holder).chain):
                return ()
    return tuple(holders)


def require_turn(database: Database, run: str, move: Move, limits: Limits, priority: int) -> None:
    """Raises Refused where the move has no turn and cannot get one."""
    if move.name in turns.held(database, run):
        return
    answer = turns.ask(database, run, [move], limits, priority)
    if not answer.granted:
        full = answer.waiting[0][1]
        holder = full.turns[0] if full.turns else None
        told = f"{holder.move.name} of run {holder.run} has it, which was interrupted" if holder else "another run goes first"
        way = f": `decamp resume {holder.run}` or `decamp cancel {holder.run}` first" if holder else ""
        raise Refused(f"{full.text}, and {told}{way}")
