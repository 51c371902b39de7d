"""What a project has in Nova, for verify.py: servers with their root disks' SHA-256, groups, and the keys that they were given."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clouds import Cloud, Facts
from digests import sha256_of_image, sha256_of_root
from looks import Ground, Kind, Names, each, flag, metadata, named, plain, same, tags

AT_A_TIME = 4
FLAVOR = ("vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs")
EXTENDED = "OS-EXT-SRV-ATTR:"


def names_of(cloud: Cloud, project: str) -> dict[str, str]:
    """Of servers, and of volumes, which they have."""
    servers = cloud.pages("compute", f"/servers/detail?all_tenants=1&project_id={project}", "servers")
    volumes = cloud.pages("block_storage", f"/volumes/detail?all_tenants=1&project_id={project}", "volumes")
    return {one["id"]: one["name"] for one in (*servers, *volumes)}


def servers(ground: Ground) -> Iterator[Facts]:
    """With what Nova shows of them elsewhere, their user data as a hash, and the ways to their bytes."""
    cloud = ground.cloud
    groups = server_groups(ground)

    def whole(server: Facts) -> Facts:
        path = f"/servers/{server['id']}"
        image, user_data = (server["image"] or {}).get("id"), server[f"{EXTENDED}user_data"]
        attached = cloud.get("compute", f"{path}/os-volume_attachments")["volumeAttachments"]
        interfaces = cloud.get("compute", f"{path}/os-interface")["interfaceAttachments"] if server["addresses"] else []
        by_device = sorted(attached, key=lambda one: (len(one["device"] or ""), one["device"] or ""))
        return server | {
            "key": key_of(cloud, server)["fingerprint"] if server["key_name"] else None,
            "server_groups": [group["name"] for group in groups if server["id"] in group["members"]],
            "interface_tags": sorted([one["mac_addr"], one["tag"]] for one in interfaces if one.get("tag")),
            "macs": sorted(one["mac_addr"] for one in interfaces),
            "os-extended-volumes:volumes_attached": [
                one | {"boots": not image and one["device"] == server[f"{EXTENDED}root_device_name"]} for one in by_device
            ],
            "user_data_sha256": hashlib.sha256(base64.b64decode(user_data)).hexdigest() if user_data else None,
            "task_state": server["OS-EXT-STS:task_state"],
            "image_id": image,
            "image_sha256": sha256_of_image(cloud, image) if image and ground.hashes else None,
            "root_sha256": sha256_of_root(cloud, server["id"]) if image and ground.hashes else None,
        }

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield from pool.map(whole, listed(ground))


def listed(ground: Ground) -> list[Facts]:
    return list(ground.cloud.pages("compute", f"/servers/detail?all_tenants=1&project_id={ground.project}", "servers"))


def server_groups(ground: Ground) -> list[Facts]:
    """Nova pages these by offset, and gives no link to the next page. The policy was one of `policies` until compute 2.64."""
    found: list[Facts] = []
    while page := ground.cloud.get("compute", f"/os-server-groups?all_projects=True&offset={len(found)}")["server_groups"]:
        found += page
    return [group | {"policies": [group["policy"]]} for group in found if group["project_id"] == ground.project]


def keypairs(ground: Ground) -> list[Facts]:
    """Those that the project's servers were given: keys belong to users. Of another user in the new cloud, each is there once."""
    given = {(server["user_id"], server["key_name"]): server for server in listed(ground) if server["key_name"]}
    return list({(key["name"], key["fingerprint"]): key for key in (key_of(ground.cloud, server) for server in given.values())}.values())


def key_of(cloud: Cloud, server: Facts) -> Facts:
    keypairs = (entry["keypair"] for entry in cloud.get("compute", f"/os-keypairs?user_id={server['user_id']}")["keypairs"])
    gone = {"name": server["key_name"], "fingerprint": "gone"}
    return next((keypair for keypair in keypairs if keypair["name"] == server["key_name"]), gone)


def flavor(value: Facts, _: Names) -> Facts:
    """By its content, which outlives the flavor."""
    return {name: value.get(name) for name in FLAVOR}


def flavor_content(flavor: Facts) -> Facts:
    """The same, of a flavor itself."""
    told = flavor | {"ephemeral": flavor["OS-FLV-EXT-DATA:ephemeral"], "swap": flavor["swap"] or 0}
    return {name: told.get(name) for name in FLAVOR}


def addresses(value: dict[str, list[Facts]], _: Names) -> list[Any]:
    """In the order of the interfaces. Floating ones are Neutron's to tell."""
    return [
        [network, *([one["OS-EXT-IPS-MAC:mac_addr"], one["addr"]] for one in shown if one["OS-EXT-IPS:type"] == "fixed")]
        for network, shown in value.items()
    ]


def volumes(value: list[Facts], names: Names) -> list[Facts]:
    """In the order of their devices, which each cloud names in its own way."""
    return [
        {"name": named(one["volumeId"], names), "boots": one["boots"], "tag": one.get("tag")}
        | {"delete_on_termination": one.get("delete_on_termination")}
        for one in value
    ]


def members(value: list[str], names: Names) -> list[str]:
    return sorted(names[one] for one in value if one in names)


def some(value: Any, _: Names) -> bool:
    return bool(value)


KINDS = {
    "keypair": Kind(keypairs, each(same, "name", "type", "public_key")),
    "server_group": Kind(server_groups, {**each(same, "name", "policy", "policies", "rules"), "project_id": named, "members": members}),
    "server": Kind(
        servers,
        {
            **each(same, "id", "name", "status", "task_state", "locked", "locked_reason", "accessIPv4", "accessIPv6", "OS-DCF:diskConfig"),
            **each(same, f"{EXTENDED}hostname", "user_data_sha256", "key_name", "key", "pinned_availability_zone"),
            "description": plain,
            "metadata": metadata,
            "tags": tags,
            "config_drive": flag,
            "tenant_id": named,
            "image": some,
            "flavor": flavor,
            "addresses": addresses,
            "os-extended-volumes:volumes_attached": volumes,
            **each(same, "server_groups", "interface_tags", "macs", "image_id", "image_sha256", "root_sha256"),
        },
    ),
}
"""Whose content a server's root disk has, is told by the digests: the image itself is another in each cloud."""
