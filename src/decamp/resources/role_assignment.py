"""Role assignments in projects, for operators: who may do what. Roles are found by their names.

They have no id, no description and no time in Keystone: what one says is all that it is. Ours is
`<project>/user|group/<who>/<role>`, and `/inherited` after it where it is meant for the projects below.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, identity
from decamp.resources.attributes import its_own, kept, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed, unchanged

NAME = "role_assignment"

ATTRIBUTES = (
    *its_own("links"),
    *mapped_as(who="user"),
    *mapped_as(how="one or the other", who="group"),
    *mapped_as(project="scope"),
    *mapped_as(how="by its name", role="role"),
    *kept(how="part of the scope", inherited="scope.OS-INHERIT:inherited_to"),
)
"""Assignments in domains and in the system are not a project's, and are not surveyed."""

INHERITED = "inherited"


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Of the project; null: of all projects. None to tenants."""
    if not cloud.admin:
        return
    roles = {role["id"]: role["name"] for role in identity.listed(cloud, "role")}
    query = {"scope.project.id": project} if project else {}
    for assignment in calls.listed(cloud, "identity", "/role_assignments", "role_assignments", query):
        if "project" in assignment["scope"]:
            yield told(assignment, roles[assignment["role"]["id"]])


def read(cloud: Cloud, id: str) -> Resource | None:
    project, who, whose, role = id.split("/")[:4]
    named = identity.got(cloud, "role", role)
    query = {"scope.project.id": project, f"{who}.id": whose, "role.id": role}
    if named:
        for assignment in calls.listed(cloud, "identity", "/role_assignments", "role_assignments", query):
            found = told(assignment, named["name"])
            if found.id == id:
                return found
    return None


def told(assignment: Json, role: str) -> Resource:
    who = "user" if "user" in assignment else "group"
    project, whose = assignment["scope"]["project"]["id"], assignment[who]["id"]
    inherited = "OS-INHERIT:inherited_to" in assignment["scope"]
    return sealed(
        NAME,
        "/".join([project, who, whose, assignment["role"]["id"], *([INHERITED] if inherited else [])]),
        role,
        project,
        [Ref("project", project), Ref(who, whose)],
        spec={"project": pair("project", project), "who": pair(who, whose), "role": role, "inherited": inherited},
        info={},
    )


def find(passage: Passage, resource: Resource) -> str | None:
    wanted = _id(passage, resource)
    return wanted if read(passage.new, wanted) else None


def adopt(passage: Passage, resource: Resource) -> str | None:
    """Where no earlier attempt was, an equal one is somebody else's."""
    return find(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    """Raises Refused where the new cloud has no role of that name."""
    made = _id(passage, resource)
    calls.put(passage.new, "identity", _path(made))
    return made


def _id(passage: Passage, resource: Resource) -> str:
    spec = resource.spec
    role = identity.role_id(passage.new, spec["role"])
    parts = [mapped(passage.ids, spec["project"]), spec["who"][0], mapped(passage.ids, spec["who"]), role]
    return "/".join([*parts, *([INHERITED] if spec["inherited"] else [])])


def _path(id: str) -> str:
    project, who, whose, role, *inherited = id.split("/")
    path = f"/projects/{project}/{who}s/{whose}/roles/{role}"
    return f"/OS-INHERIT{path}/inherited_to_projects" if inherited else path


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    there = read(cloud, id)
    if there:
        unchanged(there, expects, cloud.name)
        calls.deleted(cloud, "identity", _path(id))
