"""One tenant's things in the old cloud: whatever of them is missing is made, in the order in which they need each other."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openstack.connection import Connection

from decamp.lab import content
from decamp.lab.layout import Lab
from decamp.lab.seed import guests, tenancy
from decamp.lab.seed.blueprint import Nic, Rule, SecurityGroup, Server, State, Tenant, Volume
from decamp.model.errors import Failed

LOOK_SECONDS = 0.5
SERVERS_LOOK_SECONDS = 2.0
"""Listing servers makes Nova ask Neutron, which has enough to do while they boot."""
BUILD_SECONDS = 600.0
Ids = dict[str, str]
"""Name -> id, of one kind in one project."""


def ensure_networks(connection: Connection, tenant: Tenant) -> Ids:
    """Networks with their subnets, and a router that joins those with a gateway to the world."""
    neutron: Any = connection.network
    project = connection.current_project_id
    networks: Ids = {}
    subnets: Ids = {}
    for network in tenant.networks:
        made = _first(neutron.networks(name=network.name, project_id=project)) or neutron.create_network(
            name=network.name, description=f"{network.name} of {tenant.name}"
        )
        networks[network.name] = made.id
        subnet = _first(neutron.subnets(name=network.name, network_id=made.id)) or neutron.create_subnet(
            name=network.name,
            network_id=made.id,
            ip_version=4,
            cidr=network.cidr,
            allocation_pools=[{"start": network.pool[0], "end": network.pool[1]}],
            dns_nameservers=list(network.dns),
            is_dhcp_enabled=True,
            **({} if network.gateway else {"gateway_ip": None}),
        )
        subnets[network.name] = subnet.id
    if not any(network.gateway for network in tenant.networks):
        return networks
    router = _first(neutron.routers(name="edge", project_id=project)) or neutron.create_router(
        name="edge", external_gateway_info={"network_id": _external(connection)}
    )
    routed = {ip["subnet_id"] for port in neutron.ports(device_id=router.id) for ip in port.fixed_ips}
    for network in tenant.networks:
        if network.gateway and subnets[network.name] not in routed:
            neutron.add_interface_to_router(router, subnet=subnets[network.name])
    return networks


def ensure_security_groups(connection: Connection, tenant: Tenant) -> Ids:
    """All groups first, then all rules: they refer to each other and to themselves."""
    neutron: Any = connection.network
    project = connection.current_project_id
    groups = {group.name: group.id for group in neutron.security_groups(project_id=project)}
    for group in tenant.security_groups:
        if group.name not in groups:
            groups[group.name] = neutron.create_security_group(name=group.name, description=group.description).id
    for group in tenant.security_groups:
        _ensure_rules(neutron, groups, group)
    return groups


def _ensure_rules(neutron: Any, groups: Ids, group: SecurityGroup) -> None:
    def shape(rule: Rule) -> tuple[Any, ...]:
        return rule.protocol, rule.port, rule.cidr, groups[rule.group] if rule.group else None

    present = {
        (rule.protocol, rule.port_range_min, rule.remote_ip_prefix, rule.remote_group_id)
        for rule in neutron.security_group_rules(security_group_id=groups[group.name], direction="ingress")
    }
    for rule in group.rules:
        if shape(rule) in present:
            continue
        protocol, port, cidr, remote = shape(rule)
        asked = {"port_range_min": port, "port_range_max": port, "remote_ip_prefix": cidr, "remote_group_id": remote}
        neutron.create_security_group_rule(
            security_group_id=groups[group.name],
            direction="ingress",
            ether_type="IPv4",
            protocol=protocol,
            **{name: value for name, value in asked.items() if value is not None},
        )


def ensure_keypair(lab: Lab, connection: Connection, tenant: Tenant) -> str:
    """A public key whose private half nobody keeps: nobody can log into these guests anyway."""
    name = f"{tenant.name}-key"
    if name not in {keypair.name for keypair in connection.compute.keypairs()}:
        private = Ed25519PrivateKey.from_private_bytes(tenancy.secret(lab, tenant.name, "key").encode())
        public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        connection.compute.create_keypair(name=name, public_key=f"{public} {name}")
    return name


def ensure_server_groups(connection: Connection, tenant: Tenant) -> Ids:
    groups = {group.name: group.id for group in connection.compute.server_groups()}
    for name, policy in tenant.server_groups.items():
        if name not in groups:
            groups[name] = connection.compute.create_server_group(name=name, policy=policy).id
    return groups


def ensure_volumes(lab: Lab, connection: Connection, tenant: Tenant, images: Mapping[str, str]) -> Ids:
    """With what their guests wrote. A volume in error is made again."""
    cinder: Any = connection.block_storage
    found = {volume.name: volume for volume in cinder.volumes()}
    ids: Ids = {}
    fresh: list[Volume] = []
    for volume in tenant.volumes:
        present = found.get(volume.name)
        if present is not None and present.status.startswith("error"):
            cinder.delete_volume(present)
            _wait(f"the broken volume {volume.name} of {tenant.name} to go", lambda broken=present.id: _gone(cinder, broken))
            present = None
        if present is None:
            options = {"image_id": images[volume.image]} if volume.image else {}
            present = cinder.create_volume(
                name=volume.name, size=volume.size_gib, volume_type=content.VOLUME_TYPE, metadata=volume.metadata, **options
            )
        if present.status != "in-use":
            fresh.append(volume)
        ids[volume.name] = present.id
    for volume in fresh:
        _wait(f"the volume {volume.name} of {tenant.name} to be made", lambda made=ids[volume.name]: _made(cinder, made))
        guests.write(guests.volume_file(lab, ids[volume.name]), volume.patch)
    return ids


def missing_servers(connection: Connection, tenant: Tenant) -> list[Server]:
    """Those that are not there, or that never came up: the latter are deleted."""
    present: set[str] = set()
    broken = {server.asset for server in tenant.servers if server.state is State.BROKEN}
    for server in connection.compute.servers():
        asset = server.metadata.get("asset", "")
        if server.status == "ERROR" and asset and asset not in broken:
            connection.compute.delete_server(server, force=False)
            connection.compute.wait_for_delete(server, interval=1, wait=int(BUILD_SECONDS))
        else:
            present.add(asset)
    return [server for server in tenant.servers if server.asset not in present]


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What servers are put together from, of one tenant."""

    networks: Ids
    security_groups: Ids
    server_groups: Ids
    images: Mapping[str, str]
    volumes: Ids
    key: str


