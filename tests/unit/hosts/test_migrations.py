from typing import Any

import pytest

from decamp.hosts import migrations
from decamp.hosts.migrations import Stage


def record(id: int, source: str, target: str | None, status: str = "completed") -> dict[str, Any]:
    return {"id": id, "source_compute": source, "dest_compute": target, "status": status}


RECORDS = [
    record(4, "cmp-002", "cmp-003"),
    record(3, "cmp-001", "cmp-002"),
    record(2, "cmp-001", "cmp-003"),
    record(1, "cmp-001", "cmp-002"),
]


def test_the_newest_record_of_exactly_this_way_is_taken() -> None:
    assert migrations.between(RECORDS, "cmp-001", "cmp-002") == RECORDS[1]


def test_records_from_before_the_request_are_not_taken() -> None:
    assert migrations.between(RECORDS, "cmp-001", "cmp-002", after=3) is None


def test_a_record_that_has_no_target_yet_may_be_the_one() -> None:
    waiting = record(5, "cmp-001", None, "accepted")
    assert migrations.between([waiting, *RECORDS], "cmp-001", "cmp-002", after=4) == waiting


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("completed", Stage.DONE),
        ("finished", Stage.UNCONFIRMED),
        ("error", Stage.BROKEN),
        ("running", Stage.UNDER_WAY),
        ("a status of a later Nova", Stage.UNDER_WAY),
    ],
)
def test_a_status_that_is_not_known_proves_nothing(status: str, stage: Stage) -> None:
    assert migrations.stage(record(1, "a", "b", status)) is stage
