"""Identity: a ref is a kind and an id in the cloud that it came from, never a name."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec


class Ref(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Written as `["server", "4f0c..."]`."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def fingerprint(*parts: Any) -> str:
    """128 bits of SHA-256 over the parts as JSON with sorted keys: equal values, equal fingerprint, on every machine."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:32]
