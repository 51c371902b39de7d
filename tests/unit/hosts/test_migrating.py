from typing import Any

import pytest

from decamp.hosts.migrating import missing


def server(**changes: Any) -> dict[str, Any]:
    return {"OS-EXT-SRV-ATTR:host": "b", "OS-EXT-STS:task_state": None, "status": "ACTIVE", **changes}


COMPLETED = {"id": 1, "status": "completed"}


def test_a_server_on_its_target_without_a_task_and_with_a_completed_record_has_moved() -> None:
    assert missing(server(), COMPLETED, "b") == ()


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
    assert missing(there, record, "b") == (told,)
