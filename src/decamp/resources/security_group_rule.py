"""Rules of security groups. The mark is a suffix of the description, in the create call.

Neutron lets no group have two rules that say the same: where the new group has it already, that rule is the copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, unmarked
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "security_group_rule"

_SAYS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    for rule in neutron.owned(cloud, NAME, project):
        yield told(rule)


def read(cloud: Cloud, id: str) -> Resource | None:
    rule = neutron.got(cloud, NAME, id)
    return told(rule) if rule else None


def told(rule: Json) -> Resource:
    groups = [Ref("security_group", group) for group in (rule["security_group_id"], rule.get("remote_group_id")) if group]
    return sealed(
        NAME,
        rule["id"],
        "",
        rule["project_id"],
        groups,
        spec={
            "security_group": pair("security_group", rule["security_group_id"]),
            "remote_group": pair("security_group", rule.get("remote_group_id")),
            "description": unmarked(rule.get("description")),
            **{field: rule.get(field) for field in _SAYS},
        },
        info=neutron.unsupported(
            rule, rule.get("remote_address_group_id") and f"it refers to the address group {rule['remote_address_group_id']}"
        ),
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
    """What it lets through: a rule that was there before may be described otherwise."""
    return differences(resource, read(passage.new, id), passage.ids, but=("description",))


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, id, expects, read)


def _says(spec: Json, passage: Passage) -> Json:
    remote = spec.get("remote_group")
    return {
        "security_group_id": mapped(passage.ids, spec["security_group"]),
        "remote_group_id": mapped(passage.ids, remote) if remote else None,
        **{field: spec.get(field) for field in _SAYS},
    }
