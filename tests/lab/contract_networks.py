"""The contract's cases of Neutron's rarer kinds: pools, scopes, trunks, limits, sharing, addresses outside."""

from __future__ import annotations

from collections.abc import Mapping

from contract import CASES as COMMON_CASES
from contract import EXTERNAL, Case, Ground, fresh_name, moved_group, moved_network

from decamp.model.refs import Ref


def _make_scope(here: Ground) -> str:
    return here.tenant.network.create_address_scope(name=fresh_name("scope"), ip_version=4).id


def _spoil_scope(here: Ground, copy: str) -> str:
    here.new.connection.network.update_address_scope(copy, name=f"another-{copy}")
    return copy


def _make_pool(here: Ground) -> str:
    scope = _make_scope(here)
    here.move("address_scope", scope)
    client = here.tenant.network
    pool = client.create_subnet_pool(
        name=fresh_name("pool"),
        prefixes=["10.96.0.0/16", "10.90.0.0/16"],
        default_prefix_length=26,
        minimum_prefix_length=24,
        maximum_prefix_length=28,
        default_quota=2048,
        address_scope_id=scope,
        description="a pool",
    )
    client.set_tags(pool, ["vlan"])
    return pool.id


def _spoil_pool(here: Ground, copy: str) -> str:
    here.new.connection.network.update_subnet_pool(copy, default_prefix_length=27)
    return copy


def _make_address_group(here: Ground) -> str:
    made = here.tenant.network.create_address_group(name=fresh_name("addresses"), addresses=["192.0.2.0/24", "198.51.100.7/32"])
    here.tenant.network.update_address_group(made, description="partners")
    return made.id


def _spoil_address_group(here: Ground, copy: str) -> str:
    here.new.connection.network.add_addresses_to_address_group(copy, ["203.0.113.0/24"])
    return copy


def _make_trunk(here: Ground) -> str:
    made, _ = moved_network(here, "10.83.0.0/24")
    client = here.tenant.network
    parent, first, second = (client.create_port(name=fresh_name("port"), network_id=made) for _ in range(3))
    trunk = client.create_trunk(
        name=fresh_name("trunk"),
        port_id=parent.id,
        description="a trunk",
        is_admin_state_up=False,
        sub_ports=[
            {"port_id": second.id, "segmentation_type": "vlan", "segmentation_id": 102},
            {"port_id": first.id, "segmentation_type": "vlan", "segmentation_id": 101},
        ],
    )
    client.set_tags(trunk, ["uplink"])
    for port in (parent, first, second):
        _move_group_of(here, client.get_port(port.id).security_group_ids)
        here.move("port", port.id)
    return trunk.id


def _move_group_of(here: Ground, groups: list[str]) -> None:
    """The default group, which the new project has from the beginning."""
    for group in groups:
        if Ref("security_group", group) not in here.ids:
            here.ids[Ref("security_group", group)] = next(here.new.connection.network.security_groups(name="default")).id


def _spoil_trunk(here: Ground, copy: str) -> str:
    """Neutron lets nobody change the ports of a trunk that is down."""
    here.new.connection.network.update_trunk(copy, description="another")
    return copy


def _make_qos_policy(here: Ground) -> str:
    client = here.admin.network
    policy = client.create_qos_policy(name=fresh_name("qos"), project_id=here.project, description="a limit")
    client.create_qos_bandwidth_limit_rule(policy, max_kbps=10_000, max_burst_kbps=1_000, direction="egress")
    client.create_qos_dscp_marking_rule(policy, dscp_mark=26)
    assert client.put(f"/policies/{policy.id}/tags", json={"tags": ["gold"]}).ok
    return policy.id


def _spoil_qos_policy(here: Ground, copy: str) -> str:
    client = here.new_admin.network
    rule = next(rule for rule in client.get_qos_policy(copy).rules if rule["type"] == "dscp_marking")
    client.delete_qos_dscp_marking_rule(rule["id"], copy)
    return copy


