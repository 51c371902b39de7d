"""Cold migration of one stopped server to one host, confirmed at once: a server that waits for confirmation holds both hosts."""

from __future__ import annotations

from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api, migrations
from decamp.hosts.migrations import Stage, watched
from decamp.hosts.reading import HOST, TASK, read_server, show_server
from decamp.hosts.waiting import wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Failed
from decamp.model.plan import Action
from decamp.model.policy import Policy

Json = dict[str, Any]

AIMED = "2.56"
"""Compute API: from here on a cold migration may name its target."""
MOVED = "VERIFY_RESIZE"


class ColdMigrate:
    """COLD_MIGRATE."""

    def __init__(self, old: Cloud, policy: Policy) -> None:
        self._old = old
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        server = read_server(self._old, action.target.id)
        return server and server.placement_fingerprint()

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """Whatever a crash left, from the request to the confirmation, is taken up."""
        source, target = action.args["from"], action.args["to"]
        server = show_server(self._old, action.target.id)
        if server is None:
            return None
        record = migrations.between(migrations.of_server(self._old, server["id"]), source, target)
        if record is None:
            return None
        stage = migrations.stage(record)
        arrived = server[HOST] == target and stage in {Stage.UNCONFIRMED, Stage.DONE}
        on_its_way = server[TASK] is not None and stage in {Stage.QUEUED, Stage.UNDER_WAY}
        return self._finish(action, attempt, after=record["id"] - 1) if arrived or on_its_way else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        server_id, target = action.target.id, action.args["to"]
        if not self._old.at_least("compute", AIMED):
            raise Failed(
                f"{self._old.name}: its compute API ends before {AIMED}, so that a cold migration cannot be told its target. "
                f"Start server {server_id}, so that it is live-migrated, and make a new plan."
            )
        before = migrations.newest(migrations.of_server(self._old, server_id))
        api.call(self._old, "compute", "POST", f"/servers/{server_id}/action", json={"migrate": {"host": target}})
        return self._finish(action, attempt, after=before)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        server = show_server(self._old, action.target.id)
        if server is None:
            return (f"{action.target} is not there any more",)
        record = migrations.between(migrations.of_server(self._old, server["id"]), action.args["from"], action.args["to"])
        return tuple(_missing(server, record, action.args["to"]))

    def _finish(self, action: Action, attempt: Attempt, *, after: int) -> Outcome:
        server_id, source, target = action.target.id, action.args["from"], action.args["to"]
        waiting = {"seconds": self._policy.migration_timeout_seconds, "cancelled": attempt.cancelled}

        def look(wanted: set[Stage]) -> Json | None:
            record = migrations.between(migrations.of_server(self._old, server_id), source, target, after=after)
            server = watched(self._old, server_id)
            broken = record is not None and migrations.stage(record) is Stage.BROKEN
            if (broken and server[TASK] is None) or server["status"] == "ERROR":
                why = (
                    migrations.reason(self._old, server_id, "migrate")
                    or (server.get("fault") or {}).get("message")
                    or "Nova gives no reason"
                )
                raise Failed(f"The cold migration of {server['name']} from {source} to {target} ended as {server['status']}: {why}")
            settled = server[TASK] is None and record is not None and migrations.stage(record) in wanted
            return server if settled else None

        # a cloud with resize_confirm_window confirms by itself
        server = wait(lambda: look({Stage.UNCONFIRMED, Stage.DONE}), f"the cold migration of server {server_id} to {target}", **waiting)
        if server[HOST] != target:
            raise Failed(
                f"Server {server_id} was migrated to {server[HOST]}, not to {target}: revert that (`openstack server resize revert`)."
            )
        if server["status"] == MOVED:
            api.call(self._old, "compute", "POST", f"/servers/{server_id}/action", json={"confirmResize": None})
        wait(lambda: look({Stage.DONE}), f"the confirmation of the cold migration of server {server_id}", **waiting)
        return Outcome(said=f"cold-migrated from {source} to {target} and confirmed", facts={"from": source, "to": target})


def _missing(server: Json, record: Json | None, target: str) -> list[str]:
    return [
        sentence
        for holds, sentence in (
            (
                record is not None and migrations.stage(record) is Stage.DONE,
                f"its migration record says {record['status'] if record else 'nothing'}",
            ),
            (server[HOST] == target, f"its host is {server[HOST]}"),
            (server[TASK] is None, f"its task state is {server[TASK]}"),
            (server["status"] not in {"ERROR", MOVED}, f"its status is {server['status']}"),
        )
        if not holds
    ]
