"""Containers of an object store (Swift): found and told. Their objects are carried by the object store's own tools."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import calls, seen_only
from decamp.resources.attributes import refused
from decamp.resources.calls import Json
from decamp.resources.seen_only import create, find, remove, verify

__all__ = ["ATTRIBUTES", "NAME", "create", "export", "find", "read", "remove", "verify"]

NAME = "container"

WHY = "copy its objects by an object store's own tools, such as rclone or container sync"

ATTRIBUTES = refused("name", "count", "bytes", "last_modified", why="objects are not carried")


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Those of the acting project's account; Swift tells nobody of all accounts."""
    if not cloud.has("object-store") or project not in (None, cloud.project_id):
        return
    marker = ""
    while page := calls.got(cloud, "object_store", "/", None, {"format": "json", "limit": calls.PAGE, "marker": marker}):
        yield from (told(container, cloud.project_id) for container in page)
        marker = page[-1]["name"]


def read(cloud: Cloud, id: str) -> Resource | None:
    return next((one for one in export(cloud, None) if one.id == id), None)


def told(container: Json, project: str) -> Resource:
    """Its name is its id. Containers of no account but one's own are seen."""
    sizes = {"objects": container["count"], "bytes": container["bytes"]}
    return seen_only.told(NAME, container["name"], container["name"], project, WHY, **sizes)