def _make_rbac_policy(here: Ground) -> str:
    made, _ = moved_network(here)
    others = [connection.identity.create_project(name=fresh_name("other")).id for connection in (here.admin, here.new_admin)]
    here.later.callback(here.admin.identity.delete_project, others[0])
    here.later.callback(here.new_admin.identity.delete_project, others[1])
    here.ids[Ref("project", others[0])] = others[1]
    return here.tenant.network.create_rbac_policy(
        object_type="network", object_id=made, action="access_as_shared", target_project_id=others[0]
    ).id


def _spoil_rbac_policy(here: Ground, copy: str) -> str:
    another = here.new_admin.identity.create_project(name=fresh_name("other")).id
    here.later.callback(here.new_admin.identity.delete_project, another)
    here.new.connection.network.update_rbac_policy(copy, target_project_id=another)
    return copy


def _reached_port(here: Ground, cidr: str, host: str) -> str:
    """A port behind a router that leads outside, moved with all of that."""
    made, (inside,) = moved_network(here, cidr)
    group = moved_group(here)
    client = here.tenant.network
    outside = client.find_network(EXTERNAL, ignore_missing=False)
    router = client.create_router(name=fresh_name("router"), external_gateway_info={"network_id": outside.id})
    client.add_interface_to_router(router, subnet=inside)
    here.move("router", router.id)
    port = client.create_port(
        name=fresh_name("port"), network_id=made, security_groups=[group], fixed_ips=[{"subnet_id": inside, "ip_address": host}]
    )
    here.move("port", port.id)
    return port.id


def _make_floating_ip(here: Ground) -> str:
    port = _reached_port(here, "10.84.0.0/24", "10.84.0.9")
    client = here.tenant.network
    outside = client.find_network(EXTERNAL, ignore_missing=False)
    made = client.create_ip(floating_network_id=outside.id, port_id=port, description="the shop")
    client.set_tags(made, ["shop"])
    return made.id


def _spoil_floating_ip(here: Ground, copy: str) -> str:
    here.new.connection.network.update_ip(copy, port_id=None)
    return copy


def _make_port_forwarding(here: Ground) -> str:
    port = _reached_port(here, "10.85.0.0/24", "10.85.0.9")
    client = here.tenant.network
    outside = client.find_network(EXTERNAL, ignore_missing=False)
    address = client.create_ip(floating_network_id=outside.id)
    body = {"internal_port_id": port, "internal_ip_address": "10.85.0.9", "internal_port": 22, "external_port": 2222, "protocol": "tcp"}
    answer = client.post(f"/floatingips/{address.id}/port_forwardings", json={"port_forwarding": {**body, "description": "ssh"}})
    assert answer.ok, answer.text
    here.move("floating_ip", address.id)
    return f"{address.id}/{answer.json()['port_forwarding']['id']}"


def _spoil_port_forwarding(here: Ground, copy: str) -> str:
    floating_ip, _, own = copy.partition("/")
    change = {"port_forwarding": {"external_port": 2223}}
    assert here.new.connection.network.put(f"/floatingips/{floating_ip}/port_forwardings/{own}", json=change).ok
    return copy


CASES: Mapping[str, Case] = {**COMMON_CASES} | {
    case.kind: case
    for case in (
        Case(kind="address_scope", make=_make_scope, spoil=_spoil_scope, told="name", modes=("tenant",), markless=True),
        Case(kind="subnet_pool", make=_make_pool, spoil=_spoil_pool, told="default_prefixlen", modes=("tenant",)),
        Case(kind="address_group", make=_make_address_group, spoil=_spoil_address_group, told="addresses", modes=("tenant",)),
        Case(kind="trunk", make=_make_trunk, spoil=_spoil_trunk, told="description", modes=("tenant",)),
        Case(kind="qos_policy", make=_make_qos_policy, spoil=_spoil_qos_policy, told="rules", modes=("operator",)),
        Case(kind="rbac_policy", make=_make_rbac_policy, spoil=_spoil_rbac_policy, told="target", modes=("tenant",), markless=True),
        Case(kind="floating_ip", make=_make_floating_ip, spoil=_spoil_floating_ip, told="port"),
        Case(kind="port_forwarding", make=_make_port_forwarding, spoil=_spoil_port_forwarding, told="external_port", modes=("tenant",)),
    )
}
"""With the common ones."""
