"""QoS policies with their rules, which operators make. The mark is a suffix of the description, in the create call.

A policy is made in steps, itself and each rule; `find` completes what a crash left half-made.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import calls, neutron
from decamp.resources.attributes import kept
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, sealed

NAME = "qos_policy"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("name", "description", "tags", "shared", "is_default"),
    *kept("rules", how="each by its type and its values"),
)

_OF_THE_RULE_ITSELF = ("id", "qos_policy_id", "revision_number", "project_id", "tenant_id")


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """The project's own, and those that are shared with it; none where Neutron does not know QoS."""
    if neutron.knows(cloud, "qos"):
        yield from neutron.usable(cloud, NAME, project, told)


def read(cloud: Cloud, id: str) -> Resource | None:
    policy = neutron.got(cloud, NAME, id)
    return told(policy) if policy else None


def told(policy: Json) -> Resource:
    rules = [{field: value for field, value in sorted(rule.items()) if field not in _OF_THE_RULE_ITSELF} for rule in policy["rules"]]
    return sealed(
        NAME,
        policy["id"],
        policy["name"],
        policy["project_id"],
        (),
        spec=neutron.common(policy)
        | {"shared": policy["shared"], "is_default": bool(policy.get("is_default")), "rules": sorted(rules, key=repr)},
        info=neutron.unsupported(policy),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    there = neutron.found(passage, resource)
    if there:
        _complete(passage, resource, there)
    return there


def create(passage: Passage, resource: Resource) -> str:
    """Neutron answers 403 to tenants by default."""
    body = neutron.body(passage, resource) | neutron.asked(resource.spec, "shared", "is_default")
    made = neutron.posted(passage, NAME, body, by_admin=True)
    _complete(passage, resource, made)
    return made


def _complete(passage: Passage, resource: Resource, id: str) -> None:
    acting = passage.admin or passage.new
    copy = read(acting, id)
    there = copy.spec["rules"] if copy else []
    for rule in resource.spec["rules"]:
        if rule not in there:
            of = rule["type"]
            body = {f"{of}_rule": {field: value for field, value in rule.items() if field != "type"}}
            calls.posted(acting, "network", f"{neutron.path(NAME)}/{id}/{of}_rules", body)
    neutron.set_tags(passage, resource, id, by_admin=True)


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Neutron refuses while something is limited by it."""
    neutron.removed(cloud, NAME, id, expects, read)
