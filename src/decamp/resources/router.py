"""Routers, with their gateway, interfaces and extra routes. The mark is a suffix of the description, in the create call.

A router is made in steps (itself with its gateway, each interface, the routes); `find` completes what a crash left half-made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, neutron
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import ROOM, mark_of, marked, unmarked
from decamp.resources.specs import differences, mapped, pair, sealed, unchanged

NAME = "router"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("name", "description", "admin_state_up", "tags", "routes"),
    *mapped_as(how="its network is mapped and its SNAT kept; its addresses are new, and told as a change", gateway="external_gateway_info"),
    *mapped_as(how="with their addresses", interfaces="interfaces"),
    *its_own("status", "availability_zones"),
    *changed("distributed", "ha", how="the new cloud's default: tenants may not set them, and operators deploy them"),
    *lost("availability_zone_hints", why="names zones of the old cloud's agents"),
    *refused("flavor_id", "enable_ndp_proxy", "external_gateways", why="needs drivers or agents of the old cloud"),
)
"""`interfaces` are not shown with the router, but as ports of it; of `external_gateways` one is as good as `external_gateway_info`."""

INTERFACES = ("network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface")
"""device_owner of a router's ports that belong to the user; the others (gateway, SNAT, HA network) Neutron makes by itself."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    routers = list(neutron.owned(cloud, NAME, project))
    if neutron.owner(cloud, project):
        return [told(router, _interfaces(cloud, router["id"])) for router in routers]
    ports: dict[str, list[Json]] = defaultdict(list)
    for owner in INTERFACES:
        for port in neutron.listed(cloud, "port", device_owner=owner):
            ports[port["device_id"]].append(port)
    return [told(router, ports[router["id"]]) for router in routers]


def read(cloud: Cloud, id: str) -> Resource | None:
    router = neutron.got(cloud, NAME, id)
    return told(router, _interfaces(cloud, id)) if router else None


def told(router: Json, interfaces: Iterable[Json]) -> Resource:
    outside: Json = router.get("external_gateway_info") or {}
    gateway: dict[str, Any] | None = None
    if outside:
        gateway = {"network": pair("network", outside["network_id"])}
        if outside.get("enable_snat") is False:
            gateway["enable_snat"] = False
    addresses = [(ip["subnet_id"], ip["ip_address"]) for port in interfaces for ip in port["fixed_ips"]]
    needs = {Ref("subnet", subnet) for subnet, _ in addresses} | ({Ref("network", outside["network_id"])} if outside else set())
    return sealed(
        NAME,
        router["id"],
        router["name"],
        router["project_id"],
        needs,
        spec=neutron.common(router)
        | {
            "gateway": gateway,
            "interfaces": [{"subnet": pair("subnet", s), "ip_address": ip} for s, ip in sorted(addresses, key=lambda one: one[1])],
            "routes": sorted(
                ({"destination": one["destination"], "nexthop": one["nexthop"]} for one in router.get("routes") or []),
                key=lambda one: (one["destination"], one["nexthop"]),
            ),
        },
        info={
            "status": router["status"],
            "external_addresses": sorted(ip["ip_address"] for ip in outside.get("external_fixed_ips", [])),
            "distributed": router.get("distributed"),
            "ha": router.get("ha"),
            "availability_zone_hints": router.get("availability_zone_hints", []),
        }
        | neutron.unsupported(
            router,
            len(router.get("external_gateways") or []) > 1 and f"it has {len(router['external_gateways'])} external gateways",
            outside.get("qos_policy_id") and f"its gateway has the QoS policy {outside['qos_policy_id']}",
            router.get("flavor_id") and f"it has the router flavor {router['flavor_id']}",
            router.get("enable_ndp_proxy") and "it is an NDP proxy",
        ),
    )


def _interfaces(cloud: Cloud, id: str) -> list[Json]:
    return [port for port in neutron.listed(cloud, "port", device_id=id) if port["device_owner"] in INTERFACES]


