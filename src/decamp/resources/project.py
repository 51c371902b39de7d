"""Projects, for operators: tenants' credentials belong to one. The mark is a suffix of the description, in the create call.

The acting user is given the role `member` in a project that Decamp makes, so that the other kinds can be made inside it. Its users,
groups and roles are kinds of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.survey import Resource
from decamp.resources import calls, identity, server_reading
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, marked, unmarked
from decamp.resources.neutron import refuse_unsupported
from decamp.resources.specs import differences, sealed, unchanged

NAME = "project"

ATTRIBUTES = (
    *its_own("id", "links"),
    *kept("name", "description", "tags"),
    *kept(how="a disabled one is refused: nothing can be made in its copy", enabled="enabled"),
    *mapped_as(how="by the domain's name", domain="domain_id"),
    *changed("parent_id", how="the copy of a project below another belongs to its domain"),
    *lost("options", why="`immutable` alone, which would stand in the way of the run"),
    *refused("is_domain", why="domains are not copied"),
)

ROLE = "member"
"""Keystone's bootstrap makes it since Rocky; each service's default policies give it a project's ordinary work."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """A tenant reads its own project alone."""
    wanted = project or (None if cloud.admin else cloud.project_id)
    if wanted is None:
        names: dict[str, str] = {}
        return [
            told(one, identity.domain_name(cloud, one["domain_id"], names))
            for one in calls.listed(cloud, "identity", "/projects", "projects")
        ]
    found = read(cloud, wanted)
    return [found] if found else []


def read(cloud: Cloud, id: str) -> Resource | None:
    project = calls.got(cloud, "identity", f"/projects/{id}", "project")
    return told(project, identity.domain_name(cloud, project["domain_id"], {})) if project else None


def told(project: Json, domain: str) -> Resource:
    return sealed(
        NAME,
        project["id"],
        project["name"],
        project["id"],
        (),
        spec={
            "name": project["name"],
            "domain": domain,
            "description": unmarked(project.get("description")),
            "enabled": project["enabled"],
            "tags": sorted(project.get("tags") or []),
        },
        info={"parent": None if project.get("parent_id") == project["domain_id"] else project.get("parent_id")}
        | ({} if project["enabled"] else {"unsupported": ["it is disabled, and nothing can be made in the copy of a disabled project"]}),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    domain = identity.domain_id(passage.new, resource.spec["domain"])
    for project in calls.listed(passage.new, "identity", "/projects", "projects", {"domain_id": domain, "name": resource.name}):
        if mark_of(project.get("description")) == passage.mark:
            admit(passage.new, project["id"])
            return project["id"]
    return None


def create(passage: Passage, resource: Resource) -> str:
    """Keystone answers 409 where the domain has a project of this name: map it then. A project below another one becomes its domain's."""
    refuse_unsupported(resource)
    spec = resource.spec
    body = {
        "name": spec["name"],
        "domain_id": identity.domain_id(passage.new, spec["domain"]),
        "description": marked(spec["description"], passage.mark),
        "enabled": spec["enabled"],
        "tags": spec["tags"],
    }
    made = calls.posted(passage.new, "identity", "/projects", {"project": body})["project"]["id"]
    admit(passage.new, made)
    return made


def admit(cloud: Cloud, id: str) -> None:
    """Give the acting user the role that lets it work inside the project; nothing changes where it has it."""
    calls.put(cloud, "identity", f"/projects/{id}/users/{cloud.user_id}/roles/{identity.role_id(cloud, ROLE)}")


def made_by_decamp(cloud: Cloud, id: str) -> bool:
    """Whether the project carries a mark; one that may not be read was not made by these credentials."""
    try:
        project = calls.got(cloud, "identity", f"/projects/{id}", "project")
    except Refused:
        return False
    return bool(project and mark_of(project.get("description")))


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """With the security group that Neutron made for it. Raises Refused while anything else of it is left, which nobody could reach then."""
    there = read(cloud, id)
    if there is None:
        return
    unchanged(there, expects, cloud.name)
    left = [*_left(cloud, id)]
    if left:
        raise Refused(f"{cloud.name}: project {there.name} ({id}) still has {', '.join(left)}: it will not be removed")
    for group in calls.listed(cloud, "network", "/security-groups", "security_groups", {"project_id": id}):
        if group["project_id"] == id:
            calls.deleted(cloud, "network", f"/security-groups/{group['id']}")
    calls.deleted(cloud, "identity", f"/projects/{id}")
    calls.gone(f"{cloud.name}: project {id}", lambda: calls.got(cloud, "identity", f"/projects/{id}", "project"))


def _left(cloud: Cloud, id: str) -> Iterable[str]:
    for key in ("networks", "ports", "routers", "security_groups"):
        found = list(calls.listed(cloud, "network", f"/{key.replace('_', '-')}", key, {"project_id": id}))
        count = sum(one["project_id"] == id and one["name"] != "default" for one in found)
        if count:
            yield f"{count} {key.replace('_', ' ')}"
    listed = calls.listed(cloud, "compute", "/servers/detail", "servers", {"all_tenants": 1, "project_id": id})
    servers = [one for one in listed if one["status"] not in server_reading.GONE]
    if servers:
        yield f"{len(servers)} servers"
