"""What an operator moves with a project, for verify.py: itself, who may do what in it, its quotas, the flavors and volume types it uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import compute_kinds
import storage_kinds
from clouds import Cloud, Facts
from looks import MARK_SUFFIX, Ground, Kind, Names, each, named, plain, same, tags

QUOTAS = {
    "compute quota_set": ("compute", "/os-quota-sets/{}", "quota_set"),
    "volume quota_set": ("block_storage", "/os-quota-sets/{}", "quota_set"),
    "network quota": ("network", "/quotas/{}", "quota"),
}
"""Attribute, as the reference table calls it -> service, path and key."""
INHERITED = "OS-INHERIT:inherited_to"


def names_of(cloud: Cloud) -> dict[str, str]:
    return {one["id"]: one["name"] for kind in ("domains", "projects", "users", "groups", "roles") for one in all_of(cloud, kind)}


def all_of(cloud: Cloud, kind: str, query: str = "") -> list[Facts]:
    return cloud.get("identity", f"/{kind}{query}")[kind]


def assignments(ground: Ground) -> list[Facts]:
    """Without those of whoever looks, and of whoever acted: an administrator has a role in the projects that it makes."""
    mine = ground.cloud.connection.current_user_id
    found = all_of(ground.cloud, "role_assignments", f"?scope.project.id={ground.project}")
    return [one for one in found if one.get("user", {}).get("id") != mine]


def role_assignments(ground: Ground) -> Iterator[Facts]:
    for one in assignments(ground):
        who = {kind: one[kind]["id"] if kind in one else None for kind in ("user", "group")}
        yield {
            **who,
            "role": one["role"]["id"],
            "scope": one["scope"]["project"]["id"],
            f"scope.{INHERITED}": one["scope"].get(INHERITED),
        }


def projects(ground: Ground) -> list[Facts]:
    return [ground.cloud.get("identity", f"/projects/{ground.project}")["project"]]


def groups(ground: Ground) -> Iterator[Facts]:
    for group in {one["group"]["id"] for one in assignments(ground) if "group" in one}:
        members = ground.cloud.get("identity", f"/groups/{group}/users")["users"]
        yield ground.cloud.get("identity", f"/groups/{group}")["group"] | {"users": [user["id"] for user in members]}


def users(ground: Ground) -> Iterator[Facts]:
    """Those with a role in it, by themselves or in a group."""
    ids = {one["user"]["id"] for one in assignments(ground) if "user" in one}
    for one in sorted({*ids, *(member for group in groups(ground) for member in group["users"])}):
        user = ground.cloud.get("identity", f"/users/{one}")["user"]
        yield {"description": "", "email": "", "default_project_id": None, **user}


def quotas(ground: Ground) -> Iterator[Facts]:
    """Each limit by itself."""
    for attribute, (service, path, key) in QUOTAS.items():
        for name, limit in ground.cloud.get(service, path.format(ground.project))[key].items():
            if isinstance(limit, int):
                yield {"name": f"{service} {name}", attribute: limit}


def flavors(ground: Ground) -> Iterator[Facts]:
    """Those that its servers were made with and that are still there."""
    used = {server["flavor"]["original_name"] for server in compute_kinds.listed(ground)}
    for flavor in ground.cloud.pages("compute", "/flavors/detail?is_public=None", "flavors"):
        if flavor["name"] in used:
            public = flavor["os-flavor-access:is_public"]
            access = [] if public else ground.cloud.get("compute", f"/flavors/{flavor['id']}/os-flavor-access")["flavor_access"]
            yield flavor | {"flavor_access": [one["tenant_id"] for one in access], "copied": is_copy(flavor)}


def volume_types(ground: Ground) -> Iterator[Facts]:
    """Those of its volumes."""
    used = {volume["volume_type"] for volume in storage_kinds.cinders(ground, "volumes")}
    for one in ground.cloud.pages("block_storage", "/types?is_public=None", "volume_types"):
        if one["name"] in used:
            path = f"/types/{one['id']}/os-volume-type-access"
            access = [] if one["is_public"] else ground.cloud.get("block_storage", path)["volume_type_access"]
            yield one | {"volume_type_access": [entry["project_id"] for entry in access], "copied": is_copy(one)}


def is_copy(facts: Facts) -> bool:
    return bool(MARK_SUFFIX.search(facts.get("description") or ""))


def amount(value: Any, _: Names) -> int:
    """No swap is none, or an empty word."""
    return int(value or 0)


KINDS = {
    "project": Kind(projects, {**each(same, "name", "enabled"), "description": plain, "tags": tags, "domain_id": named}),
    "user": Kind(users, {**each(same, "name", "email", "enabled"), "description": plain, **each(named, "domain_id", "default_project_id")}),
    "group": Kind(groups, {"name": same, "description": plain, **each(named, "domain_id", "users")}),
    "role_assignment": Kind(role_assignments, {**each(named, "user", "group", "role", "scope"), f"scope.{INHERITED}": same}),
    "quota": Kind(quotas, each(same, "name", *QUOTAS)),
    "volume_type": Kind(
        volume_types,
        {**each(same, "name", "extra_specs", "is_public", "copied"), "description": plain, "volume_type_access": named},
    ),
    "flavor": Kind(
        flavors,
        {
            **each(same, "name", "vcpus", "ram", "disk", "rxtx_factor", "extra_specs", "os-flavor-access:is_public", "copied"),
            **each(amount, "swap", "OS-FLV-EXT-DATA:ephemeral"),
            "description": plain,
            "flavor_access": named,
        },
    ),
}
