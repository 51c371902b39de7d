"""What a project has in Neutron, for verify.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from clouds import Cloud, Facts
from looks import Ground, Kind, Look, Names, each, flag, known, named, number, plain, same, tags, unordered

PATHS = {
    "address_group": ("/address-groups", "address_groups"),
    "address_scope": ("/address-scopes", "address_scopes"),
    "floating_ip": ("/floatingips", "floatingips"),
    "network": ("/networks", "networks"),
    "port": ("/ports", "ports"),
    "qos_policy": ("/qos/policies", "policies"),
    "rbac_policy": ("/rbac-policies", "rbac_policies"),
    "router": ("/routers", "routers"),
    "security_group": ("/security-groups", "security_groups"),
    "security_group_rule": ("/security-group-rules", "security_group_rules"),
    "subnet": ("/subnets", "subnets"),
    "subnet_pool": ("/subnetpools", "subnetpools"),
    "trunk": ("/trunks", "trunks"),
}
NAMED = ("address_group", "address_scope", "network", "qos_policy", "router", "security_group", "subnet", "subnet_pool", "trunk")
"""Kinds that others name, by their names."""
INTERFACES = ("network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface")
"""device_owner of those ports of a router that its user asked for."""
OF_SERVERS = ("compute:", "baremetal:")
EXTERNAL = "access_as_external"
"""What every external network lets everybody do."""


def names_of(cloud: Cloud, project: str) -> dict[str, str]:
    """Of everybody's things, which a project's may name. Ports are called by their MACs, which are unique and move along."""
    told = {one["id"]: one["name"] or one.get("cidr", "") for kind in NAMED for one in known(cloud, "network", *PATHS[kind])}
    return told | {port["id"]: port["mac_address"] for port in listed(Ground(cloud, project, False), "port")}


def listed(ground: Ground, kind: str, **query: str) -> list[Facts]:
    """The project's own."""
    path, key = PATHS[kind]
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    found = known(ground.cloud, "network", f"{path}?project_id={ground.project}{asked}", key)
    return [one for one in found if one["project_id"] == ground.project]


def own(kind: str) -> Callable[[Ground], list[Facts]]:
    return lambda ground: listed(ground, kind)


def security_groups(ground: Ground) -> Iterator[Facts]:
    """What the group `default` is called is Neutron's own affair, and its project's."""
    for group in listed(ground, "security_group"):
        yield group | ({"description": "", "tags": []} if group["name"] == "default" else {})


def routers(ground: Ground) -> Iterator[Facts]:
    for router in listed(ground, "router"):
        ports = [port for port in listed(ground, "port", device_id=router["id"]) if port["device_owner"] in INTERFACES]
        yield router | {"interfaces": [address for port in ports for address in port["fixed_ips"]]}


def ports(ground: Ground) -> Iterator[Facts]:
    """Without those that Neutron made for itself. The DNS name of a server's port is the server's hostname."""
    for port in listed(ground, "port"):
        owner = port["device_owner"]
        if not owner.startswith("network:"):
            yield port | ({"dns_name": ""} if owner.startswith(OF_SERVERS) and "dns_name" in port else {})


def rbac_policies(ground: Ground) -> list[Facts]:
    return [policy for policy in listed(ground, "rbac_policy") if policy["action"] != EXTERNAL]


def port_forwardings(ground: Ground) -> Iterator[Facts]:
    """A range of one port is told as that port."""
    for address in listed(ground, "floating_ip"):
        for one in known(ground.cloud, "network", f"/floatingips/{address['id']}/port_forwardings", "port_forwardings"):
            ranges = {f"{side}_port_range": None for side in ("external", "internal") if one.get(f"{side}_port")}
            yield one | {name: value for name, value in ranges.items() if name in one}


def addresses(value: list[Facts], names: Names) -> list[Any]:
    return sorted([names.get(one["subnet_id"], one["subnet_id"]), one["ip_address"]] for one in value)


def gateway(value: Facts | None, names: Names) -> Any:
    return {"network": named(value["network_id"], names), "snat": value.get("enable_snat")} if value else None


def address_pairs(value: list[Facts] | None, _: Names) -> list[Any]:
    return sorted([one["ip_address"], one.get("mac_address", "")] for one in value or [])


