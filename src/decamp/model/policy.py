"""The policy: what the operator allows, in numbers and choices."""

from __future__ import annotations

import enum

import msgspec

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
    concurrency: int = 4
    """Actions of one run at a time."""
    spare_hosts: int = 0
    """Keep free what the largest N hosts can hold."""
    never_touch_hosts: tuple[str, ...] = ()
    never_move_servers: tuple[str, ...] = ()
    locked_servers: LockedServers = LockedServers.REFUSE
    stopped_servers: StoppedServers = StoppedServers.REFUSE
    on_stall: OnStall = OnStall.WAIT
    on_cancel: OnCancel = OnCancel.FINISH
    stall_seconds: float = 600
    """Without progress for so long, a live migration does not converge."""
    migration_timeout_seconds: float = 3600
    stack_timeout_seconds: float = 7200
    node_timeout_seconds: float = 7200
    join_timeout_seconds: float = 1800
    copy_timeout_seconds: float = 86400

    def pins(self, server: Server) -> Pinned | None:
        """Why the server can be migrated neither live nor cold, which policy does not pass over; null: nothing is known against it."""
        if server.pinned is Pinned.LOCKED and self.locked_servers is LockedServers.MIGRATE:
            return None
        return server.pinned
