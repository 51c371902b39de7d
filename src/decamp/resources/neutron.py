"""What the kinds of Neutron have in common: how they are listed, found by their mark, created with it, tagged and removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.survey import Resource
from decamp.resources import calls, removing
from decamp.resources.attributes import its_own
from decamp.resources.attributes import owner as owned_by
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, marked, too_long_to_mark, unmarked
from decamp.resources.specs import differences, mapped

OWN = (*owned_by("project_id", "tenant_id"), *its_own("id", "created_at", "updated_at", "revision_number"))
"""Attributes that every object of Neutron has."""

_ELSEWHERE = {
    "floating_ip": ("floatingips", "floatingip"),
    "qos_policy": ("qos/policies", "policy"),
    "rbac_policy": ("rbac-policies", "rbac_policy"),
    "subnet_pool": ("subnetpools", "subnetpool"),
}
"""Kind -> path and key of an object, where they are not made of the kind's name."""

_SHARED_AS = {"subnet_pool": "subnetpool"}
"""Kind -> what RBAC policies call it, where that is not its name."""


def owner(cloud: Cloud, project: str | None) -> str | None:
    """Whose objects are wanted: a tenant's credentials mean the tenant's own; null: everybody's."""
    return project or (None if cloud.admin else cloud.project_id)


def listed(cloud: Cloud, kind: str, **query: Any) -> Iterator[Json]:
    return calls.listed(cloud, "network", path(kind), path(kind).rsplit("/", 1)[1].replace("-", "_"), query)


def owned(cloud: Cloud, kind: str, project: str | None, **query: Any) -> Iterator[Json]:
    """Those of the project; a tenant's listings also show what others share with it, or attach to its networks."""
    mine = owner(cloud, project)
    for one in listed(cloud, kind, **query, **({"project_id": mine} if mine else {})):
        if mine is None or one["project_id"] == mine:
            yield one


def got(cloud: Cloud, kind: str, id: str) -> Json | None:
    return calls.got(cloud, "network", f"{path(kind)}/{id}", key(kind))


def usable(cloud: Cloud, kind: str, project: str | None, told: Callable[[Json], Resource]) -> Iterator[Resource]:
    """The project's own, and those of others that are shared with everybody or, by an RBAC policy, with it. Tenants are shown no others."""
    mine = owner(cloud, project)
    shared_with = granted(cloud, _SHARED_AS.get(kind, kind), mine) if cloud.admin and mine else frozenset[str]()
    for one in listed(cloud, kind):
        if not cloud.admin or mine in (None, one["project_id"]) or one.get("shared") or one["id"] in shared_with:
            yield told(one)


def knows(cloud: Cloud, alias: str) -> bool:
    """Whether this Neutron has the extension."""
    return calls.got(cloud, "network", f"/extensions/{alias}", "extension") is not None


def granted(cloud: Cloud, kind: str, project: str) -> frozenset[str]:
    """Ids of others' objects that RBAC policies let the project use."""
    policies = calls.listed(cloud, "network", "/rbac-policies", "rbac_policies", {"object_type": kind, "target_tenant": project})
    return frozenset(policy["object_id"] for policy in policies)


def path(kind: str) -> str:
    return f"/{_ELSEWHERE[kind][0] if kind in _ELSEWHERE else f'{kind}s'.replace('_', '-')}"


def key(kind: str) -> str:
    """Under which an object stands in requests and answers."""
    return _ELSEWHERE[kind][1] if kind in _ELSEWHERE else kind


def common(neutron_object: Json) -> dict[str, Any]:
    """The fields of a spec that most kinds share."""
    shared = {field: neutron_object[field] for field in ("name", "admin_state_up") if field in neutron_object}
    return shared | {"description": unmarked(neutron_object.get("description")), "tags": sorted(neutron_object.get("tags") or [])}


