"""Live migration of one server to one host: asked for with the scheduler's check, taken up after a crash, proved at the end."""

from __future__ import annotations

from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api, migrations
from decamp.hosts.migrations import Stage, watched
from decamp.hosts.reading import HOST, TASK, read_server, show_server
from decamp.hosts.waiting import TooLate, wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Failed
from decamp.model.plan import Action
from decamp.model.policy import Policy

Json = dict[str, Any]

ACT = "live-migration"


class LiveMigrate:
    """LIVE_MIGRATE. From compute 2.30 on the scheduler checks the target, as nothing is forced; before, Nova takes the host as it is."""

    def __init__(self, old: Cloud, policy: Policy) -> None:
        self._old = old
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        server = read_server(self._old, action.target.id)
        return server and server.placement_fingerprint()

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        source, target = action.args["from"], action.args["to"]
        server = show_server(self._old, action.target.id)
        if server is None:
            return None
        record = migrations.between(migrations.of_server(self._old, server["id"]), source, target)
        if record is None:
            return None
        arrived = server[HOST] == target and migrations.stage(record) is Stage.DONE
        on_its_way = server[TASK] == "migrating" and migrations.stage(record) in {Stage.QUEUED, Stage.UNDER_WAY}
        return self._wait(action, attempt, after=record["id"] - 1) if arrived or on_its_way else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        server_id, target = action.target.id, action.args["to"]
        before = migrations.newest(migrations.of_server(self._old, server_id))
        body: Json = {"host": target, "block_migration": action.args.get("block_migration", "auto")}
        api.call(self._old, "compute", "POST", f"/servers/{server_id}/action", json={"os-migrateLive": body})
        return self._wait(action, attempt, after=before)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        server = show_server(self._old, action.target.id)
        if server is None:
            return (f"{action.target} is not there any more",)
        record = migrations.between(migrations.of_server(self._old, server["id"]), action.args["from"], action.args["to"])
        return tuple(_missing(server, record, action.args["to"]))

    def _wait(self, action: Action, attempt: Attempt, *, after: int) -> Outcome:
        server_id, source, target = action.target.id, action.args["from"], action.args["to"]
        moved = 0
        last: list[str] = []

        def look() -> Json | None:
            nonlocal moved, last
            # the record first: a server that is looked at after it was completed must have arrived
            record = migrations.between(migrations.of_server(self._old, server_id), source, target, after=after)
            server = watched(self._old, server_id)
            if record and migrations.stage(record) is Stage.BROKEN and server[TASK] is None:
                why = migrations.reason(self._old, server_id, ACT) or "Nova gives no reason"
                raise Failed(
                    f"The live migration {record['id']} of {server['name']} from {source} to {target} ended as {record['status']}: {why}"
                )
            last = _missing(server, record, target)
            if not last:
                return record
            moved = max(moved, self._progress(server_id, attempt))
            return None

        try:
            record = wait(
                look,
                f"the live migration of server {server_id} from {source} to {target}",
                seconds=self._policy.migration_timeout_seconds,
                cancelled=attempt.cancelled,
            )
        except TooLate as late:
            raise Failed(
                f"{late.message} Still: {'; '.join(last)}. Nova goes on with it: wait and resume, make it end with `openstack server "
                f"migration force complete {server_id} MIGRATION`, or end it with `openstack server migration abort {server_id} MIGRATION`."
            ) from late
        return Outcome(
            bytes=moved,
            said=f"live-migrated from {source} to {target} (migration {record['id']})",
            facts={"from": source, "to": target, "migration": record["id"]},
        )

    def _progress(self, id: str, attempt: Attempt) -> int:
        """Bytes moved so far, as the hypervisor tells Nova: libvirt about every half a minute, others never."""
        answer = api.look(self._old, "compute", f"/servers/{id}/migrations") or {"migrations": []}
        for running in answer["migrations"]:
            whole, left = (sum(running[f"{what}_{part}_bytes"] or 0 for what in ("memory", "disk")) for part in ("total", "remaining"))
            if whole:
                attempt.progress(whole - left, whole)
            return sum(running[f"{what}_processed_bytes"] or 0 for what in ("memory", "disk"))
        return 0


def _missing(server: Json, record: Json | None, target: str) -> list[str]:
    """Why it is not moved yet. A completed record whose server still is at the source has been seen, and so has the reverse."""
    return [
        sentence
        for holds, sentence in (
            (
                record is not None and migrations.stage(record) is Stage.DONE,
                f"its migration record says {record['status'] if record else 'nothing'}",
            ),
            (server[HOST] == target, f"its host is {server[HOST]}"),
            (server[TASK] is None, f"its task state is {server[TASK]}"),
            (server["status"] != "ERROR", "its status is ERROR"),
        )
        if not holds
    ]
