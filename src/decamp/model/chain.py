"""Runs that follow each other, the one taking up the other's rest: one thing for those who wait for it."""

from __future__ import annotations

import enum

import msgspec

from decamp.model.plan import Plan, VacateGoal, Verb
from decamp.model.run import ActionState, Conclusion, RunReport, RunState


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a chain."""

    plan: Plan
    report: RunReport
    gone: frozenset[str] = frozenset()
    """Actions that are done since their server was not there any more."""

    @property
    def releases(self) -> bool:
        """It only gives hosts back."""
        verbs = {action.verb for action in self.plan.actions}
        return isinstance(self.plan.goal, VacateGoal) and verbs == {Verb.ENABLE_SERVICE}

    def done(self, verb: Verb) -> frozenset[str]:
        """Ids of the targets of actions with this verb that are done."""
        return frozenset(one.target.id for one in self.report.actions if one.verb is verb and one.state is ActionState.DONE)

    def tried(self, verb: Verb) -> frozenset[str]:
        """The same of those that were begun: they may have had an effect."""
        return frozenset(one.target.id for one in self.report.actions if one.verb is verb and one.attempts)


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    links: tuple[Link, ...]
    """The first run first."""

    @property
    def id(self) -> str:
        return self.links[0].report.id

    @property
    def last(self) -> RunReport:
        return self.links[-1].report

    @property
    def state(self) -> RunState:
        return self.last.whole

    @property
    def fresh(self) -> tuple[Link, ...]:
        """Those since somebody resumed what was concluded: what failed before does not count."""
        reopened = [number for number, link in enumerate(self.links, 1) if link.report.reopened_at]
        return self.links[max(reopened, default=0) :]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Those that the first plan was to free."""
        return tuple(dict.fromkeys(one.target.id for one in self.links[0].plan.actions if one.verb is Verb.DISABLE_SERVICE))

    @property
    def freed(self) -> frozenset[str]:
        return frozenset(host for link in self.links for host in link.done(Verb.DELETE_SERVICE))

    @property
    def conclusion(self) -> Conclusion | None:
        """The last word on why nothing follows, but what leaves the cloud clean."""
        return next((link.report.conclusion for link in reversed(self.fresh) if link.report.conclusion), None)


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """What is done next."""

    plan: Plan
    conclusion: Conclusion | None = None
    """Why nothing more is planned after it, where it only leaves the cloud clean."""


class HostOutcome(enum.StrEnum):
    FREED = "freed"
    """Proved empty, its compute service deleted."""
    STAYS = "stays"
    """It is not freed, and takes servers as before the first run."""
    STAYS_DISABLED = "stays_disabled"
    """It is not freed, and its compute service is disabled still."""
    UNDER_WAY = "under_way"
    """It is to be freed still."""


class HostAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a host that the first plan was to free."""

    host: str
    outcome: HostOutcome
    run: str = ""
    """The run that freed it, or that tried it last."""
    text: str = ""
    """Why it stays."""


class ServerOutcome(enum.StrEnum):
    MOVED = "moved"
    SHELVED = "shelved"
    GONE = "gone"
    """It left by itself: deleted or shelved by somebody else, or nobody looked where it is now."""
    STAYS = "stays"
    """It is still where it was; the text says why."""
    HARMED = "harmed"
    """Its migration failed and left it in ERROR, in the middle, or on both hosts: somebody has to look at it."""
    UNDER_WAY = "under_way"
    """It is to be moved still."""


class ServerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a server that was on a host that the first plan was to free."""

    server: str
    outcome: ServerOutcome
    host: str | None = None
    """Where it is, as far as it is known."""
    reason: str = ""
    """Of its refusal."""
    text: str = ""


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """An action that goes on."""

    id: str
    started_at: str | None
    said: str
    progress: tuple[int, int] | None
    bytes: int
    """That it is expected to move; 0: it moves none."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How far a chain of runs has come."""

    state: RunState
    doing: str
    """What is done between two runs; empty while one goes on."""
    wave: int
    """How many runs there are by now."""
    hosts_freed: int
    hosts: int
    servers_moved: int
    """Those that are gone included: they are in nobody's way."""
    servers: int
    bytes: int
    """Moved, or on their way."""
    bytes_total: int
    """With those that the last plan has still to move."""
    bytes_per_second: float
    """Of late."""
    seconds: float
    """Since the first run began."""
    seconds_left: float | None
    """From the last plan's forecast and from what was measured; null: nobody can say."""
    in_flight: tuple[InFlight, ...]
