"""Secrets of a key manager (Barbican): found and told by name. Their payloads are never read."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import calls, seen_only
from decamp.resources.attributes import refused
from decamp.resources.calls import Json
from decamp.resources.seen_only import create, find, remove, verify

__all__ = ["ATTRIBUTES", "NAME", "create", "export", "find", "read", "remove", "verify"]

NAME = "secret"

WHY = "its owner has to store it in the new key manager: Decamp reads no secret"

ATTRIBUTES = refused("secret_ref", "name", "secret_type", "payload", why="secrets are never read")


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Those of the acting project, the only ones that Barbican lists."""
    if not cloud.has("key-manager") or project not in (None, cloud.project_id):
        return
    offset = 0
    while page := calls.got(cloud, "key_manager", "/secrets", "secrets", {"limit": calls.PAGE, "offset": offset}):
        yield from (told(secret, cloud.project_id) for secret in page)
        offset += len(page)


def read(cloud: Cloud, id: str) -> Resource | None:
    found = calls.got(cloud, "key_manager", f"/secrets/{id}", None) if cloud.has("key-manager") else None
    return told(found, cloud.project_id) if found else None


def told(secret: Json, project: str) -> Resource:
    """Barbican gives no id but at the end of a reference."""
    own = secret["secret_ref"].rstrip("/").rsplit("/", 1)[1]
    return seen_only.told(NAME, own, secret.get("name") or "", project, WHY, type=secret["secret_type"], status=secret["status"])
