"""How an action's effect is brought about: the contract between the executor and those who touch clouds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from decamp.model.limits import UNLIMITED, Limits
from decamp.model.plan import Action
from decamp.model.refs import Ref

Pace = Callable[[int], int]
"""How many of so many bytes may go now. Where none may it waits, a second at most, and returns 0: ask again, and whether to go on."""


def unpaced(wanted: int) -> int:
    """All may go at once."""
    return wanted


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an action left behind."""

    id: str | None = None
    """The id in the new cloud of the target's copy, where there is one: it goes into the ledger."""
    fingerprint: str | None = None
    """Of that copy as it was made; `remove` refuses if it differs later."""
    adopted: bool = False
    """It was there before, so undo leaves it."""
    bytes: int = 0
    """Moved over the network."""
    said: str = ""
    """One sentence for people: what was done."""
    facts: dict[str, Any] = {}
    """What undo needs to know and the plan could not: a service's aggregates, a server's status before. Never a secret."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What an action is given beside itself."""

    run: str
    mark: str
    """Equal for every attempt of this action in this run: goes into the create call, so that `find` can see a copy that a crash left."""
    ids: Mapping[Ref, str]
    """Old ref -> id in the new cloud, of all that this project's runs have made or adopted so far."""
    facts: Mapping[str, Any]
    """Action id -> facts of the outcomes of this run's earlier actions."""
    progress: Callable[[int, int], None]
    """Called with (bytes or steps done, total) as often as one likes."""
    cancelled: Callable[[], bool]
    """Whether the operator asked to stop: long waits look at it."""
    pace: Pace = unpaced
    """Asked before bytes go from cloud to cloud."""
    limits: Limits = UNLIMITED
    """What that goes by, for those who ask in another process."""
    number: int = 1
    """Counts the attempts of this action in this run, those included that a crash ended."""
    leaving: Callable[[], bool] = lambda: False
    """Whether this process is about to end, or was taken for dead: what is under way in the cloud is left to it, and found later."""
    settling: bool = False
    """Nothing will be performed after `find`: what goes on without a worker is stopped, and halves are cleaned up."""


class Performer(Protocol):
    """Does one verb. Every method may raise the errors of model.errors; Unreachable is retried, the others end the branch."""

    def fingerprint(self, action: Action) -> str | None:
        """The target's as it is now, to be compared with `expects`; null where the target is not there."""
        ...

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """The effect, if an earlier attempt that did not live to tell has brought it about; halves are taken up or cleaned."""
        ...

    def perform(self, action: Action, attempt: Attempt) -> Outcome: ...

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        """Differences between what the plan asked for and what is there, a sentence each; empty: proved."""
        ...
