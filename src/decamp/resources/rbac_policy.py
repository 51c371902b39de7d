"""RBAC policies: that another project may use a network, a security group or the like.

Neutron gives them no field for a mark, and lets no two say the same: the one of the new project that says it is the copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import its_own, kept, mapped_as, owner
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "rbac_policy"

ATTRIBUTES = (
    *owner("project_id", "tenant_id"),
    *its_own("id"),
    *kept("action"),
    *mapped_as(object="object_id"),
    *kept(how="with the object's id", object_type="object_type"),
    *mapped_as(how="`*`, every project, stays `*`, and takes an operator", target="target_tenant"),
)

EVERYBODY = "*"

KINDS_OF_OBJECTS = {
    "network": "network",
    "security_group": "security_group",
    "address_group": "address_group",
    "address_scope": "address_scope",
    "subnetpool": "subnet_pool",
    "qos_policy": "qos_policy",
}
"""Neutron's names of what can be shared -> ours."""

MADE_WITH_IT = "access_as_external"
"""Action that an external network has from the beginning."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Those that the project has made, but for external networks', which are mapped and not made."""
    for policy in neutron.owned(cloud, NAME, project):
        if policy["action"] != MADE_WITH_IT:
            yield told(policy)


def read(cloud: Cloud, id: str) -> Resource | None:
    policy = neutron.got(cloud, NAME, id)
    return told(policy) if policy else None


def told(policy: Json) -> Resource:
    object_type: str = policy["object_type"]
    kind = KINDS_OF_OBJECTS.get(object_type, object_type)
    target = policy["target_tenant"]
    needs = [Ref(kind, policy["object_id"]), *([Ref("project", target)] if target != EVERYBODY else [])]
    spec = {
        "object_type": object_type,
        "object": pair(kind, policy["object_id"]),
        "action": policy["action"],
        "target": EVERYBODY if target == EVERYBODY else pair("project", target),
    }
    return sealed(NAME, policy["id"], "", policy["project_id"], needs, spec, {})


def find(passage: Passage, resource: Resource) -> str | None:
    body = _body(passage, resource)
    for policy in neutron.owned(passage.new, NAME, passage.new.project_id, object_id=body["object_id"]):
        if all(policy[field] == value for field, value in body.items()):
            return policy["id"]
    return None


def create(passage: Passage, resource: Resource) -> str:
    return neutron.posted(passage, NAME, _body(passage, resource), by_admin=resource.spec["target"] == EVERYBODY)


def _body(passage: Passage, resource: Resource) -> Json:
    spec = resource.spec
    return {
        "object_type": spec["object_type"],
        "object_id": mapped(passage.ids, spec["object"]),
        "action": spec["action"],
        "target_tenant": EVERYBODY if spec["target"] == EVERYBODY else mapped(passage.ids, spec["target"]),
    }


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Neutron refuses while the other project uses what it shares."""
    neutron.removed(cloud, NAME, id, expects, read)
