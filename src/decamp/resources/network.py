"""Networks. The mark is a suffix of the description, which every Neutron has and takes in the create call."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, sealed

NAME = "network"


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """The project's own networks, and all that it may use: external ones, shared ones, those that an RBAC policy shares with it."""
    owner = neutron.owner(cloud, project)
    granted = neutron.granted(cloud, "network", owner) if cloud.admin and owner else frozenset[str]()
    for network in neutron.listed(cloud, NAME):
        usable = network.get("router:external") or network.get("shared") or network["id"] in granted or not cloud.admin
        if owner is None or network["project_id"] == owner or usable:
            yield told(network)


def read(cloud: Cloud, id: str) -> Resource | None:
    network = neutron.got(cloud, NAME, id)
    return told(network) if network else None


def told(network: Json) -> Resource:
    provider = {
        field: network[f"provider:{field}"]
        for field in ("network_type", "physical_network", "segmentation_id")
        if f"provider:{field}" in network
    }
    return sealed(
        NAME,
        network["id"],
        network["name"],
        network["project_id"],
        (),
        spec=neutron.common(network)
        | {
            "external": bool(network.get("router:external")),
            "shared": bool(network.get("shared")),
            "port_security_enabled": network.get("port_security_enabled"),
            "dns_domain": network.get("dns_domain") or "",
        },
        info={
            "mtu": network.get("mtu"),
            "status": network["status"],
            "provider": provider or None,
            "availability_zone_hints": network.get("availability_zone_hints", []),
        }
        | neutron.unsupported(
            network,
            network.get("qos_policy_id") and f"it has the QoS policy {network['qos_policy_id']}",
            network.get("segments") and f"it has {len(network['segments'])} segments",
            network.get("vlan_transparent") and "it is VLAN transparent",
        ),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found_and_tagged(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    spec = resource.spec
    if spec["external"] or spec["shared"]:
        raise Refused(
            f"network {resource.name or resource.id} is {'external' if spec['external'] else 'shared'}: "
            "it is not copied. Say in the mapping which network of the new cloud stands for it."
        )
    body = neutron.body(passage, resource)
    if spec.get("port_security_enabled") is not None:
        body["port_security_enabled"] = spec["port_security_enabled"]
    if spec.get("dns_domain"):
        body["dns_domain"] = spec["dns_domain"]
    return neutron.created(passage, resource, body)


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, id, expects, read)
