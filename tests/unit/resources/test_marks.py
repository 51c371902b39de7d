from __future__ import annotations

import pytest

from decamp.resources.marks import LONGEST_DESCRIPTION, ROOM, mark_of, marked, too_long_to_mark, unmarked

MARK = "decamp-3f2a9c0d1e4b5a67"
OTHER = "decamp-0000000000000000"


@pytest.mark.parametrize(
    "description", ["", "web", "ends with a bracket ]", "in [decamp-3f2a9c0d1e4b5a67] the middle", "two\nlines", "[x]"]
)
def test_a_mark_comes_off_as_it_went_on(description: str) -> None:
    assert unmarked(marked(description, MARK)) == description
    assert mark_of(marked(description, MARK)) == MARK


def test_a_description_carries_the_last_mark_alone() -> None:
    assert marked(marked("web", OTHER), MARK) == f"web [{MARK}]"


def test_no_description_is_an_empty_one() -> None:
    assert marked(None, MARK) == f"[{MARK}]"
    assert unmarked(None) == ""
    assert mark_of(None) is None


@pytest.mark.parametrize("description", ["web", "[decamp-3f2a]", "[decamp-3f2a9c0d1e4b5a67] web", "decamp-3f2a9c0d1e4b5a67"])
def test_what_only_resembles_a_mark_is_none(description: str) -> None:
    assert mark_of(description) is None
    assert unmarked(description) == description


def test_the_longest_description_that_is_accepted_fits_with_its_mark() -> None:
    assert too_long_to_mark("x" * ROOM) is None
    assert len(marked("x" * ROOM, MARK)) == LONGEST_DESCRIPTION
    assert "230 characters" in (too_long_to_mark("x" * (ROOM + 1)) or "")


def test_a_mark_that_is_there_already_takes_no_room() -> None:
    assert too_long_to_mark(marked("x" * ROOM, OTHER)) is None
