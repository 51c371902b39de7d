from datetime import UTC, datetime
from typing import Any

import pytest

from decamp.hosts.cold_migration import COLD
from decamp.hosts.live_migration import LIVE
from decamp.hosts.migrating import Way, has_just_failed, missing, way


def server(**changes: Any) -> dict[str, Any]:
    return {"OS-EXT-SRV-ATTR:host": "b", "OS-EXT-STS:task_state": None, "status": "ACTIVE", **changes}


COMPLETED = {"id": 1, "status": "completed"}


def test_a_server_on_its_target_without_a_task_and_with_a_completed_record_has_moved() -> None:
    assert missing(server(), COMPLETED, "b", LIVE.tasks) == ()


def test_what_its_owner_does_with_it_on_its_target_is_no_part_of_the_migration() -> None:
    assert missing(server(**{"OS-EXT-STS:task_state": "image_uploading"}), COMPLETED, "b", LIVE.tasks) == ()


@pytest.mark.parametrize(
    ("there", "record", "told"),
    [
        (server(**{"OS-EXT-SRV-ATTR:host": "a"}), COMPLETED, "its host is a"),
        (server(), {"id": 1, "status": "running"}, "its migration record says running"),
        (server(), None, "its migration record says nothing"),
        (server(**{"OS-EXT-STS:task_state": "migrating"}), COMPLETED, "its task state is migrating"),
        (server(status="ERROR"), COMPLETED, "its status is ERROR"),
        (server(status="VERIFY_RESIZE"), COMPLETED, "its status is VERIFY_RESIZE"),
    ],
)
def test_no_single_sign_proves_that_it_moved(there: dict[str, Any], record: dict[str, Any] | None, told: str) -> None:
    assert missing(there, record, "b", LIVE.tasks) == (told,)


def seen(host: str, task: str | None = None) -> dict[str, Any]:
    return server(**{"OS-EXT-SRV-ATTR:host": host, "OS-EXT-STS:task_state": task})


def record(id: int, status: str, source: str = "a", target: str | None = "b") -> dict[str, Any]:
    return {"id": id, "status": status, "source_compute": source, "dest_compute": target}


@pytest.mark.parametrize(
    ("there", "records", "found"),
    [
        # nothing was asked for, or it is over and has failed
        (seen("a"), [], Way.NONE),
        (seen("a"), [record(1, "error")], Way.NONE),
        (seen("b"), [], Way.NONE),
        # accepted, not recorded yet: as long as Nova works on it
        (seen("a", "migrating"), [], Way.UNCLEAR),
        (seen("a", "migrating"), [record(1, "error")], Way.UNCLEAR),
        # it ended after the server was looked at
        (seen("a", "migrating"), [record(1, "completed")], Way.UNCLEAR),
        # on its way, with its target or before the scheduler has confirmed it
        (seen("a", "migrating"), [record(1, "accepted", target=None)], 1),
        (seen("a", "migrating"), [record(2, "running"), record(1, "completed")], 2),
        (seen("b"), [record(1, "running")], 1),
        # arrived
        (seen("b"), [record(1, "completed")], 1),
        (seen("b", "rebooting"), [record(1, "completed")], 1),
        # somebody else's, or of a conductor that died
        (seen("a", "migrating"), [record(1, "running", target="c")], Way.NONE),
        (seen("a", "rebooting"), [], Way.NONE),
        (seen("a"), [record(1, "accepted")], Way.NONE),
        (seen("a", "migrating"), [record(1, "accepted", target="c")], Way.UNCLEAR),
        (seen("b"), [record(2, "completed", "c"), record(1, "accepted")], Way.NONE),
    ],
)
def test_after_a_crash_server_and_records_tell_together_what_was_begun(
    there: dict[str, Any], records: list[dict[str, Any]], found: int | Way
) -> None:
    told = way(there, records, "a", "b", LIVE.tasks)
    assert (told if isinstance(told, Way) else told["id"]) == found


@pytest.mark.parametrize("task", ["resize_prep", "resize_migrating", "resize_migrated", "resize_finish"])
def test_a_cold_migration_is_unclear_until_it_is_recorded(task: str) -> None:
    assert way(seen("a", task), [], "a", "b", COLD.tasks) is Way.UNCLEAR


@pytest.mark.parametrize("status", ["finished", "confirming", "confirmed"])
def test_a_cold_migration_is_taken_up_at_every_step_of_its_confirmation(status: str) -> None:
    assert way(seen("b"), [record(1, status)], "a", "b", COLD.tasks) == record(1, status)


@pytest.mark.parametrize(("status", "hour", "just"), [("error", 12, True), ("failed", 13, False), ("completed", 12, False)])
def test_what_failed_a_moment_ago_may_still_be_rolled_back(status: str, hour: int, just: bool) -> None:
    ended = record(1, status) | {"updated_at": "2026-11-23T12:00:00.000000"}
    assert has_just_failed(ended, datetime(2026, 11, 23, hour, 5, tzinfo=UTC)) is just


def test_a_record_that_nova_has_only_just_written_has_not_failed() -> None:
    assert not has_just_failed(record(1, "accepted") | {"updated_at": None}, datetime(2026, 11, 23, tzinfo=UTC))
