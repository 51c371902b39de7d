"""Networks. The mark is a suffix of the description, which every Neutron has and takes in the create call."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, pair, sealed

NAME = "network"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("name", "description", "admin_state_up", "tags", "port_security_enabled", "dns_domain"),
    *mapped_as(qos_policy="qos_policy_id"),
    *kept(external="router:external", shared="shared", how="one that has it set is not copied: the mapping says what stands for it"),
    *its_own("status", "subnets", "availability_zones", "l2_adjacency", "ipv4_address_scope", "ipv6_address_scope"),
    *changed("mtu", "provider:network_type", "provider:segmentation_id", how="the new cloud's own"),
    *refused(
        "provider:physical_network", why="a copy would be a network of the same name on other wires: the mapping says what stands for it"
    ),
    *refused("segments", "vlan_transparent", "qinq", why="depends on the old cloud's wires"),
    *lost("availability_zone_hints", why="names zones of the old cloud's agents"),
    *lost("is_default", why="of external networks alone, which are not copied"),
)


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
    qos_policy = network.get("qos_policy_id")
    return sealed(
        NAME,
        network["id"],
        network["name"],
        network["project_id"],
        [Ref("qos_policy", qos_policy)] if qos_policy else (),
        spec=neutron.common(network)
        | {
            "external": bool(network.get("router:external")),
            "shared": bool(network.get("shared")),
            "port_security_enabled": network.get("port_security_enabled"),
            "dns_domain": network.get("dns_domain") or "",
            "qos_policy": pair("qos_policy", qos_policy),
        },
        info={
            "mtu": network.get("mtu"),
            "status": network["status"],
            "provider": provider or None,
            "availability_zone_hints": network.get("availability_zone_hints", []),
        }
        | neutron.unsupported(
            network,
            network.get("segments") and f"it has {len(network['segments'])} segments",
            network.get("vlan_transparent") and "it is VLAN transparent",
            network.get("qinq") and "it carries VLANs in VLANs",
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
    body = neutron.body(passage, resource) | neutron.asked(spec, "dns_domain") | neutron.limited(passage, spec)
    if spec.get("port_security_enabled") is not None:
        body["port_security_enabled"] = spec["port_security_enabled"]
    return neutron.created(passage, resource, body)


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)
