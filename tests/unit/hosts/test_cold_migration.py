from typing import Any

import pytest

from decamp.hosts.cold_migration import has_come_to
from decamp.hosts.migrations import Stage

ARRIVED = frozenset({Stage.UNCONFIRMED, Stage.DONE})
ENDED = frozenset({Stage.DONE})


def server(status: str, task: str | None = None) -> dict[str, Any]:
    return {"OS-EXT-SRV-ATTR:host": "b", "OS-EXT-STS:task_state": task, "status": status}


@pytest.mark.parametrize(
    ("there", "record", "wanted", "come"),
    [
        (server("VERIFY_RESIZE"), "finished", ARRIVED, True),
        (server("SHUTOFF"), "confirmed", ARRIVED, True),
        (server("SHUTOFF"), "confirmed", ENDED, True),
        (server("VERIFY_RESIZE"), "finished", ENDED, False),
        (server("VERIFY_RESIZE"), "confirmed", ENDED, False),
        (server("VERIFY_RESIZE"), "confirmed", ARRIVED, False),
        (server("SHUTOFF", "resize_finish"), "confirmed", ENDED, False),
        (server("SHUTOFF", "image_uploading"), "confirmed", ENDED, True),
        (server("VERIFY_RESIZE", "deleting"), "finished", ARRIVED, False),
        (server("ERROR"), "confirmed", ENDED, False),
    ],
)
def test_a_confirmation_is_over_when_record_and_server_both_say_so(
    there: dict[str, Any], record: str, wanted: frozenset[Stage], come: bool
):
    assert has_come_to(there, {"id": 1, "status": record}, wanted) is come


def test_without_a_record_nothing_is_over():
    assert not has_come_to(server("SHUTOFF"), None, ENDED)
