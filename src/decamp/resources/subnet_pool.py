"""Subnet pools: ranges that subnets are cut from. The mark is a suffix of the description, in the create call."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import kept, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "subnet_pool"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("name", "description", "tags", "prefixes", "default_prefixlen", "min_prefixlen", "max_prefixlen", "default_quota", "ip_version"),
    *kept("shared", "is_default", how="set by an operator alone"),
    *mapped_as(how="null where the scope is another project's and not mapped", address_scope="address_scope_id"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """The project's own, and those that are shared with it."""
    yield from neutron.usable(cloud, NAME, project, told)


def read(cloud: Cloud, id: str) -> Resource | None:
    pool = neutron.got(cloud, NAME, id)
    return told(pool) if pool else None


def told(pool: Json) -> Resource:
    scope = pool.get("address_scope_id")
    return sealed(
        NAME,
        pool["id"],
        pool["name"],
        pool["project_id"],
        [Ref("address_scope", scope)] if scope else (),
        spec=neutron.common(pool)
        | {
            "prefixes": sorted(pool["prefixes"]),
            **{field: int(pool[field]) for field in ("default_prefixlen", "min_prefixlen", "max_prefixlen")},
            "default_quota": pool.get("default_quota"),
            "ip_version": pool["ip_version"],
            "shared": pool["shared"],
            "is_default": bool(pool.get("is_default")),
            "address_scope": pair("address_scope", scope),
        },
        info=neutron.unsupported(pool),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found_and_tagged(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    """Neutron tells the IP version by the prefixes."""
    spec = resource.spec
    body = neutron.body(passage, resource) | neutron.asked(spec, "default_quota", "shared", "is_default")
    body |= {field: spec[field] for field in ("prefixes", "default_prefixlen", "min_prefixlen", "max_prefixlen")}
    if spec.get("address_scope"):
        body["address_scope_id"] = mapped(passage.ids, spec["address_scope"])
    return neutron.created(passage, resource, body, by_admin=spec["shared"] or spec["is_default"])


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)
