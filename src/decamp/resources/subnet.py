"""Subnets, with their very addresses. The mark is a suffix of the description, in the create call."""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import network, neutron
from decamp.resources.attributes import changed, kept, mapped_as, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "subnet"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("name", "description", "tags", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "allocation_pools", "dns_nameservers"),
    *kept("host_routes", "ipv6_address_mode", "ipv6_ra_mode", "service_types", "dns_publish_fixed_ip"),
    *mapped_as(network="network_id"),
    *mapped_as(how="null where the pool is another project's and not mapped: its range stays as it is", subnet_pool="subnetpool_id"),
    *refused("segment_id", why="routed networks depend on the old cloud's wires"),
    *changed("router:external", how="its network's"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Those of every network that the project may use, whoever made them."""
    owner = neutron.owner(cloud, project)
    networks = frozenset(one.id for one in network.export(cloud, project)) if owner else None
    for subnet in neutron.listed(cloud, NAME):
        if networks is None or subnet["project_id"] == owner or subnet["network_id"] in networks:
            yield told(subnet)


def read(cloud: Cloud, id: str) -> Resource | None:
    subnet = neutron.got(cloud, NAME, id)
    return told(subnet) if subnet else None


def told(subnet: Json) -> Resource:
    pool = subnet.get("subnetpool_id")
    return sealed(
        NAME,
        subnet["id"],
        subnet["name"],
        subnet["project_id"],
        [Ref("network", subnet["network_id"]), *([Ref("subnet_pool", pool)] if pool else [])],
        spec=neutron.common(subnet)
        | {
            "network": pair("network", subnet["network_id"]),
            "ip_version": subnet["ip_version"],
            "cidr": subnet["cidr"],
            "gateway_ip": subnet["gateway_ip"],
            "enable_dhcp": subnet["enable_dhcp"],
            "allocation_pools": _records(subnet["allocation_pools"], "start", "end"),
            "dns_nameservers": list(subnet["dns_nameservers"]),
            "host_routes": _records(subnet["host_routes"], "destination", "nexthop"),
            "ipv6_address_mode": subnet.get("ipv6_address_mode"),
            "ipv6_ra_mode": subnet.get("ipv6_ra_mode"),
            "service_types": sorted(subnet.get("service_types") or []),
            "dns_publish_fixed_ip": bool(subnet.get("dns_publish_fixed_ip")),
            "subnet_pool": pair("subnet_pool", pool),
        },
        info=neutron.unsupported(
            subnet, subnet.get("segment_id") and f"it belongs to the segment {subnet['segment_id']} of a routed network"
        ),
    )


def _records(records: Iterable[Json], *fields: str) -> list[Json]:
    return sorted(({field: one[field] for field in fields} for one in records), key=lambda one: [one[field] for field in fields])


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found_and_tagged(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    """A subnet that came from a pool keeps its range, which the pool's copy gives it once more."""
    spec = resource.spec
    body = neutron.body(passage, resource) | {
        "network_id": mapped(passage.ids, spec["network"]),
        **{field: spec[field] for field in ("ip_version", "cidr", "gateway_ip", "enable_dhcp", "allocation_pools")},
        **neutron.asked(spec, "dns_nameservers", "host_routes", "ipv6_address_mode", "ipv6_ra_mode", "service_types"),
        **neutron.asked(spec, "dns_publish_fixed_ip"),
    }
    if spec.get("subnet_pool"):
        body["subnetpool_id"] = mapped(passage.ids, spec["subnet_pool"])
    return neutron.created(passage, resource, body)


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)
