"""Quotas of a project, in Nova, Cinder and Neutron, with what is used of them. The id is the project's.

An operator gives a project that is made the limits of the old one. A project that was there keeps its own, and what is to come is compared
with them when a move is planned.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, identity
from decamp.resources.attributes import kept, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import mapped, sealed, unchanged

NAME = "quota"

ATTRIBUTES = (
    *mapped_as(how="the project", project="id"),
    *kept(how="each limit that both clouds know, of a project that is made", compute="compute quota_set", block_storage="volume quota_set"),
    *kept(how="each limit that both clouds know, of a project that is made", network="network quota"),
)

SERVICES: dict[str, tuple[str, str, Json, str, str]] = {
    "compute": ("/os-quota-sets/{}/detail", "/os-quota-sets/{}", {}, "quota_set", "in_use"),
    "block_storage": ("/os-quota-sets/{}", "/os-quota-sets/{}", {"usage": "true"}, "quota_set", "in_use"),
    "network": ("/quotas/{}/details", "/quotas/{}", {}, "quota", "used"),
}
"""Service -> path to read, path to write, query, key, and how it calls what is used."""

AT_A_TIME = 4


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    wanted = project or (None if cloud.admin else cloud.project_id)
    projects = [wanted] if wanted else [one["id"] for one in identity.listed(cloud, "project")]
    with ThreadPoolExecutor(AT_A_TIME, "quotas") as pool:
        yield from pool.map(lambda one: _read(cloud, one), projects)


def read(cloud: Cloud, id: str) -> Resource | None:
    """Null where the project is not there, as far as these credentials may know."""
    if cloud.admin and identity.got(cloud, "project", id) is None:
        return None
    return _read(cloud, id)


def _read(cloud: Cloud, id: str) -> Resource:
    shown = {service: _of_service(cloud, service, id) for service in SERVICES}
    return told(id, shown)


def _of_service(cloud: Cloud, service: str, id: str) -> Json | None:
    path, _, query, key, _ = SERVICES[service]
    try:
        return calls.got(cloud, service, path.format(id), key, query)
    except Refused:
        return None


def told(project: str, shown: dict[str, Json | None]) -> Resource:
    """What a service does not show to these credentials is `unreadable`, and null in the spec."""
    limits: dict[str, Any] = {}
    used: dict[str, Any] = {}
    for service, quota in shown.items():
        counted = {name: value for name, value in sorted(quota.items()) if isinstance(value, dict)} if quota else {}
        limits[service] = {name: value["limit"] for name, value in counted.items()} if quota else None
        used[service] = {name: value[SERVICES[service][4]] + value["reserved"] for name, value in counted.items()}
    unreadable = [service for service, quota in shown.items() if quota is None]
    spec = {"project": ["project", project], **limits}
    return sealed(NAME, project, "", project, [Ref("project", project)], spec, {"used": used, "unreadable": unreadable})


def find(passage: Passage, resource: Resource) -> str | None:
    """Limits that are equal are as good as set."""
    project = mapped(passage.ids, resource.spec["project"])
    return None if verify(passage, resource, project) else project


def create(passage: Passage, resource: Resource) -> str:
    """Limits of names that the new cloud does not know are left out."""
    project = mapped(passage.ids, resource.spec["project"])
    there = _read(passage.new, project)
    for service, (_, path, _, key, _) in SERVICES.items():
        known = there.spec[service] or {}
        limits = {name: limit for name, limit in (resource.spec[service] or {}).items() if known.get(name, limit) != limit}
        if limits:
            calls.put(passage.new, service, path.format(project), {key: limits})
    return project


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    copy = read(passage.new, id)
    if copy is None:
        return (f"quota: project {id} is not there",)
    told: list[str] = []
    for service in SERVICES:
        known = copy.spec[service] or {}
        for name, limit in (resource.spec[service] or {}).items():
            if name in known and known[name] != limit:
                told.append(f"quota of project {id}: {service} {name} should be {limit} and is {known[name]}")
    return tuple(told)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Back to the defaults. Nothing to do where the project is gone."""
    there = read(cloud, id)
    if there is None:
        return
    unchanged(there, expects, cloud.name)
    for service, (_, path, _, _, _) in SERVICES.items():
        calls.deleted(cloud, service, path.format(id))
