"""Zones of DNS (Designate), with their records: found and told."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import calls, seen_only
from decamp.resources.attributes import refused
from decamp.resources.calls import Json
from decamp.resources.neutron import owner
from decamp.resources.seen_only import create, find, remove, verify

__all__ = ["ATTRIBUTES", "NAME", "create", "export", "find", "read", "remove", "verify"]

NAME = "dns_zone"

WHY = "export it with Designate, and import it where its name is delegated to"

ATTRIBUTES = refused("name", "type", "email", "ttl", why="zones are not copied")

_ALL = {"X-Auth-All-Projects": "true"}
"""Designate shows an admin every project's zones only when it is asked like this."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    if not cloud.has("dns"):
        return
    mine = owner(cloud, project)
    for zone in _listed(cloud):
        if mine in (None, zone["project_id"]):
            yield told(zone)


def _listed(cloud: Cloud) -> Iterable[Json]:
    """The next page is where `links.next` says."""
    marker: Json = {}
    while True:
        answer = calls.got(cloud, "dns", "/zones", None, {"limit": calls.PAGE, **marker}, headers=_ALL if cloud.admin else {})
        yield from answer["zones"]
        if not answer["zones"] or "next" not in answer.get("links", {}):
            return
        marker = {"marker": answer["zones"][-1]["id"]}


def read(cloud: Cloud, id: str) -> Resource | None:
    found = calls.got(cloud, "dns", f"/zones/{id}", None, headers=_ALL if cloud.admin else {}) if cloud.has("dns") else None
    return told(found) if found else None


def told(zone: Json) -> Resource:
    return seen_only.told(NAME, zone["id"], zone["name"], zone["project_id"], WHY, type=zone["type"], status=zone["status"])
