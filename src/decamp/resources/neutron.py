"""What the kinds of Neutron have in common: how they are listed, found by their mark, created with it, tagged and removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.survey import Resource
from decamp.resources import calls
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, marked, too_long_to_mark, unmarked
from decamp.resources.specs import unchanged


def owner(cloud: Cloud, project: str | None) -> str | None:
    """Whose objects are wanted: a tenant's credentials mean the tenant's own; null: everybody's."""
    return project or (None if cloud.admin else cloud.project_id)


def listed(cloud: Cloud, kind: str, **query: Any) -> Iterator[Json]:
    return calls.listed(cloud, "network", path(kind), f"{kind}s", query)


def owned(cloud: Cloud, kind: str, project: str | None, **query: Any) -> Iterator[Json]:
    """Those of the project; a tenant's listings also show what others share with it, or attach to its networks."""
    mine = owner(cloud, project)
    for one in listed(cloud, kind, **query, **({"project_id": mine} if mine else {})):
        if mine is None or one["project_id"] == mine:
            yield one


def got(cloud: Cloud, kind: str, id: str) -> Json | None:
    return calls.got(cloud, "network", f"{path(kind)}/{id}", kind)


def granted(cloud: Cloud, kind: str, project: str) -> frozenset[str]:
    """Ids of others' objects that RBAC policies let the project use."""
    policies = calls.listed(cloud, "network", "/rbac-policies", "rbac_policies", {"object_type": kind, "target_tenant": project})
    return frozenset(policy["object_id"] for policy in policies)


def path(kind: str) -> str:
    return f"/{kind.replace('_', '-')}s"


def common(neutron_object: Json) -> dict[str, Any]:
    """The fields of a spec that networks, subnets, ports, routers and security groups share."""
    shared = {"name": neutron_object["name"], "description": unmarked(neutron_object.get("description"))}
    if "admin_state_up" in neutron_object:
        shared["admin_state_up"] = neutron_object["admin_state_up"]
    return shared | {"tags": sorted(neutron_object.get("tags") or [])}


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


def created(passage: Passage, resource: Resource, given: Json) -> str:
    """Made, tagged; its id."""
    made = posted(passage, resource.kind, given)
    set_tags(passage, resource, made)
    return made


def posted(passage: Passage, kind: str, given: Json) -> str:
    """Its id."""
    return calls.posted(passage.new, "network", path(kind), {kind: given})[kind]["id"]


def found(passage: Passage, resource: Resource, **query: Any) -> str | None:
    """By the whole description, which the services filter by, and by the mark in it, which is asked again."""
    wanted = described(resource, passage)
    for one in owned(passage.new, resource.kind, passage.new.project_id, description=wanted, **query):
        if mark_of(one.get("description")) == passage.mark:
            return one["id"]
    return None


def found_and_tagged(passage: Passage, resource: Resource) -> str | None:
    """An attempt may have ended between the create call and the tags."""
    there = found(passage, resource)
    if there:
        set_tags(passage, resource, there)
    return there


def set_tags(passage: Passage, resource: Resource, id: str) -> None:
    """Tags are a call of their own before the extension `tag-creation`; setting them again changes nothing."""
    if resource.spec.get("tags"):
        calls.put(passage.new, "network", f"{path(resource.kind)}/{id}/tags", {"tags": resource.spec["tags"]})


def removed(cloud: Cloud, id: str, expects: str, read: Callable[[Cloud, str], Resource | None]) -> None:
    """Deleted, if it is as expected; Neutron deletes at once."""
    there = read(cloud, id)
    if there is None:
        return
    unchanged(there, expects, cloud.name)
    calls.deleted(cloud, "network", f"{path(there.kind)}/{id}")
    calls.gone(f"{cloud.name}: {there.kind} {id}", lambda: got(cloud, there.kind, id))
