"""Ports, with their addresses: fixed IPs and MAC are kept. The mark is a suffix of the description, in the create call.

A port that Nova made for a server goes with the server and one that a user made stays; Neutron does not say which is which. Nova gives
neither name nor description, so `info.made_by` is `nova` for a server's port with neither. Both are copied as ports made beforehand, or
the addresses would be lost. `binding:profile` describes a host and is never read. The DNS name of a server's port is left out: Nova
sets it to the server's hostname when the server takes the port, and empties it when the server goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "port"

ATTRIBUTES = (
    *neutron.OWN,
    *kept("name", "description", "admin_state_up", "tags", "mac_address", "allowed_address_pairs", "port_security_enabled"),
    *kept("dns_domain", "extra_dhcp_opts"),
    *kept(how="of a server's port Nova sets it to the server's hostname", dns_name="dns_name"),
    *kept(how="all but normal ones are refused: they depend on the old cloud's hardware", vnic_type="binding:vnic_type"),
    *mapped_as(network="network_id", security_groups="security_groups", qos_policy="qos_policy_id"),
    *mapped_as(
        how="addresses are kept; those that Neutron makes of prefix and MAC (SLAAC) it makes again, the same", fixed_ips="fixed_ips"
    ),
    *its_own("status", "ip_allocation", "dns_assignment", "resource_request", "qos_network_policy_id", "data_plane_status"),
    *changed("device_id", "device_owner", how="the copy of the server takes it, in its place among the interfaces"),
    *changed("trunk_details", how="the trunk is a kind of its own"),
    *changed("binding:host_id", "binding:vif_type", "binding:vif_details", how="given by the new cloud's host"),
    *lost("binding:profile", why="describes a device of the old host: it is never read"),
    *lost("propagate_uplink_status", why="of SR-IOV ports alone, which are refused"),
    *refused(
        "numa_affinity_policy", "device_profile", "hints", "trusted", "hardware_offload_type", why="depends on the old cloud's hardware"
    ),
)

OF_TRUNK = "trunk:subport"
"""device_owner of a port that a trunk has taken in."""

_AUTOMATIC = {"slaac", "dhcpv6-stateless"}
"""ipv6_address_mode where Neutron makes the address of prefix and MAC, and takes none from the user."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Without those that Neutron made for itself: of routers, DHCP, floating IPs."""
    for port in neutron.owned(cloud, NAME, project):
        if not port["device_owner"].startswith("network:"):
            yield told(port)


def read(cloud: Cloud, id: str) -> Resource | None:
    port = neutron.got(cloud, NAME, id)
    return told(port) if port else None


def told(port: Json) -> Resource:
    network = pair("network", port["network_id"])
    fixed_ips = [{"subnet": pair("subnet", ip["subnet_id"]), "ip_address": ip["ip_address"]} for ip in port["fixed_ips"]]
    groups = sorted(port.get("security_groups") or [])
    of_server = _of_server(port)
    spec = neutron.common(port) | {
        "network": network,
        "mac_address": port["mac_address"],
        "fixed_ips": sorted(fixed_ips, key=lambda ip: ip["ip_address"]),
        "security_groups": [pair("security_group", group) for group in groups],
        "allowed_address_pairs": sorted(
            ({"ip_address": one["ip_address"], "mac_address": one["mac_address"]} for one in port.get("allowed_address_pairs") or []),
            key=lambda one: (one["ip_address"], one["mac_address"]),
        ),
        "port_security_enabled": port.get("port_security_enabled"),
        "vnic_type": port.get("binding:vnic_type"),
        "qos_policy": pair("qos_policy", port.get("qos_policy_id")),
        "dns_name": "" if of_server else port.get("dns_name") or "",
        "dns_domain": port.get("dns_domain") or "",
        "extra_dhcp_opts": sorted(
            (
                {"opt_name": one["opt_name"], "opt_value": one["opt_value"], "ip_version": one["ip_version"]}
                for one in port.get("extra_dhcp_opts") or []
            ),
            key=lambda one: (one["ip_version"], one["opt_name"]),
        ),
    }
    needs = {Ref("network", port["network_id"])} | ({Ref("qos_policy", port["qos_policy_id"])} if port.get("qos_policy_id") else set())
    needs |= {Ref("subnet", ip["subnet_id"]) for ip in port["fixed_ips"]} | {Ref("security_group", group) for group in groups}
    return sealed(NAME, port["id"], port["name"], port["project_id"], needs, spec, _info(port))


def _of_server(port: Json) -> bool:
    return port["device_owner"].startswith(("compute:", "baremetal:"))


def _info(port: Json) -> dict[str, Any]:
    device_owner = port["device_owner"]
    of_server = _of_server(port)
    return {
        "device_owner": device_owner,
        "device_id": port["device_id"],
        "made_by": "nova" if of_server and not port["name"] and not port.get("description") else "user",
        "status": port["status"],
        "trunk": (port.get("trunk_details") or {}).get("trunk_id"),
    } | neutron.unsupported(
        port,
        port.get("numa_affinity_policy") and f"it asks for the NUMA affinity {port['numa_affinity_policy']}",
        *(port.get(field) and f"it has {field} {port[field]}" for field in ("device_profile", "hints", "trusted", "hardware_offload_type")),
        device_owner and not of_server and device_owner != OF_TRUNK and f"it belongs to {device_owner}, which has to make it anew",
    )


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found_and_tagged(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    """Address and MAC are free in the new cloud, or Neutron answers 409: then the action fails with Neutron's sentence."""
    spec = resource.spec
    body = neutron.body(passage, resource) | {
        "network_id": mapped(passage.ids, spec["network"]),
        "mac_address": spec["mac_address"],
        "fixed_ips": [_fixed_ip(passage, ip) for ip in spec["fixed_ips"]],
        "security_groups": [mapped(passage.ids, group) for group in spec["security_groups"]],
    }
    if spec.get("port_security_enabled") is not None:
        body["port_security_enabled"] = spec["port_security_enabled"]
    if spec.get("vnic_type") not in {None, "normal"}:
        body["binding:vnic_type"] = spec["vnic_type"]
    body |= neutron.asked(spec, "allowed_address_pairs", "dns_name", "dns_domain", "extra_dhcp_opts") | neutron.limited(passage, spec)
    return neutron.created(passage, resource, body)


def _fixed_ip(passage: Passage, fixed_ip: Json) -> Json:
    subnet = mapped(passage.ids, fixed_ip["subnet"])
    if ":" in fixed_ip["ip_address"]:
        there = neutron.got(passage.new, "subnet", subnet)
        if there and there.get("ipv6_address_mode") in _AUTOMATIC:
            return {"subnet_id": subnet}
    return {"subnet_id": subnet, "ip_address": fixed_ip["ip_address"]}


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    neutron.removed(cloud, NAME, id, expects, read)
