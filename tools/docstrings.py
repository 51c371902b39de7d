"""What the members of an enum are documented with."""

from __future__ import annotations

import ast
import enum
import inspect
import itertools


def of_members(members: type[enum.StrEnum]) -> dict[str, str]:
    """Name -> the string that follows the member, which Python itself forgets."""
    body = ast.parse(inspect.getsource(members)).body[0].body  # type: ignore[attr-defined]
    told: dict[str, str] = {}
    for member, text in itertools.pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            told[member.targets[0].id] = " ".join(str(text.value.value).split())  # type: ignore[attr-defined]
    return told