def dhcp_options(value: list[Facts] | None, _: Names) -> list[Any]:
    return sorted([str(one[field]) for field in ("ip_version", "opt_name", "opt_value")] for one in value or [])


def sub_ports(value: list[Facts], names: Names) -> list[Any]:
    return sorted([one["segmentation_id"], one["segmentation_type"], named(one["port_id"], names)] for one in value)


def qos_rules(value: list[Facts], names: Names) -> list[Any]:
    of_itself = {"id", "qos_policy_id", "revision_number", "project_id", "tenant_id"}
    return unordered(({field: told for field, told in rule.items() if field not in of_itself} for rule in value), names)


OWN: dict[str, Look] = each(named, "project_id", "tenant_id")
DESCRIBED: dict[str, Look] = {**OWN, "name": same, "description": plain, "tags": tags}

KINDS = {
    "qos_policy": Kind(own("qos_policy"), {**DESCRIBED, **each(flag, "shared", "is_default"), "rules": qos_rules}),
    "address_scope": Kind(own("address_scope"), {**OWN, **each(same, "name", "ip_version", "shared")}),
    "subnet_pool": Kind(
        own("subnet_pool"),
        {
            **DESCRIBED,
            **each(number, "default_prefixlen", "min_prefixlen", "max_prefixlen", "default_quota", "ip_version"),
            **each(flag, "shared", "is_default"),
            "prefixes": unordered,
            "address_scope_id": named,
        },
    ),
    "network": Kind(
        own("network"),
        {
            **DESCRIBED,
            **each(same, "admin_state_up", "port_security_enabled", "dns_domain", "router:external", "shared"),
            "qos_policy_id": named,
        },
    ),
    "subnet": Kind(
        own("subnet"),
        {
            **DESCRIBED,
            **each(same, "ip_version", "cidr", "gateway_ip", "enable_dhcp", "dns_nameservers", "ipv6_address_mode", "ipv6_ra_mode"),
            **each(unordered, "allocation_pools", "host_routes", "service_types"),
            "dns_publish_fixed_ip": flag,
            **each(named, "network_id", "subnetpool_id"),
        },
    ),
    "address_group": Kind(own("address_group"), {**OWN, "name": same, "description": plain, "addresses": unordered}),
    "security_group": Kind(security_groups, {**DESCRIBED, "stateful": same}),
    "security_group_rule": Kind(
        own("security_group_rule"),
        {
            **OWN,
            "description": plain,
            **each(same, "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix"),
            **each(named, "security_group_id", "remote_group_id", "remote_address_group_id"),
        },
    ),
    "router": Kind(
        routers,
        {**DESCRIBED, "admin_state_up": same, "routes": unordered, "external_gateway_info": gateway, "interfaces": addresses},
    ),
    "port": Kind(
        ports,
        {
            **DESCRIBED,
            **each(same, "admin_state_up", "mac_address", "port_security_enabled", "dns_name", "dns_domain", "binding:vnic_type"),
            "allowed_address_pairs": address_pairs,
            "extra_dhcp_opts": dhcp_options,
            **each(named, "network_id", "security_groups", "qos_policy_id", "device_id"),
            "fixed_ips": addresses,
        },
    ),
    "trunk": Kind(own("trunk"), {**DESCRIBED, "admin_state_up": same, "port_id": named, "sub_ports": sub_ports}),
    "rbac_policy": Kind(rbac_policies, {**OWN, **each(same, "action", "object_type"), **each(named, "object_id", "target_tenant")}),
    "floating_ip": Kind(
        own("floating_ip"),
        {
            **OWN,
            "description": plain,
            "tags": tags,
            **each(same, "fixed_ip_address", "dns_name", "dns_domain"),
            **each(named, "floating_network_id", "port_id", "qos_policy_id"),
        },
    ),
    "port_forwarding": Kind(
        port_forwardings,
        {
            "description": plain,
            **each(same, "protocol", "external_port", "internal_port", "internal_ip_address", "external_port_range", "internal_port_range"),
            "internal_port_id": named,
        },
    ),
}
"""`device_id` of a port is the server that has it, or the trunk."""
