"""A run is one application of one plan; these are its states, as tables, and what is reported of it."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from decamp.model.errors import BadInput, Changed, Error, Failed, Refused, Unreachable
from decamp.model.plan import Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.setbacks import Setback
from decamp.model.timing import ALWAYS, Schedule


class ActionState(enum.StrEnum):
    WAITING = "waiting"
    """Not begun: others come before it, or there is no room yet."""
    RUNNING = "running"
    """A worker has it. If that worker dies, it is looked for what the attempt left behind before anything is done again."""
    DONE = "done"
    """Its effect is journaled, and verified."""
    FAILED = "failed"
    """It ended with an error, which says why; `resume` tries it again."""
    SKIPPED = "skipped"
    """Something that comes before it failed; `resume` takes it up again."""
    CANCELLED = "cancelled"
    """It was asked to stop, before it began or at a safe point; `resume` takes it up again."""
    UNDONE = "undone"
    """It was done, and taken back since a hook of its server failed; `resume` does it again."""


ACTION_TRANSITIONS: dict[ActionState, frozenset[ActionState]] = {
    ActionState.WAITING: frozenset({ActionState.RUNNING, ActionState.SKIPPED, ActionState.CANCELLED}),
    ActionState.RUNNING: frozenset({ActionState.RUNNING, ActionState.DONE, ActionState.FAILED, ActionState.CANCELLED, ActionState.WAITING}),
    ActionState.DONE: frozenset({ActionState.UNDONE}),
    ActionState.FAILED: frozenset({ActionState.WAITING, ActionState.DONE}),
    ActionState.SKIPPED: frozenset({ActionState.WAITING}),
    ActionState.CANCELLED: frozenset({ActionState.WAITING, ActionState.DONE}),
    ActionState.UNDONE: frozenset({ActionState.WAITING}),
}
"""running -> running: another worker has taken it over from one that died. -> waiting: the run was resumed.
failed, cancelled -> done: it was settled, and found that an attempt had had its effect after all."""

ENDED = frozenset({ActionState.DONE, ActionState.FAILED, ActionState.SKIPPED, ActionState.CANCELLED, ActionState.UNDONE})
"""An action in one of these is over, until somebody resumes the run."""


class RunState(enum.StrEnum):
    RUNNING = "running"
    """A live worker applies it."""
    INTERRUPTED = "interrupted"
    """It is not over, and no worker lives that would go on with it: resume it."""
    DONE = "done"
    """Every action is done."""
    FAILED = "failed"
    """It is over, and at least one action failed."""
    DRAINED = "drained"
    """It is over, and began nothing more from some moment on, so that its rest is planned anew: another run follows."""
    CANCELLED = "cancelled"
    """It is over since somebody asked for that; what was done stays done."""


RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.RUNNING: frozenset({RunState.INTERRUPTED, RunState.DONE, RunState.FAILED, RunState.DRAINED, RunState.CANCELLED}),
    RunState.INTERRUPTED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.DONE: frozenset(),
    RunState.DRAINED: frozenset(),
    RunState.FAILED: frozenset({RunState.RUNNING}),
    RunState.CANCELLED: frozenset({RunState.RUNNING}),
}


class ActionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One action as it stands now."""

    id: str
    verb: Verb
    target: Ref
    state: ActionState
    attempts: int = 0
    """How many times it was begun, those included that an unreachable service or a crash ended."""
    started_at: str | None = None
    ended_at: str | None = None
    said: str = ""
    """One sentence: what was done, or what it waits for."""
    error: str | None = None
    error_kind: str | None = None
    """Name of the class of the error in model.errors, in lower case: failed, refused, changed, unreachable, bad_input, bug."""
    setback: Setback | None = None
    """The error as those read it who plan the rest."""
    warning: str | None = None
    """What somebody should look at though the action is done."""
    bytes: int = 0
    """Moved over the network."""
    progress: tuple[int, int] | None = None
    """(done, total) in the action's own unit."""
    worker: str | None = None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `decamp runs`."""

    id: str
    plan: str
    goal: dict[str, Any]
    """As in the plan: verb and what belongs to it."""
    state: RunState
    began_at: str
    ended_at: str | None = None
    actions: dict[str, int]
    """State -> how many actions are in it; states without any are left out."""
    undone_by: str | None = None
    """The run that undid it."""
    confirmed_by: str | None = None
    """The run that confirmed it."""
    chain: str = ""
    """The first of the runs that follow each other, of which this is one."""
    whole: RunState
    """State of the chain, as far as this run is its last."""
    waits_until: str | None = None
    """Nothing of it begins before."""
    priority: int = 0


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing follows the last run of a chain, but what leaves the cloud clean."""

    state: RunState
    """Of the chain: done, failed or cancelled."""
    text: str
    refusals: tuple[Refusal, ...] = ()
    """What keeps the hosts that stay, as the last plan said it."""
    where: dict[str, str | None] = {}
    """Server that was planned to be moved and was not -> its host as the last look at the cloud found it; null: it is gone."""


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing can be done now; what failed is tried again after a while."""

    seconds: float
    text: str


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A run with all its actions, in the order of the plan."""

    id: str
    plan: str
    goal: dict[str, Any]
    state: RunState
    concurrency: int
    began_at: str
    ended_at: str | None = None
    cancel_asked_at: str | None = None
    chain: str = ""
    """The first of the runs that follow each other, of which this is one."""
    follows: str | None = None
    """The run whose rest it takes up."""
    drained_at: str | None = None
    """From then on nothing more of it began: its rest is planned anew."""
    concluded_at: str | None = None
    """From then on nothing follows it, but on demand."""
    conclusion: Conclusion | None = None
    reopened_at: str | None = None
    """It was concluded, and resumed: what failed up to here does not count any more."""
    whole: RunState
    """State of the chain, as far as this run is its last."""
    said: str = ""
    """What is done after its end, before its follow-up begins."""
    bytes_per_second: int | None = None
    """What its migrations may take together with those of all runs; null: as much as they can."""
    schedule: Schedule = ALWAYS
    waits_until: str | None = None
    """Nothing of it begins before, but what ends the outage of a server; null: it is open, over, or somebody has cancelled it."""
    actions: tuple[ActionReport, ...] = ()

    def count(self, state: ActionState) -> int:
        return sum(1 for action in self.actions if action.state is state)

    @property
    def bytes(self) -> int:
        return sum(action.bytes for action in self.actions)

    @property
    def exit_code(self) -> int:
        """0 done; that of the errors where all failed actions have the same; else 1."""
        if self.state is RunState.DONE:
            return 0
        codes = {error_class(action.error_kind).exit_code for action in self.actions if action.state is ActionState.FAILED}
        return codes.pop() if len(codes) == 1 else 1


def error_kind(error: Exception) -> str:
    """The kind under which an error is recorded."""
    return next((kind for kind, known in _KINDS.items() if isinstance(error, known)), "bug")


def error_class(kind: str | None) -> type[Error]:
    return _KINDS.get(kind or "", Error)


_KINDS: dict[str, type[Error]] = {
    "failed": Failed,
    "bad_input": BadInput,
    "refused": Refused,
    "changed": Changed,
    "unreachable": Unreachable,
}
