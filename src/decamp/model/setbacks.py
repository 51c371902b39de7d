"""Why a host could not be emptied as planned, in words that a program reads: carried by errors, for whoever plans the rest."""

from __future__ import annotations

import enum

import msgspec


class Retry(enum.StrEnum):
    """What sense there is in planning it again."""

    ELSEWHERE = "elsewhere"
    """Now, to any host but the one that is named."""
    LATER = "later"
    """With a fresh survey, to any host: what stood in the way may have passed."""
    NEVER = "never"
    """Not before a person has looked at the server."""


class Failure(enum.StrEnum):
    """What went wrong. `retry` says what sense there is in another attempt."""

    NO_VALID_HOST = "no_valid_host"
    """Nova's scheduler refused the target. Elsewhere."""
    REJECTED = "rejected"
    """Nova did not accept the request, and the server is as it was. Elsewhere."""
    ROLLED_BACK = "rolled_back"
    """The migration broke off, and the server is on its source as before. Elsewhere."""
    TARGET_DOWN = "target_down"
    """The target's nova-compute does not report. Elsewhere."""
    SOURCE_DOWN = "source_down"
    """The source's nova-compute does not report: nothing can leave it until it does. Later."""
    STALLED = "stalled"
    """It did not converge and was aborted: the guest changes its memory faster than it is copied. Later."""
    PINNED = "pinned"
    """The same, and policy says not to try again (abort_and_pin). Never."""
    TIMED_OUT = "timed_out"
    """It did not end in the time that policy gives; Nova may still be at it. Later."""
    ABORTED = "aborted"
    """Somebody aborted it, or the run was cancelled; the server is on its source as before. Later."""
    CONFIRM_FAILED = "confirm_failed"
    """It was cold-migrated, and the confirmation failed: it may hold both hosts. Never."""
    WRONG_HOST = "wrong_host"
    """It arrived, but not where it was sent. Later."""
    SHELVE_FAILED = "shelve_failed"
    """It was not shelved, and is on its host as before. Later."""
    SERVER_ERROR = "server_error"
    """The server is in ERROR: Nova may have left it between two hosts. It is never reset by Decamp. Never."""
    SERVER_STUCK = "server_stuck"
    """Its migration is over, and its task state is not: nobody works on it any more. It is never reset by Decamp. Never."""
    SERVER_CHANGED = "server_changed"
    """Its host, status or task is another than when it was planned. Later."""
    SERVER_CAME = "server_came"
    """Servers are on the host that the plan does not know. Later."""
    HOST_NOT_EMPTY = "host_not_empty"
    """Something holds the host after all was moved. Later."""

    @property
    def retry(self) -> Retry:
        return RETRIES.get(self, Retry.LATER)


RETRIES: dict[Failure, Retry] = {
    Failure.NO_VALID_HOST: Retry.ELSEWHERE,
    Failure.REJECTED: Retry.ELSEWHERE,
    Failure.ROLLED_BACK: Retry.ELSEWHERE,
    Failure.TARGET_DOWN: Retry.ELSEWHERE,
    Failure.PINNED: Retry.NEVER,
    Failure.CONFIRM_FAILED: Retry.NEVER,
    Failure.SERVER_ERROR: Retry.NEVER,
    Failure.SERVER_STUCK: Retry.NEVER,
}
"""Those that are not worth another attempt just as they are; the others are."""


HARMFUL = frozenset({Failure.SERVER_ERROR, Failure.SERVER_STUCK, Failure.CONFIRM_FAILED})
"""Those that leave the server worse than it was: what did that to one is not given another."""


class Setback(msgspec.Struct, frozen=True, kw_only=True):
    failure: Failure
    servers: tuple[str, ...] = ()
    """Ids of those that it is about: the one that was to be migrated, or those that came."""
    host: str | None = None
    """The one that it is about: for a retry elsewhere, the host to avoid."""
