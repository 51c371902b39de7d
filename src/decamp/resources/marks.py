"""Marks in descriptions: how a copy says which action made it, in the very call that made it."""

from __future__ import annotations

import re

_SUFFIX = re.compile(r" ?\[(decamp-[0-9a-f]{16})\]$")

LONGEST_DESCRIPTION = 255
"""Of a Neutron object, in characters (neutron-lib: DESCRIPTION_FIELD_SIZE)."""

ROOM = LONGEST_DESCRIPTION - len(" [decamp-0123456789abcdef]")
"""Characters that a Neutron object's own description may have if a mark is to follow it."""


def marked(description: str | None, mark: str) -> str:
    """The description with the mark after it, in place of any older one."""
    return f"{unmarked(description)} [{mark}]".lstrip()


def unmarked(description: str | None) -> str:
    return _SUFFIX.sub("", description or "")


def mark_of(description: str | None) -> str | None:
    found = _SUFFIX.search(description or "")
    return found[1] if found else None


def too_long_to_mark(description: str | None) -> str | None:
    """Why a Neutron object with this description cannot be copied; null if it can."""
    length = len(unmarked(description))
    if length <= ROOM:
        return None
    return f"its description has {length} characters: more than {ROOM} leave no room for the mark by which a copy is found after a crash"
