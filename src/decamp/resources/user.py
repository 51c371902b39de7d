"""Users, for operators. Their passwords can't be moved: a copy has none, so that nobody can log in with one until it is set.

The mark is a suffix of the description, in the create call.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, identity
from decamp.resources.attributes import its_own, kept, lost, mapped_as, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, marked, unmarked
from decamp.resources.neutron import refuse_unsupported
from decamp.resources.removing import removed
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "user"

ATTRIBUTES = (
    *its_own("id", "links"),
    *kept("name", "description", "email", "enabled"),
    *mapped_as(how="by the domain's name", domain="domain_id"),
    *mapped_as(how="where that project is moved or was; else none", default_project="default_project_id"),
    *lost("password_expires_at", "options", why="of its password, which cannot be read: a plan says that it needs another"),
    *refused("federated", why="it comes from an identity provider: connect that one to the new cloud"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Those with a role in the project, by themselves or in a group; null: all. None to tenants."""
    if not cloud.admin:
        return
    users = None if project is None else {one["user"]["id"] for one in identity.assignments(cloud, project, effective=True)}
    names: dict[str, str] = {}
    for user in identity.listed(cloud, NAME):
        if users is None or user["id"] in users:
            yield told(user, identity.domain_name(cloud, user["domain_id"], names))


def read(cloud: Cloud, id: str) -> Resource | None:
    user = identity.got(cloud, NAME, id)
    return told(user, identity.domain_name(cloud, user["domain_id"], {})) if user else None


def told(user: Json, domain: str) -> Resource:
    federated = {"unsupported": ["it comes from an identity provider: connect that one to the new cloud"]} if user.get("federated") else {}
    return sealed(
        NAME,
        user["id"],
        user["name"],
        None,
        (),
        spec={
            "name": user["name"],
            "domain": domain,
            "description": unmarked(user.get("description")),
            "email": user.get("email") or "",
            "enabled": user["enabled"],
            "default_project": pair("project", user.get("default_project_id")),
        },
        info={"not_carried": ["its password, which nobody can read: set a new one, or let it log in through federation"]} | federated,
    )


def find(passage: Passage, resource: Resource) -> str | None:
    domain = identity.domain_id(passage.new, resource.spec["domain"])
    for user in identity.listed(passage.new, NAME, domain_id=domain, name=resource.name):
        if mark_of(user.get("description")) == passage.mark:
            return user["id"]
    return None


def create(passage: Passage, resource: Resource) -> str:
    """Without a password. Keystone answers 409 where the domain has a user of this name: map it then."""
    refuse_unsupported(resource)
    spec = resource.spec
    body: Json = {
        "name": spec["name"],
        "domain_id": identity.domain_id(passage.new, spec["domain"]),
        "description": marked(spec["description"], passage.mark),
        "enabled": spec["enabled"],
    }
    if spec["email"]:
        body["email"] = spec["email"]
    if _knows_default_project(passage, resource):
        body["default_project_id"] = mapped(passage.ids, spec["default_project"])
    return calls.posted(passage.new, "identity", "/users", {NAME: body})[NAME]["id"]


def _knows_default_project(passage: Passage, resource: Resource) -> bool:
    project = resource.spec["default_project"]
    return bool(project) and Ref(*project) in passage.ids


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    unknown = () if _knows_default_project(passage, resource) else ("default_project",)
    return differences(resource, read(passage.new, id), passage.ids, but=unknown)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    removed(cloud, id, expects, read, "identity", f"/users/{id}")
