"""Answers of real Neutron servers (2023.1 and 2026.2), shortened, and what the survey makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import floating_ip, network, port, router, security_group, security_group_rule, subnet

NETWORK: dict[str, Any] = {
    "id": "net", "name": "web", "project_id": "p", "description": "the web [decamp-3f2a9c0d1e4b5a67]", "admin_state_up": True,
    "mtu": 1450, "status": "ACTIVE", "subnets": ["sub"], "shared": False, "availability_zone_hints": [], "availability_zones": [],
    "router:external": False, "port_security_enabled": True, "tags": ["b", "a"], "revision_number": 2,
}  # fmt: skip
SUBNET: dict[str, Any] = {
    "id": "sub", "name": "web", "project_id": "p", "description": "", "network_id": "net", "ip_version": 4, "subnetpool_id": None,
    "enable_dhcp": True, "ipv6_ra_mode": None, "ipv6_address_mode": None, "gateway_ip": None, "cidr": "10.0.0.0/24",
    "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.254"}], "host_routes": [], "dns_nameservers": ["192.0.2.53", "192.0.2.1"],
    "tags": [], "service_types": [],
}  # fmt: skip
PORT: dict[str, Any] = {
    "id": "port", "name": "", "network_id": "net", "project_id": "p", "mac_address": "fa:16:3e:00:00:01", "admin_state_up": True,
    "status": "ACTIVE", "device_id": "server", "device_owner": "compute:nova",
    "fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.5"}], "allowed_address_pairs": [], "extra_dhcp_opts": [],
    "security_groups": ["sg2", "sg1"], "description": "",
    "port_security_enabled": True, "binding:vnic_type": "normal", "binding:host_id": "cmp-1", "binding:profile": {"pci_slot": "0000:1"},
    "dns_name": "web-1", "qos_policy_id": None, "tags": [],
}  # fmt: skip
ROUTER: dict[str, Any] = {
    "id": "r", "name": "edge", "project_id": "p", "description": "", "admin_state_up": True, "status": "ACTIVE", "tags": [],
    "external_gateway_info": {
        "network_id": "ext", "enable_snat": True, "external_fixed_ips": [{"subnet_id": "ext-sub", "ip_address": "203.0.113.9"}],
    },
    "routes": [{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}], "distributed": False, "ha": False,
}  # fmt: skip
INTERFACE: dict[str, Any] = {"id": "i", "fixed_ips": [{"subnet_id": "sub", "ip_address": "10.0.0.1"}]}
RULE: dict[str, Any] = {
    "id": "rule", "project_id": "p", "security_group_id": "sg1", "remote_group_id": "sg2", "direction": "ingress", "ethertype": "IPv4",
    "protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": None, "remote_address_group_id": None,
    "description": None,
}  # fmt: skip


def test_a_network_is_told_without_its_mark_and_with_its_tags_in_order() -> None:
    told = network.told(NETWORK)
    assert (told.spec["description"], told.spec["tags"], told.info["mtu"]) == ("the web", ["a", "b"], 1450)
    assert told.fingerprint == network.told(NETWORK | {"description": "the web"}).fingerprint


def test_provider_attributes_that_are_not_shown_are_not_made_up() -> None:
    assert network.told(NETWORK).info["provider"] is None
    shown = network.told(NETWORK | {"provider:network_type": "vlan", "provider:physical_network": "ens1", "provider:segmentation_id": 7})
    assert shown.info["provider"] == {"network_type": "vlan", "physical_network": "ens1", "segmentation_id": 7}


def test_port_security_that_is_not_shown_is_not_off() -> None:
    hidden = {key: value for key, value in NETWORK.items() if key != "port_security_enabled"}
    assert network.told(hidden).spec["port_security_enabled"] is None


@pytest.mark.parametrize("field", [{"qinq": True}, {"segments": [{}, {}]}, {"vlan_transparent": True}, {"description": "x" * 255}])
def test_what_a_network_cannot_take_along_is_said(field: dict[str, Any]) -> None:
    assert len(network.told(NETWORK | field).info["unsupported"]) == 1
    assert "unsupported" not in network.told(NETWORK).info


def test_a_subnet_keeps_the_order_of_its_resolvers_and_needs_its_network() -> None:
    told = subnet.told(SUBNET)
    assert told.spec["dns_nameservers"] == ["192.0.2.53", "192.0.2.1"]
    assert told.spec["gateway_ip"] is None
    assert told.needs == (Ref("network", "net"),)


def test_a_port_needs_its_network_subnets_and_groups() -> None:
    assert port.told(PORT).needs == (
        Ref("network", "net"),
        Ref("security_group", "sg1"),
        Ref("security_group", "sg2"),
        Ref("subnet", "sub"),
    )


def test_a_port_tells_nothing_of_the_host_that_it_is_on() -> None:
    told = port.told(PORT)
    assert not any("cmp-1" in str(value) or "pci_slot" in str(value) for value in (told.spec, told.info))


@pytest.mark.parametrize(
    ("changes", "maker"),
    [
        ({}, "nova"),
        ({"name": "eth0"}, "user"),
        ({"description": "mine"}, "user"),
        ({"device_owner": "", "device_id": ""}, "user"),
    ],
)
def test_a_servers_port_without_name_and_description_counts_as_novas(changes: dict[str, Any], maker: str) -> None:
    assert port.told(PORT | changes).info["made_by"] == maker


def test_a_port_has_the_same_fingerprint_before_during_and_after_its_server() -> None:
    during = port.told(PORT | {"name": "eth0"})
    after = port.told(PORT | {"name": "eth0", "device_owner": "", "device_id": "", "status": "DOWN", "dns_name": "", "binding:host_id": ""})
    assert during.fingerprint == after.fingerprint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device_owner": "Octavia"}, "Octavia"),
        ({"device_profile": "gpu"}, "device_profile gpu"),
        ({"numa_affinity_policy": "required"}, "NUMA"),
    ],
)
def test_what_a_port_cannot_take_along_is_said(changes: dict[str, Any], said: str) -> None:
    (reason,) = port.told(PORT | changes).info["unsupported"]
    assert said in reason


def test_a_router_needs_the_network_outside_and_the_subnets_inside() -> None:
    told = router.told(ROUTER, [INTERFACE])
    assert told.needs == (Ref("network", "ext"), Ref("subnet", "sub"))
    assert told.spec["interfaces"] == [{"subnet": ["subnet", "sub"], "ip_address": "10.0.0.1"}]


def test_a_routers_address_outside_is_told_and_not_asked_for() -> None:
    told = router.told(ROUTER, [])
    assert "203.0.113.9" not in str(told.spec)
    assert told.info["external_addresses"] == ["203.0.113.9"]


def test_snat_is_asked_for_only_where_it_is_off_because_tenants_may_not_set_it() -> None:
    off = ROUTER | {"external_gateway_info": ROUTER["external_gateway_info"] | {"enable_snat": False}}
    assert "enable_snat" not in router.told(ROUTER, []).spec["gateway"]
    assert router.told(off, []).spec["gateway"]["enable_snat"] is False


def test_a_router_without_a_way_out_has_no_gateway() -> None:
    told = router.told(ROUTER | {"external_gateway_info": None}, [])
    assert (told.spec["gateway"], told.needs) == (None, ())


def test_the_default_group_is_known_by_its_name() -> None:
    group = {"id": "sg", "name": "default", "project_id": "p", "description": "Default security group", "stateful": True, "tags": []}
    assert security_group.told(group).info["default"] is True
    assert security_group.told(group | {"name": "Default"}).info["default"] is False


def test_a_rule_needs_its_group_and_the_group_that_it_lets_in() -> None:
    told = security_group_rule.told(RULE)
    assert told.needs == (Ref("security_group", "sg1"), Ref("security_group", "sg2"))
    assert told.spec["remote_group"] == ["security_group", "sg2"]


def test_a_rule_about_its_own_group_needs_it_once() -> None:
    assert security_group_rule.told(RULE | {"remote_group_id": "sg1"}).needs == (Ref("security_group", "sg1"),)


def test_a_rule_needs_the_address_group_that_it_lets_in() -> None:
    assert Ref("address_group", "ag") in security_group_rule.told(RULE | {"remote_address_group_id": "ag"}).needs


@pytest.mark.parametrize("changes", [{"trunk_details": {"trunk_id": "t"}}, {"device_owner": "trunk:subport"}])
def test_ports_of_trunks_are_copied_and_the_trunk_takes_them(changes: dict[str, Any]) -> None:
    assert "unsupported" not in port.told(PORT | changes).info


@pytest.mark.parametrize(("told", "shown"), [(network.told, NETWORK), (port.told, PORT)])
def test_what_has_a_qos_policy_needs_it(told: Callable[[dict[str, Any]], Resource], shown: dict[str, Any]) -> None:
    limited = told(shown | {"qos_policy_id": "q"})
    assert Ref("qos_policy", "q") in limited.needs
    assert limited.spec["qos_policy"] == ["qos_policy", "q"]


def test_a_subnet_of_a_pool_needs_the_pool() -> None:
    assert Ref("subnet_pool", "pool") in subnet.told(SUBNET | {"subnetpool_id": "pool"}).needs


def test_a_floating_ip_names_its_port() -> None:
    address = {
        "id": "f", "floating_ip_address": "203.0.113.7", "project_id": "p", "floating_network_id": "ext", "port_id": "port",
        "fixed_ip_address": "10.0.0.5", "router_id": "r", "status": "ACTIVE", "description": "", "tags": [],
    }  # fmt: skip
    assert floating_ip.told(address).spec["port"] == ["port", "port"]
    assert floating_ip.told(address | {"port_id": None}).needs == (Ref("network", "ext"),)
