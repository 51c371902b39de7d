"""Flavors, with their extra specs and access lists. The mark is a suffix of the description (compute 2.55), in the create call.

A copy gets the old flavor's own id, which templates may name, where the new cloud has not given it to another. Access is given to
those projects whose copies are known. Servers tell their flavor in two ways: by id below compute 2.47, by its content from there on,
which outlives the flavor; `embedded` reads the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.refs import fingerprint
from decamp.model.survey import Resource
from decamp.resources import access, calls
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, marked, unmarked
from decamp.resources.removing import removed
from decamp.resources.specs import differences, pair, sealed

NAME = "flavor"

ATTRIBUTES = (
    *kept("vcpus", "description", "rxtx_factor", "extra_specs", ram_mib="ram", disk_gib="disk", swap_mib="swap"),
    *kept(ephemeral_gib="OS-FLV-EXT-DATA:ephemeral", public="os-flavor-access:is_public"),
    *mapped_as(how="for projects that are moved or were", access="flavor_access"),
    *changed("name", how="kept by a copy; a flavor of the new cloud with equal amounts and extra specs may have another"),
    *changed("id", how="kept by a copy, unless the new cloud has given it to another"),
    *its_own("links"),
    *lost("OS-FLV-DISABLED:disabled", why="Nova has no call that sets it"),
)
"""The access list is a call of its own."""

_MARKED_FROM = "2.55"
"""Compute microversion that gave flavors a description."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """All that the project may use: public ones, and private ones with access for it."""
    everyone: Json = {"is_public": "None"} if cloud.admin else {}
    for flavor in calls.listed(cloud, "compute", "/flavors/detail", "flavors", everyone):
        found = _whole(cloud, flavor)
        if project is None or not cloud.admin or found.spec["public"] or pair("project", project) in found.spec["access"]:
            yield found


def read(cloud: Cloud, id: str) -> Resource | None:
    flavor = calls.got(cloud, "compute", f"/flavors/{id}", "flavor")
    return _whole(cloud, flavor) if flavor else None


def told(flavor: Json, extra_specs: dict[str, str] | None, projects: Iterable[str]) -> Resource:
    return sealed(
        NAME,
        flavor["id"],
        flavor["name"],
        None,
        (),
        spec=_sizes(flavor)
        | {
            "name": flavor["name"],
            "description": unmarked(flavor.get("description")),
            "rxtx_factor": float(flavor.get("rxtx_factor") or 1),
            "public": flavor.get("os-flavor-access:is_public", True),
            "extra_specs": dict(sorted((extra_specs or {}).items())),
            "access": [pair("project", project) for project in sorted(projects)],
        },
        info={"disabled": flavor.get("OS-FLV-DISABLED:disabled", False), "unreadable": [] if extra_specs is not None else ["extra_specs"]},
    )


def embedded(flavor: Json) -> Resource:
    """What a server was made with (compute 2.47 and later), where no flavor of its name and content is left. The id says so."""
    spec = _sizes(flavor) | {
        "name": flavor["original_name"],
        "description": "",
        "rxtx_factor": 1.0,
        "public": True,
        "extra_specs": dict(sorted(flavor.get("extra_specs", {}).items())),
        "access": [],
    }
    return sealed(NAME, f"gone-{fingerprint(spec)}", flavor["original_name"], None, (), spec, {"gone": True})


def is_of(flavor: Resource, server_flavor: Json) -> bool:
    """Whether the flavor still has the name and content that a server tells of its own. Extra specs count where both are shown."""
    theirs = embedded(server_flavor).spec
    fields = ["name", *_SIZES]
    if "extra_specs" in server_flavor and "extra_specs" not in flavor.info["unreadable"]:
        fields.append("extra_specs")
    return all(flavor.spec[field] == theirs[field] for field in fields)


_SIZES = {"vcpus": "vcpus", "ram_mib": "ram", "disk_gib": "disk", "ephemeral_gib": "OS-FLV-EXT-DATA:ephemeral", "swap_mib": "swap"}
"""Ours to Nova's, for flavors; a server's embedded one says `ephemeral`."""


def _sizes(flavor: Json) -> dict[str, Any]:
    given = {"OS-FLV-EXT-DATA:ephemeral": flavor.get("ephemeral", 0)} | flavor
    return {ours: int(given.get(theirs) or 0) for ours, theirs in _SIZES.items()}


def _whole(cloud: Cloud, flavor: Json) -> Resource:
    """Extra specs come with the flavor from compute 2.61 on; access lists are for admins."""
    extra_specs = flavor.get("extra_specs")
    if extra_specs is None:
        try:
            extra_specs = calls.got(cloud, "compute", f"/flavors/{flavor['id']}/os-extra_specs", "extra_specs")
        except Refused:
            extra_specs = None
    projects: list[str] = []
    if cloud.admin and not flavor.get("os-flavor-access:is_public", True):
        projects = [
            one["tenant_id"] for one in calls.got(cloud, "compute", f"/flavors/{flavor['id']}/os-flavor-access", "flavor_access") or []
        ]
    return told(flavor, extra_specs, projects)


def find(passage: Passage, resource: Resource) -> str | None:
    for flavor in calls.listed(passage.new, "compute", "/flavors/detail", "flavors", {"is_public": "None"}):
        if mark_of(flavor.get("description")) == passage.mark:
            _complete(passage, resource, flavor["id"])
            return flavor["id"]
    return None


def create(passage: Passage, resource: Resource) -> str:
    """Raises Refused for credentials that may not: then the operator makes it, or maps it."""
    cloud, spec = passage.new, resource.spec
    if not cloud.at_least("compute", _MARKED_FROM):
        raise Refused(f"{cloud.name}: its Nova is older than compute {_MARKED_FROM}: make the flavor {resource.name} there and map it")
    taken = calls.got(cloud, "compute", f"/flavors/{resource.id}", "flavor")
    body = {
        "id": "auto" if taken else resource.id,
        "name": spec["name"],
        "description": marked(spec["description"], passage.mark),
        "rxtx_factor": spec["rxtx_factor"],
        "os-flavor-access:is_public": spec["public"],
        **{theirs: spec[ours] for ours, theirs in _SIZES.items()},
    }
    made = calls.posted(cloud, "compute", "/flavors", {"flavor": body})["flavor"]["id"]
    _complete(passage, resource, made)
    return made


def _complete(passage: Passage, resource: Resource, id: str) -> None:
    there = read(passage.new, id)
    has = there.spec["extra_specs"] if there else {}
    missing = {key: value for key, value in resource.spec["extra_specs"].items() if has.get(key) != value}
    if missing:
        calls.posted(passage.new, "compute", f"/flavors/{id}/os-extra_specs", {"extra_specs": missing})
    admit(passage, resource, id)


def admit(passage: Passage, resource: Resource, id: str) -> None:
    """Give access to the copies, as far as they are known, of all projects that have access to the old flavor."""
    for project in access.lacking(passage, resource, read(passage.new, id)):
        calls.posted(passage.new, "compute", f"/flavors/{id}/action", {"addTenantAccess": {"tenant": project}})


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """A flavor stands for another when their amounts and extra specs are equal, whatever the new cloud calls it."""
    copy = read(passage.new, id)
    return differences(resource, copy, passage.ids, but=("access", "name")) + access.differences(passage, resource, copy)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    removed(cloud, id, expects, read, "compute", f"/flavors/{id}")