def boot(connection: Connection, server: Server, parts: Parts, flavors: Ids) -> None:
    """Ask for a server on its host; does not wait for it. The connection has to be one that may name hosts."""
    networks = [_nic(connection, nic, parts) for nic in server.nics]
    devices: list[dict[str, Any]] = []
    if server.image:
        devices.append({"source_type": "image", "destination_type": "local", "uuid": parts.images[server.image], "boot_index": 0})
    if server.root_volume:
        devices.append({"source_type": "volume", "destination_type": "volume", "uuid": parts.volumes[server.root_volume], "boot_index": 0})
    devices += [
        {"source_type": "volume", "destination_type": "volume", "uuid": parts.volumes[name], "boot_index": -1}
        for name in server.data_volumes
    ]
    for device in devices:
        device["delete_on_termination"] = device["destination_type"] == "local"
    options: dict[str, Any] = {}
    if server.image:
        options["image_id"] = parts.images[server.image]
    if server.user_data:
        options["user_data"] = base64.b64encode(server.user_data.encode()).decode()
    if server.zone:
        options["availability_zone"] = server.zone
    if server.group:
        options["scheduler_hints"] = {"group": parts.server_groups[server.group]}
    nova_makes_ports_in = {group for nic in server.nics if not nic.port for group in nic.security_groups}
    if nova_makes_ports_in:
        options["security_groups"] = [{"name": parts.security_groups[name]} for name in sorted(nova_makes_ports_in)]
    connection.compute.create_server(
        name=server.name,
        flavor_id=flavors[server.flavor],
        networks=networks or "none",
        block_device_mapping=devices,
        host=server.host,
        key_name=parts.key,
        metadata=server.metadata,
        tags=list(server.tags),
        config_drive=server.config_drive,
        description=f"{server.metadata['role']} server",
        **options,
    )


def _nic(connection: Connection, nic: Nic, parts: Parts) -> dict[str, str]:
    if not nic.port:
        return {"uuid": parts.networks[nic.network]}
    neutron, network_id = connection.network, parts.networks[nic.network]
    found = _first(neutron.ports(name=nic.port, network_id=network_id))
    port = found or neutron.create_port(
        name=nic.port,
        network_id=network_id,
        fixed_ips=[{"ip_address": nic.address}],
        security_group_ids=[parts.security_groups[name] for name in nic.security_groups],
        description="made beforehand by its owner",
    )
    return {"port": port.id}


