"""The ledger: which old ref became which new id, in which run, verified or not."""

from __future__ import annotations

from typing import Any

import msgspec

from decamp.model.plan import Verb
from decamp.model.refs import Ref

REMOVED_FROM = "removed_from"
"""Fact of a removal: old, what a confirm deleted there, or new, what an undo did."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    run: str
    action: str
    cloud: str
    """Name of the old cloud: where `ref` is from."""
    ref: Ref
    new_id: str | None
    adopted: bool = False
    fingerprint: str | None = None
    """Of the copy as it was made."""
    facts: dict[str, Any] = {}
    made_at: str = ""
    verified_at: str | None = None
    removed_at: str | None = None
    """Of the copy."""

    @property
    def gave_up(self) -> bool:
        """Whether the old one was deleted, because its owner had confirmed that its copy is good. Removals by earlier versions do not say
        from where: they count as that, since a copy that may be all that there is stays."""
        is_removal = self.new_id is None and self.verified_at is not None and self.action.startswith(f"{Verb.REMOVE}/")
        return is_removal and self.facts.get(REMOVED_FROM, "old") == "old"