def unsupported(neutron_object: Json, *reasons: Any) -> dict[str, Any]:
    """For `info`: a sentence for each feature of it that cannot be carried; empty if there is none."""
    told = [reason for reason in (*reasons, too_long_to_mark(neutron_object.get("description"))) if reason]
    return {"unsupported": told} if told else {}


def body(passage: Passage, resource: Resource) -> Json:
    """The create call's common part. Raises Refused where something of the resource cannot be carried."""
    refuse_unsupported(resource)
    spec = resource.spec
    given: Json = {"name": spec["name"], "description": described(resource, passage)}
    if "admin_state_up" in spec:
        given["admin_state_up"] = spec["admin_state_up"]
    return given


def refuse_unsupported(resource: Resource) -> None:
    reasons = resource.info.get("unsupported")
    if reasons:
        raise Refused(f"{resource.kind} {resource.name or resource.id} cannot be copied: {'; '.join(reasons)}")


def described(resource: Resource, passage: Passage) -> str:
    return marked(resource.spec["description"], passage.mark)


def created(passage: Passage, resource: Resource, given: Json, *, by_admin: bool = False) -> str:
    """Made, tagged; its id."""
    made = posted(passage, resource.kind, given, by_admin=by_admin)
    set_tags(passage, resource, made)
    return made


def posted(passage: Passage, kind: str, given: Json, *, by_admin: bool = False) -> str:
    """Its id. `by_admin`: in the project's name, with an operator's own rights, if there is one: what tenants may not ask for."""
    acting = passage.new
    if by_admin and passage.admin:
        acting, given = passage.admin, {**given, "project_id": passage.new.project_id}
    return calls.posted(acting, "network", path(kind), {key(kind): given})[key(kind)]["id"]


def asked(spec: Json, *fields: str) -> Json:
    """Those of the fields that say something."""
    return {field: spec[field] for field in fields if spec.get(field)}


def limited(passage: Passage, spec: Json) -> Json:
    """The QoS policy, if it has one."""
    return {"qos_policy_id": mapped(passage.ids, spec["qos_policy"])} if spec.get("qos_policy") else {}


def found(passage: Passage, resource: Resource, **query: Any) -> str | None:
    """By the whole description, which the services filter by, and by the mark in it, which is asked again."""
    wanted = described(resource, passage)
    for one in owned(passage.new, resource.kind, passage.new.project_id, description=wanted, **query):
        if mark_of(one.get("description")) == passage.mark:
            return one["id"]
    return None


def found_by_spec(passage: Passage, resource: Resource, told: Callable[[Json], Resource]) -> str | None:
    """Where there is no field for a mark: one of the new project's that is as it was asked for, and stands for no other old one."""
    taken = {copy for ref, copy in passage.ids.items() if ref.kind == resource.kind and ref != resource.ref}
    for one in owned(passage.new, resource.kind, passage.new.project_id):
        there = told(one)
        if there.id not in taken and not differences(resource, there, passage.ids):
            return there.id
    return None


def found_and_tagged(passage: Passage, resource: Resource) -> str | None:
    """An attempt may have ended between the create call and the tags."""
    there = found(passage, resource)
    if there:
        set_tags(passage, resource, there)
    return there


def set_tags(passage: Passage, resource: Resource, id: str, *, by_admin: bool = False) -> None:
    """Tags are a call of their own before the extension `tag-creation`; setting them again changes nothing."""
    if resource.spec.get("tags"):
        acting = passage.admin if by_admin and passage.admin else passage.new
        calls.put(acting, "network", f"/{path(resource.kind).rsplit('/', 1)[1]}/{id}/tags", {"tags": resource.spec["tags"]})


def removed(cloud: Cloud, kind: str, id: str, expects: str, read: Callable[[Cloud, str], Resource | None]) -> None:
    """Deleted, if it is as expected; Neutron deletes at once."""
    removing.removed(cloud, id, expects, read, "network", f"{path(kind)}/{id}")
