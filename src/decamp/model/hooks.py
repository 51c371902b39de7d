"""Commands of the owner's that a move runs around the hand-over of each server."""

from __future__ import annotations

import enum

import msgspec


class When(enum.StrEnum):
    """At which moment of a server's move. Those before the lock can still call it off: the old server then runs again."""

    BEFORE_STOP = "before_stop"
    """Before the old server is stopped: to drain it, to bring its data to rest. Not for servers that are stopped already."""
    AFTER_COPY = "after_copy"
    """When the contents of its disks are in the new cloud, before the new server is made. Not where no contents are carried."""
    AFTER_START = "after_start"
    """When the new server is ACTIVE. Not for servers that arrive stopped."""
    VERIFY = "verify"
    """After that: whether the application works. Only then the old server is locked, and floating addresses follow."""


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    command: tuple[str, ...]
    """An argument list; of a `shell`, one text for /bin/sh -c."""
    shell: bool = False
    timeout_seconds: float = 600

    def __str__(self) -> str:
        return self.command[0] if self.shell else " ".join(self.command)
