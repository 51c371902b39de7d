"""A project in the old cloud with something of every kind that can be carried, but stacks, which are made by tenants, and snapshots of
volumes: the lab's Cinder uploads no volume that has one, since its NFS driver keeps it as a chain of files then."""

from __future__ import annotations

import time

from contract import EXTERNAL, PUBLIC_KEY, Ground, fresh_name, make_quota
from contract_networks import CASES
from contract_servers import MIB, boot, image

WAIT_SECONDS = 300


def fill(here: Ground) -> dict[str, str]:
    """Projects that the mapping has to name: of the old cloud -> of the new."""
    make_quota(here)
    _make_group(here)
    CASES["qos_policy"].make(here)
    network, port, partner = _make_networks(here)
    partners = _share(here, network)
    _make_addresses(here, port, partner)
    _make_server(here, port)
    return partners


def _make_group(here: Ground) -> None:
    identity = here.admin.identity
    group = identity.create_group(name=fresh_name("group"))
    # the group takes its users' tokens along, and those that they get in the same second
    here.later.callback(time.sleep, 1.1)
    here.later.callback(identity.delete_group, group)
    identity.add_user_to_group(here.tenant.current_user_id, group)
    identity.assign_project_role_to_group(here.project, group, identity.find_role("reader", ignore_missing=False))


def _make_networks(here: Ground) -> tuple[str, str, str]:
    """The ids of a network and of two ports on it, the second a trunk's."""
    client = here.tenant.network
    scope = CASES["address_scope"].make(here)
    pool = client.create_subnet_pool(name=fresh_name("pool"), prefixes=["10.73.0.0/16"], default_prefix_length=24, address_scope_id=scope)
    made = client.create_network(name=fresh_name("network"))
    subnet = client.create_subnet(name=fresh_name("subnet"), network_id=made.id, ip_version=4, subnet_pool_id=pool.id, prefix_length=24)
    router = client.create_router(name=fresh_name("router"), external_gateway_info={"network_id": _outside(here)})
    client.add_interface_to_router(router, subnet=subnet)
    group = client.create_security_group(name=fresh_name("group"))
    client.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", remote_address_group_id=CASES["address_group"].make(here)
    )
    own, parent = (client.create_port(name=fresh_name("port"), network_id=made.id, security_groups=[group.id]) for _ in range(2))
    inner = client.create_port(name=fresh_name("port"), network_id=made.id, security_groups=[], is_port_security_enabled=False)
    tagged = {"port_id": inner.id, "segmentation_type": "vlan", "segmentation_id": 101}
    client.create_trunk(name=fresh_name("trunk"), port_id=parent.id, sub_ports=[tagged])
    return made.id, own.id, parent.id


def _share(here: Ground, network: str) -> dict[str, str]:
    """With a project that the new cloud has a counterpart of."""
    partners = [connection.identity.create_project(name=fresh_name("partner")).id for connection in (here.admin, here.new_admin)]
    for connection, one in zip((here.admin, here.new_admin), partners, strict=True):
        here.later.callback(connection.identity.delete_project, one)
    here.tenant.network.create_rbac_policy(
        object_type="network", object_id=network, action="access_as_shared", target_project_id=partners[0]
    )
    return {partners[0]: partners[1]}


def _make_addresses(here: Ground, port: str, other: str) -> None:
    client = here.tenant.network
    client.create_ip(floating_network_id=_outside(here), port_id=port)
    shared = client.create_ip(floating_network_id=_outside(here))
    inside = client.get_port(other).fixed_ips[0]["ip_address"]
    body = {"internal_port_id": other, "internal_ip_address": inside, "internal_port": 22, "external_port": 2222, "protocol": "tcp"}
    assert client.post(f"/floatingips/{shared.id}/port_forwardings", json={"port_forwarding": body}).ok


def _make_server(here: Ground, port: str) -> None:
    """Of a flavor, a key, a group and a volume type of its own, with a volume."""
    compute, volumes = here.tenant.compute, here.tenant.block_storage
    kind = here.admin.block_storage.create_type(name=fresh_name("type"))
    here.later.callback(here.admin.block_storage.delete, f"/types/{kind.id}")
    data = volumes.create_volume(name=fresh_name("volume"), size=1, volume_type=kind.name)
    volumes.wait_for_status(data, "available", wait=WAIT_SECONDS)
    flavor = here.admin.compute.create_flavor(name=fresh_name("flavor"), vcpus=1, ram=640, disk=1, is_public=False)
    here.later.callback(here.admin.compute.delete_flavor, flavor)
    here.admin.compute.flavor_add_tenant_access(flavor, here.project)
    server = boot(
        here,
        flavorRef=flavor.id,
        imageRef=image(here.tenant, bytes(range(256)) * (MIB // 256)),
        networks=[{"port": port}],
        key_name=compute.create_keypair(name=fresh_name("key"), public_key=PUBLIC_KEY).name,
        hints={"group": CASES["server_group"].make(here)},
    )
    compute.create_volume_attachment(server, volume_id=data.id)
    volumes.wait_for_status(volumes.get_volume(data.id), "in-use", wait=WAIT_SECONDS)


def _outside(here: Ground) -> str:
    return here.tenant.network.find_network(EXTERNAL, ignore_missing=False).id
