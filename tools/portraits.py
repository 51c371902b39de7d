"""What a project looks like, for verify.py: all that it has, with names in place of ids, so that two clouds can be compared."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clouds import Cloud, Facts, all_images
from digests import STEADY_VOLUME, sha256_of_image, sha256_of_root, sha256_of_volume

MARK = re.compile(r"decamp[-_]")
MARK_SUFFIX = re.compile(r"\s*\[decamp-[0-9a-f]+\]$")
AT_A_TIME = 4
"""Disks that are read at once."""
OF_THE_IMAGE_ITSELF = frozenset(
    ["image_id", "image_name", "checksum", "size", "min_disk", "min_ram", "disk_format", "container_format", "signature_verified"]
)
OF_THE_SERVICE = {"stores", "self", "file", "schema", "direct_url", "locations", "owner_specified.openstack.object"}


def project_id(cloud: Cloud, name: str) -> str | None:
    found = [project.id for project in cloud.connection.identity.projects(name=name)] or [
        project.id for project in cloud.connection.identity.projects() if project.id == name
    ]
    return found[0] if len(found) == 1 else None


def plain(description: str | None) -> str:
    return MARK_SUFFIX.sub("", description or "")


def unmarked(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in sorted(metadata.items()) if not MARK.match(key)}


def portrait(cloud: Cloud, project: str, hashes: bool = True) -> Facts:
    """All that a project has, comparable between clouds. `hashes` reads every byte of its volumes, images and root disks."""
    neutron = cloud.connection.network
    networks = {network.id: network for network in neutron.networks()}
    subnets = {subnet.id: subnet for subnet in neutron.subnets()}
    groups = {group.id: group for group in neutron.security_groups(project_id=project)}
    ports = list(neutron.ports(project_id=project))

    def addresses(port: Any) -> list[Any]:
        return sorted([subnets[ip["subnet_id"]].name, ip["ip_address"]] for ip in port.fixed_ips)

    def port_facts(port: Any) -> Facts:
        return {
            "name": port.name,
            "description": plain(port.description),
            "network": networks[port.network_id].name,
            "addresses": addresses(port),
            "mac": port.mac_address,
            "security_groups": sorted(groups[group_id].name if group_id in groups else group_id for group_id in port.security_group_ids),
            "allowed_address_pairs": sorted([pair["ip_address"], pair.get("mac_address", "")] for pair in port.allowed_address_pairs),
            "port_security": port.is_port_security_enabled,
            "vnic_type": port.binding_vnic_type,
            "admin_state": port.is_admin_state_up,
        }

    volumes = volume_portraits(cloud, project, hashes)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        servers = list(
            pool.map(
                lambda server: server_portrait(
                    cloud, server, [port_facts(port) for port in ports if port.device_id == server["id"]], volumes, hashes
                ),
                list(cloud.pages("compute", f"/servers/detail?all_tenants=1&project_id={project}", "servers")),
            )
        )
    names = {server["id"]: server["name"] for server in servers}
    return {
        "networks": sorted(
            (
                {
                    "name": network.name,
                    "description": plain(network.description),
                    "shared": network.is_shared,
                    "admin_state": network.is_admin_state_up,
                }
                for network in networks.values()
                if network.project_id == project
            ),
            key=by_content,
        ),
        "subnets": sorted(
            (subnet_portrait(subnet, networks) for subnet in subnets.values() if subnet.project_id == project), key=by_content
        ),
        "routers": sorted(
            (
                router_portrait(
                    router, networks, [addresses(port) for port in neutron.ports(device_id=router.id) if port.project_id == project]
                )
                for router in neutron.routers(project_id=project)
            ),
            key=by_content,
        ),
        "security_groups": {group.name: security_group_portrait(group, groups) for group in groups.values()},
        "security_group_count": len(groups),
        "free_ports": sorted((port_facts(port) for port in ports if not port.device_owner), key=by_content),
        "floating_ips": len(list(neutron.ips(project_id=project))),
        "server_groups": sorted(
            (
                {
                    "name": group["name"],
                    "policy": group["policy"],
                    "members": sorted(names[member] for member in group["members"] if member in names),
                }
                for group in cloud.get("compute", "/os-server-groups?all_projects=True")["server_groups"]
                if group["project_id"] == project
            ),
            key=by_content,
        ),
        "volumes": sorted(volumes.values(), key=by_content),
        "images": image_portraits(cloud, project, hashes),
        "servers": servers,
    }


def by_content(facts: Facts) -> str:
    return json.dumps(facts, sort_keys=True)


def subnet_portrait(subnet: Any, networks: dict[str, Any]) -> Facts:
    return {
        "name": subnet.name,
        "description": plain(subnet.description),
        "network": networks[subnet.network_id].name,
        "cidr": subnet.cidr,
        "gateway": subnet.gateway_ip,
        "pools": sorted([pool["start"], pool["end"]] for pool in subnet.allocation_pools),
        "dns": subnet.dns_nameservers,
        "routes": sorted([route["destination"], route["nexthop"]] for route in subnet.host_routes),
        "dhcp": subnet.is_dhcp_enabled,
        "ipv6": [subnet.ip_version, subnet.ipv6_address_mode, subnet.ipv6_ra_mode],
    }


def router_portrait(router: Any, networks: dict[str, Any], interfaces: list[Any]) -> Facts:
    gateway = router.external_gateway_info
    return {
        "name": router.name,
        "description": plain(router.description),
        "admin_state": router.is_admin_state_up,
        "external": networks[gateway["network_id"]].name if gateway else None,
        "snat": gateway.get("enable_snat") if gateway else None,
        "routes": sorted([route["destination"], route["nexthop"]] for route in router.routes),
        "interfaces": sorted(interfaces),
    }


def security_group_portrait(group: Any, groups: dict[str, Any]) -> Facts:
    rules = [
        {
            "direction": rule["direction"],
            "ethertype": rule["ethertype"],
            "protocol": rule["protocol"],
            "ports": [rule["port_range_min"], rule["port_range_max"]],
            "from": rule["remote_ip_prefix"],
            "group": groups[rule["remote_group_id"]].name if rule["remote_group_id"] else None,
            "description": plain(rule.get("description")),
        }
        for rule in group.security_group_rules
    ]
    # the description of `default` is Neutron's own
    description = "" if group.name == "default" else plain(group.description)
    return {"description": description, "stateful": group.stateful, "rules": sorted(rules, key=by_content)}


def volume_portraits(cloud: Cloud, project: str, hashes: bool) -> dict[str, Facts]:
    """By id; with SHA-256 of the content."""
    listed = list(cloud.pages("block_storage", f"/volumes/detail?all_tenants=1&project_id={project}", "volumes"))
    volumes = {
        volume["id"]: {
            "name": volume["name"],
            "description": plain(volume["description"]),
            "size_gib": volume["size"],
            "type": volume["volume_type"],
            "bootable": volume["bootable"],
            "metadata": unmarked({key: value for key, value in volume["metadata"].items() if key not in {"readonly", "attached_mode"}}),
            "image_properties": {
                key: value
                for key, value in sorted(volume.get("volume_image_metadata", {}).items())
                if key not in OF_THE_IMAGE_ITSELF | OF_THE_SERVICE and not MARK.match(key)
            },
            "steady": volume["status"] if volume["status"] not in STEADY_VOLUME else True,
            "attached": len(volume["attachments"]),
        }
        for volume in listed
    }
    if hashes:
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for facts, digest in zip(
                volumes.values(), pool.map(lambda volume_id: sha256_of_volume(cloud, volume_id), volumes), strict=True
            ):
                facts["sha256"] = digest
    return volumes


def image_portraits(cloud: Cloud, project: str, hashes: bool) -> list[Facts]:
    """Of the images that the project owns."""
    images = []
    for image in all_images(cloud):
        if image["owner"] != project:
            continue
        images.append(
            {
                "id": image["id"],
                "name": image["name"],
                "status": image["status"],
                "formats": [image["disk_format"], image["container_format"]],
                "minimum": [image["min_disk"], image["min_ram"]],
                "tags": sorted(tag for tag in image["tags"] if not MARK.match(tag)),
                "properties": image_properties(image),
                "sha256": sha256_of_image(cloud, image["id"]) if hashes and image["status"] == "active" else None,
            }
        )
    return images


STANDARD = {
    *("id", "name", "status", "owner", "visibility", "protected", "checksum", "size", "virtual_size", "created_at", "updated_at", "tags"),
    *("min_disk", "min_ram", "disk_format", "container_format", "os_hash_algo", "os_hash_value", "os_hidden", "file", "self", "schema"),
    *("stores", "direct_url", "locations"),
}
"""Fields of every image; all others are properties."""


def image_properties(image: Facts) -> Facts:
    return {key: value for key, value in sorted(image.items()) if key not in STANDARD and not MARK.match(key)}


def server_portrait(cloud: Cloud, server: Facts, ports: list[Facts], volumes: dict[str, Facts], hashes: bool) -> Facts:
    user_data = server.get("OS-EXT-SRV-ATTR:user_data")
    flavor = server["flavor"]
    attached = [
        {
            "name": volumes[attachment["id"]]["name"] if attachment["id"] in volumes else attachment["id"],
            "delete_on_termination": attachment.get("delete_on_termination"),
        }
        for attachment in server["os-extended-volumes:volumes_attached"]
    ]
    image = (server["image"] or {}).get("id")
    root_device = server["OS-EXT-SRV-ATTR:root_device_name"]
    return {
        "id": server["id"],
        "name": server["name"],
        "status": server["status"],
        "task_state": server["OS-EXT-STS:task_state"],
        "locked": server["locked"],
        "description": plain(server.get("description")),
        "flavor": {name: flavor.get(name) for name in ("vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs")},
        "key_name": server["key_name"],
        "key": key_fingerprint(cloud, server["user_id"], server["key_name"]),
        "metadata": unmarked(server["metadata"]),
        "tags": sorted(tag for tag in server["tags"] if not MARK.match(tag)),
        "config_drive": bool(server["config_drive"]),
        "user_data_sha256": hashlib.sha256(base64.b64decode(user_data)).hexdigest() if user_data else None,
        "hostname": server["OS-EXT-SRV-ATTR:hostname"],
        "root_device": root_device,
        "networks_in_order": list(server["addresses"]),
        "ports": sorted(ports, key=by_content),
        "volumes": attached,
        "image": image,
        "image_sha256": sha256_of_image(cloud, image) if image and hashes else None,
        "root_sha256": sha256_of_root(cloud, server["id"]) if image and hashes else None,
    }


def key_fingerprint(cloud: Cloud, user_id: str, name: str | None) -> str | None:
    if name is None:
        return None
    keypairs = [entry["keypair"] for entry in cloud.get("compute", f"/os-keypairs?user_id={user_id}")["keypairs"]]
    return next((keypair["fingerprint"] for keypair in keypairs if keypair["name"] == name), "gone")
