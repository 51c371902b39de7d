"""Marks on what has tags or metadata: images, servers, volumes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

UNFINISHED = "decamp-unfinished"
"""Tag of an image whose bytes are not there yet, or not proved yet."""

METADATA_KEY = "decamp_mark"
"""Where a mark stands in metadata."""

_MARK = re.compile(r"decamp-([0-9a-f]{16}|unfinished)")


def without_marks(tags: Iterable[str]) -> list[str]:
    """Sorted, without Decamp's own."""
    return sorted(tag for tag in tags if not _MARK.fullmatch(tag))


def without_mark(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in sorted(metadata.items()) if key != METADATA_KEY}
