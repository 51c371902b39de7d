"""Keypairs: public keys, which belong to users, not to projects.

Their id is their name; of another user's, which an operator reads, it is `<user id>/<name>`, and no name may hold a slash. An operator
copies the keys that servers were given, and the copies belong to the acting user, because Nova boots servers with the keys of whoever
asks. Nova gives a keypair no field for a mark: one of the same user, name and content is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.survey import Resource
from decamp.resources import calls
from decamp.resources.attributes import changed, its_own, kept
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, sealed, unchanged

NAME = "keypair"

ATTRIBUTES = (
    *kept("name", "type", "public_key"),
    *changed("user_id", how="the acting user: Nova boots servers with the keys of whoever asks"),
    *its_own("id", "fingerprint", "created_at", "updated_at", "deleted", "deleted_at"),
)


def id_of(cloud: Cloud, user: str, name: str) -> str:
    """The id in the ref of a user's keypair, as these credentials tell it."""
    return name if user == cloud.user_id else f"{user}/{name}"


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """One's own; and of others, who may see them (admin, compute 2.10): of every user, or of the project's users and servers."""
    ids = {id_of(cloud, cloud.user_id, name) for name in _names(cloud)}
    if cloud.admin:
        query = {"all_tenants": 1} | ({"project_id": project} if project else {})
        servers = calls.listed(cloud, "compute", "/servers/detail", "servers", query)
        ids |= {id_of(cloud, server["user_id"], server["key_name"]) for server in servers if server.get("key_name")}
        if cloud.at_least("compute", OTHERS_FROM):
            ids |= {id_of(cloud, user, name) for user in _users(cloud, project) for name in _names(cloud, user)}
    return [found for found in (read(cloud, one) for one in sorted(ids)) if found]


OTHERS_FROM = "2.10"
"""Compute microversion from which an admin may read other users' keypairs."""


def _names(cloud: Cloud, user: str | None = None) -> list[str]:
    query = {"user_id": user} if user and user != cloud.user_id else {}
    return [one["keypair"]["name"] for one in calls.listed(cloud, "compute", "/os-keypairs", "keypairs", query)]


def _users(cloud: Cloud, project: str | None) -> set[str]:
    """Ids of those with a role in the project, by themselves or in a group; null: of all."""
    if project is None:
        return {user["id"] for user in calls.listed(cloud, "identity", "/users", "users")}
    query = {"scope.project.id": project, "effective": ""}
    found = calls.listed(cloud, "identity", "/role_assignments", "role_assignments", query)
    return {one["user"]["id"] for one in found if "user" in one}


def read(cloud: Cloud, id: str) -> Resource | None:
    user, name = _parts(id)
    keypair = calls.got(cloud, "compute", _path(name), "keypair", {"user_id": user} if user else None)
    return told(keypair, id) if keypair else None


def told(keypair: Json, id: str) -> Resource:
    return sealed(
        NAME,
        id,
        keypair["name"],
        None,
        (),
        spec={"name": keypair["name"], "type": keypair.get("type", "ssh"), "public_key": keypair["public_key"].strip()},
        info={"fingerprint": keypair["fingerprint"], "user": keypair.get("user_id")},
    )


def find(passage: Passage, resource: Resource) -> str | None:
    there = read(passage.new, resource.spec["name"])
    return there.id if there and there.spec == resource.spec else None


def adopt(passage: Passage, resource: Resource) -> str | None:
    """Where no earlier attempt was, an equal keypair is the user's own."""
    return find(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    spec = resource.spec
    if read(passage.new, spec["name"]):
        raise Refused(
            f"{passage.new.name}: the acting user has another keypair of the name {spec['name']!r}: "
            "rename it there, or say in the mapping that it stands for the old one"
        )
    typed = {"type": spec["type"]} if passage.new.at_least("compute", "2.2") else {}
    calls.posted(passage.new, "compute", "/os-keypairs", {"keypair": {"name": spec["name"], "public_key": spec["public_key"]} | typed})
    return spec["name"]


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    there = read(cloud, id)
    if there is None:
        return
    unchanged(there, expects, cloud.name)
    user, name = _parts(id)
    calls.deleted(cloud, "compute", _path(name), {"user_id": user} if user else None)
    calls.gone(f"{cloud.name}: keypair {id}", lambda: read(cloud, id))


def _parts(id: str) -> tuple[str | None, str]:
    user, slash, name = id.partition("/")
    return (user, name) if slash else (None, id)


def _path(name: str) -> str:
    return f"/os-keypairs/{quote(name, safe='')}"
