"""Members of a Heat stack: what it made, and where it has it."""

from __future__ import annotations

from typing import Any

import msgspec


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stack has it: in `args` of its action."""

    stack: str
    """The old stack's id."""
    path: str
    """Its name in the template, after those of the nested stacks that it is in (`web/0`); of a port that Nova made, its server's."""
    nic: int | None = None
    """Which of the server's ports it is, in the order of the interfaces; null: it is the member itself."""
    server: str | None = None
    """Of a volume: the path of the server that has it; null: none has."""
    attachment: dict[str, Any] = {}
    """How it has it: what is asked of Nova beside the volume's id."""
