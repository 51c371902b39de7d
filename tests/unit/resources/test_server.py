from __future__ import annotations

from datetime import UTC, datetime

import pytest

from decamp.resources.server import is_lost

MADE = "2026-11-23T12:00:00Z"


@pytest.mark.parametrize(
    ("status", "task", "hour", "lost"),
    [
        ("BUILD", "scheduling", 14, True),
        ("BUILD", None, 14, True),
        ("BUILD", "scheduling", 12, False),
        ("BUILD", "spawning", 14, False),
        ("ACTIVE", None, 14, False),
    ],
)
def test_a_server_that_no_host_was_told_of_in_time_is_lost(status: str, task: str | None, hour: int, lost: bool) -> None:
    server = {"status": status, "OS-EXT-STS:task_state": task, "created": MADE}
    assert is_lost(server, datetime(2026, 11, 23, hour, 30, tzinfo=UTC)) is lost
