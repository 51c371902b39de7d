"""What services answer of one thing, word for word; and what a field of a spec is altered to, so that something differs."""

from __future__ import annotations

from typing import Any

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.resources import calls, neutron, object_store

WHERE = {
    "project": ("identity", "/projects/{}", "project"),
    "user": ("identity", "/users/{}", "user"),
    "group": ("identity", "/groups/{}", "group"),
    "keypair": ("compute", "/os-keypairs/{}", "keypair"),
    "flavor": ("compute", "/flavors/{}", "flavor"),
    "server_group": ("compute", "/os-server-groups/{}", "server_group"),
    "server": ("compute", "/servers/{}", "server"),
    "image": ("image", "/images/{}", None),
    "volume": ("block_storage", "/volumes/{}", "volume"),
    "volume_snapshot": ("block_storage", "/snapshots/{}", "snapshot"),
    "volume_type": ("block_storage", "/types/{}", "volume_type"),
    "stack": ("orchestration", "/stacks/{}", "stack"),
    "port_forwarding": ("network", "/floatingips/{}/port_forwardings/{}", "port_forwarding"),
}
"""Kind -> service, path and key of its API reference; where none is given, it is Neutron's."""

UNKNOWN = {Ref("unknown", "unknown"): "known"}


def shown(cloud: Cloud, kind: str, id: str) -> dict[str, Any]:
    if kind == "role_assignment":
        project, who, whose, role = id.split("/")
        query = {"scope.project.id": project, f"{who}.id": whose, "role.id": role}
        return next(calls.listed(cloud, "identity", "/role_assignments", "role_assignments", query))
    if kind == "container":
        return _told_by_headers(cloud, id)
    service, path, key = WHERE.get(kind, ("network", f"{neutron.path(kind)}/{{}}", neutron.key(kind)))
    outer, slash, inner = id.partition("/")
    if kind == "keypair" and slash:
        return calls.got(cloud, service, path.format(inner), key, {"user_id": outer})
    return calls.got(cloud, service, path.format(outer, inner), key)


def _told_by_headers(cloud: Cloud, container: str) -> dict[str, Any]:
    """Those of Swift's own, and of the container alone; metadata have the names that their owner gave them."""
    told = object_store.head(cloud, container) or {}
    own = {name: value for name, value in told.items() if name.startswith("X-") and name not in OF_THE_ANSWER}
    return {"X-Container-Meta-*" if name.startswith("X-Container-Meta-") else name: value for name, value in own.items()}


OF_THE_ANSWER = frozenset({"X-Trans-Id", "X-Openstack-Request-Id"})


def altered(value: Any) -> Any:
    """Another value that the field could have."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case [str(), str()] | None | "":
            return ["unknown", "unknown"]
        case str():
            return f"not {value}"
        case dict():
            return {**value, "altered": "altered"}
        case [] | ():
            return [["unknown", "unknown"]]
        case _:
            return list(value)[1:]
