"""What is done to the servers of the old cloud when their copies take over: stop and lock; and the way back: unlock and start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from decamp.clouds import Cloud
from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.errors import Changed, Refused
from decamp.model.plan import Action, Verb
from decamp.resources import server
from decamp.resources.calls import Json
from decamp.resources.server_reading import got

OUR_REASON = "moved by Decamp"
"""How the reasons of our locks begin, so that they can be told from their owners' own."""

STOPPABLE = frozenset({"ACTIVE", "ERROR"})
"""States from which Nova stops a server (nova.compute.api: stop)."""


def performers(old: Cloud) -> dict[Verb, Performer]:
    """For the servers of that cloud, by verb."""
    return {
        Verb.STOP_SERVER: _ServerVerb(old, "stopped", _is_stopped, _stop),
        Verb.START_SERVER: _ServerVerb(old, "running", _is_running, _start),
        Verb.LOCK_SERVER: _ServerVerb(old, "locked", _is_locked, _lock),
        Verb.UNLOCK_SERVER: _ServerVerb(old, "unlocked", lambda there: not _is_locked(there), _unlock),
    }


class _ServerVerb:
    """Brings a server into a state and proves that it is in it."""

    def __init__(
        self, cloud: Cloud, state: str, is_in_it: Callable[[Json], bool], bring: Callable[[Cloud, Action, Attempt, Json], None]
    ) -> None:
        self._cloud = cloud
        self._state = state
        self._is_in_it = is_in_it
        self._bring = bring

    def fingerprint(self, action: Action) -> str | None:
        there = server.read(self._cloud, action.target.id)
        return there.fingerprint if there else None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        there = self._there(action)
        return self._outcome(action, there, f"was {self._state}") if self._is_in_it(there) else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        before = self._there(action)
        if self._is_in_it(before):
            return self._outcome(action, before, f"was {self._state}")
        self._bring(self._cloud, action, attempt, before)
        return self._outcome(action, before, f"is {self._state}")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        there = self._there(action)
        return () if self._is_in_it(there) else (f"server {there['name']} is not {self._state}: it is {_shown(there)}",)

    def _there(self, action: Action) -> Json:
        there = got(self._cloud, action.target.id)
        if there is None:
            raise Changed(f"{self._cloud.name}: server {action.target.id} is gone")
        return there

    def _outcome(self, action: Action, before: Json, said: str) -> Outcome:
        """Facts: what it was before the run touched it. After an earlier attempt the plan tells the status, a lock's reason whose it is."""
        planned = action.changes.get("status")
        status = planned[0] if planned and self._state == "stopped" else before["status"]
        locked = bool(before.get("locked")) and not (before.get("locked_reason") or "").startswith(OUR_REASON)
        return Outcome(said=f"server {before['name']} {said}", facts={"status": status, "status_before": status, "locked": locked})


def _shown(there: Json) -> str:
    task = there.get("OS-EXT-STS:task_state")
    return f"{there['status']}{f', {task}' if task else ''}{', locked' if there.get('locked') else ''}"


def _is_stopped(there: Json) -> bool:
    return there["status"] == "SHUTOFF" and there.get("OS-EXT-STS:task_state") is None


def _is_running(there: Json) -> bool:
    return there["status"] == "ACTIVE" and there.get("OS-EXT-STS:task_state") is None


def _is_locked(there: Json) -> bool:
    """Below compute 2.9 Nova does not show it; locking twice does no harm."""
    return bool(there.get("locked"))


def _stop(cloud: Cloud, action: Action, attempt: Attempt, there: Json) -> None:
    """Raises Refused in a state that cannot be stopped: what is paused, suspended or rescued is its owner's to decide on."""
    if there["status"] not in STOPPABLE and there.get("OS-EXT-STS:task_state") != "powering-off":
        raise Refused(f"{cloud.name}: server {there['name']} is {_shown(there)}: only an active server can be stopped")
    if there.get("locked") and not cloud.admin:
        reason = there.get("locked_reason") or "no reason given"
        raise Refused(f"{cloud.name}: server {there['name']} is locked ({reason}): unlock it, so that it can be stopped")
    if there.get("OS-EXT-STS:task_state") != "powering-off":
        server.act(cloud, there["id"], "os-stop")
    server.wait_status(cloud, there["id"], "SHUTOFF", timeout_seconds=server.POWER_SECONDS, cancelled=attempt.cancelled)


def _start(cloud: Cloud, action: Action, attempt: Attempt, there: Json) -> None:
    if action.args.get("status", "ACTIVE") != "ACTIVE":
        return
    if there.get("OS-EXT-STS:task_state") != "powering-on":
        server.act(cloud, there["id"], "os-start")
    server.wait_status(cloud, there["id"], "ACTIVE", timeout_seconds=server.POWER_SECONDS, cancelled=attempt.cancelled)


def _lock(cloud: Cloud, action: Action, attempt: Attempt, there: Json) -> None:
    reason = f"{OUR_REASON} in run {attempt.run}: waits for confirm or undo"
    arguments: Any = {"locked_reason": reason} if server.takes_lock_reasons(cloud) else None
    server.act(cloud, there["id"], "lock", arguments)


def _unlock(cloud: Cloud, action: Action, attempt: Attempt, there: Json) -> None:
    server.act(cloud, there["id"], "unlock")
