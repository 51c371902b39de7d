"""Volume types, with their extra specs and access lists. The mark is a suffix of the description, in the create call.

What a type means is its cloud's affair: its backend, its QoS. So a type of the new cloud stands for one of the old when their names are
equal, and what Cinder lets users see of their extra specs.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import access, calls
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, marked, unmarked
from decamp.resources.neutron import refuse_unsupported
from decamp.resources.removing import removed
from decamp.resources.specs import differences, pair, sealed

NAME = "volume_type"

SEEN_BY_USERS = frozenset({"RESKEY:availability_zones", "multiattach", "replication_enabled"})
"""Extra specs that Cinder shows to everybody (cinder.policies.type_extra_specs: USER_VISIBLE_EXTRA_SPECS)."""

ATTRIBUTES = (
    *its_own("id"),
    *kept("name", "description", how="of a copy; a type that was there needs the same name"),
    *kept(how="of a copy; of a type that was there those that users see", extra_specs="extra_specs"),
    *kept(public="is_public"),
    *mapped_as(how="for projects that are moved or were", access="volume_type_access"),
    *changed("os-volume-type-access:is_public", how="another name of `is_public`"),
    *lost("qos_specs_id", why="limits of the old cloud's backends: a plan says so"),
)
"""The access list and the encryption are calls of their own. A type that encrypts is refused."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """All that the project may use: public ones, and private ones with access for it."""
    everyone: Json = {"is_public": "None"} if cloud.admin else {}
    for volume_type in calls.listed(cloud, "block_storage", "/types", "volume_types", everyone):
        found = _whole(cloud, volume_type)
        if project is None or not cloud.admin or found.spec["public"] or pair("project", project) in found.spec["access"]:
            yield found


def read(cloud: Cloud, id: str) -> Resource | None:
    volume_type = calls.got(cloud, "block_storage", f"/types/{id}", "volume_type")
    return _whole(cloud, volume_type) if volume_type else None


def _whole(cloud: Cloud, volume_type: Json) -> Resource:
    """Access lists and encryption are for admins."""
    path = f"/types/{volume_type['id']}"
    encrypts, projects = False, list[str]()
    if cloud.admin:
        encrypts = bool(calls.got(cloud, "block_storage", f"{path}/encryption", None))
        if not volume_type["is_public"]:
            listed = calls.got(cloud, "block_storage", f"{path}/os-volume-type-access", "volume_type_access") or []
            projects = [one["project_id"] for one in listed]
    return told(volume_type, projects, encrypts=encrypts)


def told(volume_type: Json, projects: Iterable[str], *, encrypts: bool) -> Resource:
    spec = {
        "name": volume_type["name"],
        "description": unmarked(volume_type.get("description")),
        "public": volume_type["is_public"],
        "extra_specs": dict(sorted((volume_type.get("extra_specs") or {}).items())),
        "access": [pair("project", project) for project in sorted(projects)],
    }
    qos = volume_type.get("qos_specs_id")
    info = {"not_carried": [f"its QoS specs {qos}, which are its backend's"] if qos else []}
    unsupported = {"unsupported": ["it encrypts volumes, whose keys stay in the old cloud"]} if encrypts else {}
    return sealed(NAME, volume_type["id"], volume_type["name"], None, (), spec, info | unsupported)


def _seen_by_users(volume_type: Resource) -> dict[str, str]:
    return {name: value for name, value in volume_type.spec["extra_specs"].items() if name in SEEN_BY_USERS}


def find(passage: Passage, resource: Resource) -> str | None:
    for volume_type in calls.listed(passage.new, "block_storage", "/types", "volume_types", {"is_public": "None"}):
        if mark_of(volume_type.get("description")) == passage.mark:
            admit(passage, resource, volume_type["id"])
            return volume_type["id"]
    return None


def create(passage: Passage, resource: Resource) -> str:
    """Raises Refused for credentials that may not: then the operator makes it, or maps it."""
    refuse_unsupported(resource)
    spec = resource.spec
    body = {
        "name": spec["name"],
        "description": marked(spec["description"], passage.mark),
        "os-volume-type-access:is_public": spec["public"],
        "extra_specs": spec["extra_specs"],
    }
    made = calls.posted(passage.new, "block_storage", "/types", {NAME: body})[NAME]["id"]
    admit(passage, resource, made)
    return made


def admit(passage: Passage, resource: Resource, id: str) -> None:
    """Give access to the copies, as far as they are known, of all projects that have access to the old type."""
    for project in access.lacking(passage, resource, read(passage.new, id)):
        calls.posted(passage.new, "block_storage", f"/types/{id}/action", {"addProjectAccess": {"project": project}})


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    raw = calls.got(passage.new, "block_storage", f"/types/{id}", NAME)
    copy = _whole(passage.new, raw) if raw else None
    if copy is None or mark_of(raw.get("description")) == passage.mark:
        told = differences(resource, copy, passage.ids, but=("access",))
    elif (copy.name, _seen_by_users(copy)) != (resource.name, _seen_by_users(resource)):
        told = (f"volume_type {resource.name}: {copy.name} of the new cloud is another type to its users",)
    else:
        told = ()
    return told + access.differences(passage, resource, copy)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Cinder refuses while volumes are of it."""
    removed(cloud, id, expects, read, "block_storage", f"/types/{id}")
