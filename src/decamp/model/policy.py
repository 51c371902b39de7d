"""The policy: what the operator allows, in numbers and choices."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from decamp.model.limits import Limits
from decamp.model.rates import bytes_per_second
from decamp.model.survey import Pinned, Server


class OnStall(enum.StrEnum):
    """What is done about a live migration that does not converge, or does not end in time."""

    WAIT = "wait"
    """Nothing: it is told, and Nova's own limits decide (live_migration_timeout_action)."""
    FORCE_COMPLETE = "force_complete"
    """Nova pauses the guest, or switches to post-copy, until the rest is copied; where that does not help in time, it is aborted."""
    ABORT_AND_RETRY = "abort_and_retry"
    """The server stays where it is; a follow-up plan tries it again."""
    ABORT_AND_PIN = "abort_and_pin"
    """The server stays where it is, and is not tried again."""


class OnCancel(enum.StrEnum):
    """What a cancel does to migrations in flight."""

    FINISH = "finish"
    """It waits until they have ended, so that no server is left half-way."""
    ABORT = "abort"
    """Live ones are aborted and their servers stay; those that cannot be aborted are waited for."""


class LockedServers(enum.StrEnum):
    """Nova lets admins migrate a server that its owner locked."""

    REFUSE = "refuse"
    MIGRATE = "migrate"


class StoppedServers(enum.StrEnum):
    """What `--keep-stopped` does with a stopped server on a host that is to become free."""

    REFUSE = "refuse"
    SHELVE = "shelve"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    concurrency: int = 8
    """Actions of one run at a time. A vacate has as many as its locks allow, unless it is told otherwise."""
    spare_hosts: int = 0
    """Keep free what the largest N hosts can hold."""
    spare_fraction: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0
    """Keep free this share of what the hosts that take servers can hold."""
    stopped_servers: StoppedServers = StoppedServers.REFUSE
    leaves_within_days: Annotated[float, msgspec.Meta(ge=0)] = 0
    """A host whose servers all leave by themselves within so many days of the survey is left alone."""
    never_touch_hosts: tuple[str, ...] = ()
    never_move_servers: tuple[str, ...] = ()
    locked_servers: LockedServers = LockedServers.REFUSE
    on_stall: OnStall = OnStall.WAIT
    on_cancel: OnCancel = OnCancel.FINISH
    stall_seconds: float = 600
    """Without progress for so long, a live migration does not converge."""
    migration_timeout_seconds: float = 3600
    migration_attempts: Annotated[int, msgspec.Meta(ge=1)] = 3
    """So often a server is tried to be migrated, or a step of a host to be done, before its host stays."""
    retry_seconds: Annotated[float, msgspec.Meta(ge=0)] = 60
    """What may pass by itself is tried again after so long; after twice as long the time after, and so on."""
    migration_rate: str | None = None
    """Bytes a second that the migrations of all runs of one state database take in total, such as 2GB/s; null: as many as they can."""
    moves: int | None = None
    """Servers that are moved to the new cloud at a time, by all runs of one state database; null: as many as their concurrency allows."""
    moves_per_project: int | None = None
    moves_per_host: int | None = None
    """Of each host in the old cloud, as far as the credentials see hosts."""
    copy_rate: str | None = None
    """Bytes a second that all copies of one state database carry in total, such as 100MB/s; null: as many as they can."""
    copy_rate_per_project: str | None = None
    confirm_after_days: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """So long after the last copy of a run was proved, `decamp confirm --due` deletes the old ones; null: only their owners do."""
    wave_hosts: Annotated[int, msgspec.Meta(ge=1)] = 50
    """After so many freed hosts a vacate looks at the cloud again, and plans the rest anew."""
    drain_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    """So does it when more than this share of a plan's hosts cannot be freed as planned."""
    stack_timeout_seconds: float = 7200
    node_timeout_seconds: float = 7200
    join_timeout_seconds: float = 1800
    copy_timeout_seconds: float = 86400

    def __post_init__(self) -> None:
        for name in ("moves", "moves_per_project", "moves_per_host"):
            limit: int | None = getattr(self, name)
            if limit is not None and limit < 1:
                raise ValueError(f"{name}: {limit} would let nothing be moved: 1 at least, or leave it out")
        for name in ("migration_rate", "copy_rate", "copy_rate_per_project"):
            try:
                _rate(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    @property
    def limits(self) -> Limits:
        return Limits(
            moves=self.moves,
            moves_per_project=self.moves_per_project,
            moves_per_host=self.moves_per_host,
            copy_rate=_rate(self.copy_rate),
            copy_rate_per_project=_rate(self.copy_rate_per_project),
        )

    def pins(self, server: Server) -> Pinned | None:
        """Why the server can be migrated neither live nor cold, which policy does not pass over; null: nothing is known against it."""
        if server.pinned is Pinned.LOCKED and self.locked_servers is LockedServers.MIGRATE:
            return None
        return server.pinned


def _rate(text: str | None) -> int | None:
    return None if text is None else bytes_per_second(text)
