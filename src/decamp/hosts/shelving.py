"""Stopped servers taken off their host: shelved and offloaded, so that nothing holds it; and brought back for an undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api, migrations
from decamp.hosts.migrations import Gone, watched
from decamp.hosts.reading import HOST, TASK, is_down, read_server, show_server
from decamp.hosts.waiting import TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action
from decamp.model.policy import Policy
from decamp.model.setbacks import Failure, Setback

Json = dict[str, Any]

OFFLOADED = "SHELVED_OFFLOADED"
SHELVED = frozenset({"SHELVED", OFFLOADED})
STOPPED = "SHUTOFF"

UNSHELVED_TO_HOST = "2.91"
"""Compute API: from here on an admin may say to which host a server is unshelved."""


class Shelve:
    """SHELVE. A cloud whose shelved_offload_time is not 0 keeps the server on its host until it is told to offload it."""

    def __init__(self, old: Cloud, policy: Policy) -> None:
        self._old = old
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        server = read_server(self._old, action.target.id)
        return server and server.placement_fingerprint()

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        server = show_server(self._old, action.target.id)
        if server is None:
            return None
        under_way = server["status"] in SHELVED or str(server[TASK]).startswith("shelving")
        return self._finish(action, attempt) if under_way else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        server = show_server(self._old, action.target.id)
        if server is not None and server["status"] == STOPPED:
            try:
                _act(self._old, server["id"], "shelve")
            except (Changed, Failed) as error:
                raise _failed(action, Failure.SHELVE_FAILED, f"Nova does not shelve {server['name']}: {error.message}.") from error
        return self._finish(action, attempt)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        server = show_server(self._old, action.target.id)
        if server is None or (server["status"] == OFFLOADED and server[HOST] is None):
            return ()
        return (f"server {server['name']} is {server['status']} on {server[HOST]}",)

    def _finish(self, action: Action, attempt: Attempt) -> Outcome:
        """Waits also when the run is cancelled: a server that is shelved by half is nobody's wish."""
        source = action.args["from"]

        def look() -> Json | None:
            server = watched(self._old, action.target.id)
            # Nova calls it offloaded before it lets go of the host
            if server[TASK] is not None or (server["status"] == OFFLOADED and server[HOST] is not None):
                if is_down(self._old, source):
                    raise _failed(action, Failure.SOURCE_DOWN, f"{source} went down while {server['name']} was shelved.")
                return None
            if server["status"] == "SHELVED":
                _act(self._old, server["id"], "shelveOffload")
                return None
            if server["status"] != OFFLOADED:
                why = migrations.reason(self._old, server["id"], "shelve") or "Nova gives no reason"
                failure = Failure.SERVER_ERROR if server["status"] == "ERROR" else Failure.SHELVE_FAILED
                raise _failed(action, failure, f"{server['name']} was to be shelved, and is {server['status']}: {why}.")
            return server

        try:
            self._wait(look, action, attempt)
        except Gone as gone:
            return Outcome(said=f"{gone.message}: nothing is left to shelve", facts={"gone": True})
        return Outcome(said=f"shelved and offloaded from {source}", facts={"from": source, "status": STOPPED})

    def _wait(self, look: Callable[[], Json | None], action: Action, attempt: Attempt) -> None:
        seconds = self._policy.migration_timeout_seconds
        try:
            wait(look, f"server {action.target.id} to be shelved", seconds=seconds, cancelled=attempt.leaving)
        except TooLate as late:
            raise _failed(action, Failure.TIMED_OUT, f"{late.message} Nova goes on with it: wait and resume.") from late


class Unshelve:
    """UNSHELVE. Nova brings a server back running: it is stopped as soon as it is, since it was stopped before."""

    def __init__(self, old: Cloud, policy: Policy) -> None:
        self._old = old
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        server = show_server(self._old, action.target.id)
        begun = server is not None and (server["status"] not in SHELVED or server[TASK] is not None)
        return self._finish(action, attempt) if begun else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        server = show_server(self._old, action.target.id)
        if server is not None and server["status"] in SHELVED:
            target = action.args.get("to")
            aimed = target is not None and self._old.at_least("compute", UNSHELVED_TO_HOST) and not is_down(self._old, target)
            _act(self._old, server["id"], "unshelve", {"host": target} if aimed else None)
        return self._finish(action, attempt)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        server = show_server(self._old, action.target.id)
        return () if server is None or server["status"] == STOPPED else (f"server {server['name']} is {server['status']}",)

    def _finish(self, action: Action, attempt: Attempt) -> Outcome:
        def look() -> Json | None:
            server = watched(self._old, action.target.id)
            if server[TASK] is not None:
                return None
            if server["status"] in SHELVED | {"ERROR"}:
                why = migrations.reason(self._old, server["id"], "unshelve") or "Nova gives no reason"
                raise Failed(f"{server['name']} was to be unshelved, and is {server['status']}: {why}. Make room for it, then resume.")
            if server["status"] == "ACTIVE":
                _act(self._old, server["id"], "os-stop")
                return None
            return server

        seconds = self._policy.migration_timeout_seconds
        try:
            server = wait(look, f"server {action.target.id} to be unshelved", seconds=seconds, cancelled=attempt.leaving)
        except Gone as gone:
            return Outcome(said=f"{gone.message}: nothing is left to unshelve", facts={"gone": True})
        return Outcome(said=f"unshelved to {server[HOST]}, and stopped as it was", facts={"to": server[HOST]})


def _act(cloud: Cloud, server: str, verb: str, arguments: Json | None = None) -> None:
    api.call(cloud, "compute", "POST", f"/servers/{server}/action", json={verb: arguments})


def _failed(action: Action, failure: Failure, text: str) -> Failed:
    return Failed(text, setback=Setback(failure=failure, servers=(action.target.id,), host=action.args["from"]))
