"""Nova's migration records: which one moved a server from one host to another, and how it stands."""

from __future__ import annotations

import enum
from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api
from decamp.hosts.reading import TASK, show_server
from decamp.model.errors import Changed, Failed

Json = dict[str, Any]


class Stage(enum.StrEnum):
    """What a migration's status means to those who wait for it."""

    QUEUED = "queued"
    """Asked for; the server's task state tells whether anybody still works on it."""
    UNDER_WAY = "under_way"
    UNCONFIRMED = "unconfirmed"
    """A cold migration that waits to be confirmed or reverted, and holds both hosts."""
    DONE = "done"
    BROKEN = "broken"


STAGES = {
    "accepted": Stage.QUEUED,
    "queued": Stage.UNDER_WAY,
    "pre-migrating": Stage.UNDER_WAY,
    "preparing": Stage.UNDER_WAY,
    "migrating": Stage.UNDER_WAY,
    "running": Stage.UNDER_WAY,
    "running (post-copy)": Stage.UNDER_WAY,
    "post-migrating": Stage.UNDER_WAY,
    "finished": Stage.UNCONFIRMED,
    "confirming": Stage.UNDER_WAY,
    "reverting": Stage.UNDER_WAY,
    "completed": Stage.DONE,
    "confirmed": Stage.DONE,
    "done": Stage.DONE,
    "reverted": Stage.BROKEN,
    "cancelled": Stage.BROKEN,
    "error": Stage.BROKEN,
    "failed": Stage.BROKEN,
}
"""Status of a migration record (Nova's contributor guide, "Compute service: live and cold migration"; evacuations end in `done`)."""

OPEN = frozenset({Stage.QUEUED, Stage.UNDER_WAY, Stage.UNCONFIRMED})
"""Stages in which a migration holds both hosts, as long as somebody works on it."""


def stage(record: Json) -> Stage:
    """A status that is not known counts as under way: it proves nothing."""
    return STAGES.get(record["status"], Stage.UNDER_WAY)


def of_server(cloud: Cloud, server: str) -> list[Json]:
    """All records of one server, the newest first."""
    records = api.pages(cloud, "compute", "/os-migrations", "migrations", marker="uuid", instance_uuid=server)
    return sorted(records, key=lambda record: record["id"], reverse=True)


def between(records: list[Json], source: str, target: str, *, after: int = 0) -> Json | None:
    """The newest record of a way from `source` to `target` whose id is above `after`; one that has no target yet may become that."""
    ways = (record for record in records if record["id"] > after and record["source_compute"] == source)
    return next((record for record in ways if record.get("dest_compute") in {target, None}), None)


def newest(records: list[Json]) -> int:
    return max((record["id"] for record in records), default=0)


def of_host(cloud: Cloud, host: str) -> list[Json]:
    """Records from or to exactly that host."""
    records = api.pages(cloud, "compute", "/os-migrations", "migrations", marker="uuid", host=host)
    return [record for record in records if host in {record["source_compute"], record.get("dest_compute")}]


def open_on(cloud: Cloud, host: str) -> list[Json]:
    """Records from or to exactly that host which hold it: under way, or waiting to be confirmed."""
    return [record for record in of_host(cloud, host) if _is_open(cloud, record)]


def open_anywhere(cloud: Cloud) -> list[Json]:
    """The same, of the whole cloud."""

    def with_status(status: str) -> list[Json]:
        return list(api.pages(cloud, "compute", "/os-migrations", "migrations", marker="uuid", status=status))

    found = api.together(with_status, [status for status, means in STAGES.items() if means in OPEN])
    return [record for records in found for record in records if _is_open(cloud, record)]


def _is_open(cloud: Cloud, record: Json) -> bool:
    if stage(record) is Stage.QUEUED:
        # a record stays like this where the conductor died: the server's task state tells whether anybody works on it
        server = show_server(cloud, record["instance_uuid"])
        return server is not None and server[TASK] is not None
    return stage(record) in OPEN


class Gone(Changed):
    """The server was deleted while something was done with it."""


def watched(cloud: Cloud, server: str) -> Json:
    """The server, while something is done with it. Raises Gone where it is not there any more."""
    there = show_server(cloud, server)
    if there is None:
        raise Gone(f"{cloud.name}: server {server} is gone")
    return there


def figures(cloud: Cloud, server: str, id: int) -> Json | None:
    """The bytes of a live migration under way; null where it is not. libvirt tells Nova every few seconds, others never."""
    answer = api.look(cloud, "compute", f"/servers/{server}/migrations") or {"migrations": []}
    return next((running for running in answer["migrations"] if running["id"] == id), None)


ABORTABLE = {"running": "2.24", "queued": "2.65", "preparing": "2.65"}
"""Status of a live migration that can be aborted, and the compute API from which on (reference, "Delete (Abort) Migration")."""
FORCEABLE = "running"
"""Status in which it can be made to complete, from compute 2.22 on (reference, "Force Migration Complete Action")."""


def abort(cloud: Cloud, record: Json) -> bool:
    """Ask for the end of a live migration; false where its state does not allow that, now or any more."""
    since = ABORTABLE.get(record["status"])
    if since is None or not cloud.at_least("compute", since):
        return False
    return _asked(cloud, "DELETE", record, "")


def force_complete(cloud: Cloud, record: Json) -> bool:
    """Ask Nova to let a live migration complete at the cost of the guest's running; false where its state does not allow that."""
    return record["status"] == FORCEABLE and _asked(cloud, "POST", record, "/action", json={"force_complete": None})


def _asked(cloud: Cloud, method: str, record: Json, path: str, **options: Any) -> bool:
    try:
        api.call(cloud, "compute", method, f"/servers/{record['instance_uuid']}/migrations/{record['id']}{path}", **options)
    except (Changed, Failed):
        # it ended, or got further, between the look and the request
        return False
    return True


def reason(cloud: Cloud, server: str, act: str) -> str:
    """What Nova noted about the newest `act` (live-migration, migrate, confirmResize) of a server; a clause, or empty."""
    actions = (api.look(cloud, "compute", f"/servers/{server}/os-instance-actions") or {"instanceActions": []})["instanceActions"]
    latest = max((one for one in actions if one["action"] == act), key=lambda one: one["start_time"], default=None)
    if latest is None:
        return ""
    answer = api.look(cloud, "compute", f"/servers/{server}/os-instance-actions/{latest['request_id']}")
    events = answer["instanceAction"].get("events") or [] if answer else []
    failed = [event for event in events if event.get("result") == "Error"]
    # details since 2.84; a traceback for admins before: its last line is the exception
    told = [event.get("details") or (event.get("traceback") or "").strip().rpartition("\n")[2] for event in failed]
    return "; ".join(dict.fromkeys(" ".join(text.split()) for text in told if text)) or latest.get("message") or ""