def find(passage: Passage, resource: Resource) -> str | None:
    there = neutron.found(passage, resource)
    if there:
        _complete(passage, resource, there)
    return there


def create(passage: Passage, resource: Resource) -> str:
    """The gateway gets another address outside; one without SNAT takes an operator. Whether it is distributed or highly available is left
    to the new cloud's defaults."""
    body = neutron.body(passage, resource)
    gateway = resource.spec.get("gateway")
    if gateway:
        snat = {"enable_snat": False} if gateway.get("enable_snat") is False else {}
        body["external_gateway_info"] = {"network_id": mapped(passage.ids, gateway["network"])} | snat
    made = neutron.posted(passage, NAME, body, by_admin=bool(gateway and "enable_snat" in gateway))
    _complete(passage, resource, made)
    return made


def _complete(passage: Passage, resource: Resource, id: str) -> None:
    cloud = passage.new
    there = {(ip["subnet_id"], ip["ip_address"]) for port in _interfaces(cloud, id) for ip in port["fixed_ips"]}
    for interface in resource.spec["interfaces"]:
        subnet, address = mapped(passage.ids, interface["subnet"]), interface["ip_address"]
        if (subnet, address) not in there:
            _attach(passage, id, subnet, address)
    if resource.spec["routes"]:
        calls.put(cloud, "network", f"{neutron.path(NAME)}/{id}", {NAME: {"routes": resource.spec["routes"]}})
    neutron.set_tags(passage, resource, id)


def _attach(passage: Passage, id: str, subnet: str, address: str) -> None:
    """By the subnet, which gives the router its gateway address; any other address needs a port of its own, which the router then owns."""
    cloud = passage.new
    there = neutron.got(cloud, "subnet", subnet)
    if there and there["gateway_ip"] == address:
        calls.put(cloud, "network", f"{neutron.path(NAME)}/{id}/add_router_interface", {"subnet_id": subnet})
        return
    port = (
        _waiting_port(passage, subnet, address)
        or calls.posted(
            cloud,
            "network",
            neutron.path("port"),
            {
                "port": {
                    "network_id": there["network_id"] if there else None,
                    "fixed_ips": [{"subnet_id": subnet, "ip_address": address}],
                    "description": marked("", passage.mark),
                }
            },
        )["port"]
    )
    calls.put(cloud, "network", f"{neutron.path(NAME)}/{id}/add_router_interface", {"port_id": port["id"]})


def _waiting_port(passage: Passage, subnet: str, address: str) -> Json | None:
    """One that an attempt made which did not live to attach it."""
    for port in neutron.owned(passage.new, "port", passage.new.project_id, description=marked("", passage.mark)):
        at = [(ip["subnet_id"], ip["ip_address"]) for ip in port["fixed_ips"]]
        if mark_of(port["description"]) == passage.mark and not port["device_owner"] and at == [(subnet, address)]:
            return port
    return None


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Routes, interfaces and the router itself, in the order that Neutron wants. What is about to be taken apart says so in its
    description, so that an attempt after a crash knows the half that it finds."""
    router = neutron.got(cloud, NAME, id)
    if router is None:
        return
    url = f"{neutron.path(NAME)}/{id}"
    intent = f"decamp-{expects[:16]}"
    if mark_of(router["description"]) != intent:
        unchanged(told(router, _interfaces(cloud, id)), expects, cloud.name)
        calls.put(cloud, "network", url, {NAME: {"description": marked(unmarked(router["description"])[:ROOM], intent)}})
    if router.get("routes"):
        calls.put(cloud, "network", url, {NAME: {"routes": []}})
    for port in _interfaces(cloud, id):
        calls.put(cloud, "network", f"{url}/remove_router_interface", {"port_id": port["id"]})
    calls.deleted(cloud, "network", url)
    calls.gone(f"{cloud.name}: {NAME} {id}", lambda: neutron.got(cloud, NAME, id))
