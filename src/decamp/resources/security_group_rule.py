"""Rules of security groups. The mark is a suffix of the description, in the create call.

Neutron lets no group have two rules that say the same: where the new group has it already, that rule is the copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import its_own, kept, lost, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, unmarked
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "security_group_rule"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("description", how="of a copy; a rule of the same words that was there may be described otherwise"),
    *kept("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix"),
    *mapped_as(security_group="security_group_id", remote_group="remote_group_id", remote_address_group="remote_address_group_id"),
    *its_own("normalized_cidr", "belongs_to_default_sg", "standard_attr_id"),
    *lost("tags", why="Neutron shows them in the group's answer, and has no call to set them"),
)

_SAYS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    for rule in neutron.owned(cloud, NAME, project):
        yield told(rule)


def read(cloud: Cloud, id: str) -> Resource | None:
    rule = neutron.got(cloud, NAME, id)
    return told(rule) if rule else None


def told(rule: Json) -> Resource:
    addresses = rule.get("remote_address_group_id")
    groups = [Ref("security_group", group) for group in (rule["security_group_id"], rule.get("remote_group_id")) if group]
    return sealed(
        NAME,
        rule["id"],
        "",
        rule["project_id"],
        [*groups, *([Ref("address_group", addresses)] if addresses else [])],
        spec={
            "security_group": pair("security_group", rule["security_group_id"]),
            "remote_group": pair("security_group", rule.get("remote_group_id")),
            "remote_address_group": pair("address_group", addresses),
            "description": unmarked(rule.get("description")),
            **{field: rule.get(field) for field in _SAYS},
        },
        info=neutron.unsupported(rule),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    group = mapped(passage.ids, resource.spec["security_group"])
    for rule in neutron.listed(passage.new, NAME, security_group_id=group):
        if mark_of(rule.get("description")) == passage.mark:
            return rule["id"]
    return None


def adopt(passage: Passage, resource: Resource) -> str | None:
    """A rule that says the same, in a group that was there before."""
    body = _says(resource.spec, passage)
    for rule in neutron.listed(passage.new, NAME, security_group_id=body["security_group_id"]):
        if all(rule.get(field) == value for field, value in body.items()):
            return rule["id"]
    return None


def create(passage: Passage, resource: Resource) -> str:
    neutron.refuse_unsupported(resource)
    body = {field: value for field, value in _says(resource.spec, passage).items() if value is not None}
    return neutron.posted(passage, NAME, body | {"description": neutron.described(resource, passage)})


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """Of a rule that was there before, what it lets through."""
    rule = neutron.got(passage.new, NAME, id)
    own = () if rule and mark_of(rule.get("description")) == passage.mark else ("description",)
    return differences(resource, told(rule) if rule else None, passage.ids, but=own)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)


def _says(spec: Json, passage: Passage) -> Json:
    remote, addresses = spec.get("remote_group"), spec.get("remote_address_group")
    return {
        "security_group_id": mapped(passage.ids, spec["security_group"]),
        "remote_group_id": mapped(passage.ids, remote) if remote else None,
        "remote_address_group_id": mapped(passage.ids, addresses) if addresses else None,
        **{field: spec.get(field) for field in _SAYS},
    }