def settle(lab: Lab, connection: Connection, admin: Connection, tenant: Tenant, note: Callable[[str], None]) -> None:
    """Wait until all servers are up; write what their guests wrote, give them their floating IPs, bring them into their states.

    `admin` tells the servers' hosts, which a tenant cannot see, and breaks those that are to be broken.
    """
    wanted = {server.asset: server for server in tenant.servers}

    def all_up() -> bool:
        servers = {server.metadata.get("asset"): server for server in connection.compute.servers()}
        broken = [
            f"{server.name}: {(server.fault or {}).get('message', 'no reason given')}"
            for asset, server in servers.items()
            if server.status == "ERROR" and asset in wanted and wanted[asset].state is not State.BROKEN
        ]
        if broken:
            raise Failed(f"Servers of {tenant.name} did not come up: {'; '.join(broken)}")
        ready = [asset for asset, server in wanted.items() if asset in servers and servers[asset].status in {State.ACTIVE, server.state}]
        note(f"{len(ready)} of {len(wanted)} up")
        return len(ready) == len(wanted)

    _wait(f"the servers of {tenant.name} to come up", all_up, every=SERVERS_LOOK_SECONDS)
    for server in connection.compute.servers():
        blueprint = wanted.get(server.metadata.get("asset", ""))
        if blueprint is None:
            continue
        if blueprint.patch and server.status != State.SHELVED:
            guests.write(guests.root_disk(lab, admin.compute.get_server(server.id).compute_host or "", server.id), blueprint.patch)
        if blueprint.floating:
            _ensure_floating_ip(connection, server.id, blueprint)
        if server.status != blueprint.state:
            _bring_into(connection, admin, server, blueprint.state)
    _wait(f"the servers of {tenant.name} to be as they should", lambda: _settled(connection, wanted), every=SERVERS_LOOK_SECONDS)
    for server in connection.compute.servers():
        blueprint = wanted.get(server.metadata.get("asset", ""))
        if blueprint and blueprint.locked and not server.is_locked:
            connection.compute.lock_server(server, locked_reason="nobody touches this one")


def _bring_into(connection: Connection, admin: Connection, server: Any, state: State) -> None:
    compute: Any = connection.compute
    ways: Mapping[State, Callable[[Any], None]] = {
        State.STOPPED: compute.stop_server,
        State.PAUSED: compute.pause_server,
        State.SUSPENDED: compute.suspend_server,
        State.SHELVED: compute.shelve_server,
        State.BROKEN: lambda one: admin.compute.reset_server_state(one.id, "error"),
    }
    ways[state](server)


def _ensure_floating_ip(connection: Connection, server_id: str, server: Server) -> None:
    neutron: Any = connection.network
    project = connection.current_project_id
    front = {network.id for network in neutron.networks(name=server.nics[0].network, project_id=project)}
    port = next(port for port in neutron.ports(device_id=server_id) if port.network_id in front)
    if not _first(neutron.ips(port_id=port.id)):
        neutron.create_ip(floating_network_id=_external(connection), port_id=port.id, description=server.name)


def _settled(connection: Connection, wanted: Mapping[str, Server]) -> bool:
    return all(
        server.status == blueprint.state
        for server in connection.compute.servers()
        if (blueprint := wanted.get(server.metadata.get("asset", "")))
    )


def _external(connection: Connection) -> str:
    return next(iter(connection.network.networks(name=content.PUBLIC_NETWORK, is_router_external=True))).id


def _first(found: Iterable[Any]) -> Any:
    return next(iter(found), None)


def _made(cinder: Any, id: str) -> bool:
    status = cinder.get_volume(id).status
    if status.startswith("error"):
        raise Failed(f"The volume {id} went into the status {status}: see the old cloud's cinder logs.")
    return status in ("available", "in-use")


def _gone(cinder: Any, id: str) -> bool:
    return all(volume.id != id for volume in cinder.volumes(details=False))


def _wait(what: str, holds: Callable[[], bool], *, every: float = LOOK_SECONDS, seconds: float = BUILD_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(every)
