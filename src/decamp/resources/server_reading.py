"""Servers as their owner asked for them, put together from Nova, Neutron and Cinder."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.model.refs import Ref, fingerprint
from decamp.model.survey import Resource
from decamp.resources import calls, flavor, keypair, server_group, stacks
from decamp.resources.attributes import changed, its_own, kept, mapped_as, owner, refused
from decamp.resources.calls import Json
from decamp.resources.specs import pair, sealed
from decamp.resources.tagging import without_mark, without_marks

NAME = "server"

EXTENDED = "OS-EXT-SRV-ATTR:"
"""Prefix of attributes that Nova shows to administrators alone by default (hostname, from compute 2.90 on, to all)."""

ATTRIBUTES = (
    *owner("tenant_id"),
    *kept("name", "description", "metadata", "tags", access_ipv4="accessIPv4", access_ipv6="accessIPv6"),
    *kept("config_drive", "locked", "locked_reason", disk_config="OS-DCF:diskConfig"),
    *kept(how="from compute 2.90 on, where a server's hostname can be asked for", hostname=f"{EXTENDED}hostname"),
    *kept(how="read by administrators alone; carried from cloud to cloud, never written down", user_data_sha256=f"{EXTENDED}user_data"),
    *kept(how="running or stopped; in any other state it is refused, with the way out of it", power="status"),
    *mapped_as(how="from its base image, or an image made of its root disk", image="image"),
    *mapped_as(how="by its content, which outlives the flavor", flavor="flavor"),
    *mapped_as(key="key_name", server_group="server_groups"),
    *mapped_as(how="in the order of the interfaces", ports="addresses"),
    *mapped_as(how="told by its interfaces", nic_tags="interface_tags"),
    *mapped_as(
        how="in their order, with boot index, device tag and delete_on_termination; device names are the new cloud's",
        volumes="os-extended-volumes:volumes_attached",
    ),
    *mapped_as(how="the one that was asked for, which is shown from compute 2.96 on", availability_zone="pinned_availability_zone"),
    *changed("OS-EXT-AZ:availability_zone", how="that of the new host"),
    *changed("user_id", how="the acting user"),
    *changed("security_groups", how="those of its ports"),
    *its_own("id", "created", "updated", "links", "progress", "fault", "hostId", "host_status"),
    *its_own("OS-EXT-STS:power_state", "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state"),
    *its_own("OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at"),
    *its_own(*(f"{EXTENDED}{name}" for name in ("host", "hypervisor_hostname", "instance_name", "launch_index", "reservation_id"))),
    *changed(f"{EXTENDED}root_device_name", how="as the new cloud's hypervisor calls it"),
    *changed(f"{EXTENDED}kernel_id", f"{EXTENDED}ramdisk_id", how="those of its image"),
    *refused("trusted_image_certificates", why="they lie in the old cloud's key manager"),
)
"""Interfaces' tags are a call of their own. `addresses` and the groups are the ports', which are a kind of their own."""

NO_ZONE = "nova"
"""Nova's name for the zone of hosts that are in none (default_availability_zone)."""

STOPPED = frozenset({"SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"})
DELETED, SOFT_DELETED = "DELETED", "SOFT_DELETED"
"""Nova shows and lists the first for a moment, and keeps the second for reclaim_instance_interval, with all that it has."""
GONE = frozenset({DELETED, SOFT_DELETED})

NOT_IN_THE_FINGERPRINT = frozenset({"power", "locked", "locked_reason", "user_data_sha256", "user_data_bytes"})
"""A plan stops and locks the server itself; user data are compared when they are read, which not everybody may do."""

AT_A_TIME = 4
"""Requests for attachments at the same time."""


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What other services, or other listings of Nova, know of the servers."""

    flavors: tuple[Resource, ...]
    groups: Mapping[str, str]
    """Server id -> server group id."""
    ports: Mapping[str, list[Json]]
    """Server id -> its ports."""
    bootable: frozenset[str]
    """Ids of volumes that one can boot from."""
    stacks: Mapping[str, stacks.Owner] | None
    """Server id -> the Heat stack that owns it; null where nobody can tell."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    owner = project or (None if cloud.admin else cloud.project_id)
    scope: Json = {"all_tenants": "true"} if cloud.admin else {}
    mine: Json = scope | ({"project_id": owner} if cloud.admin and owner else {})
    servers = [one for one in calls.listed(cloud, "compute", "/servers/detail", "servers", mine) if one["status"] not in GONE]
    ports: defaultdict[str, list[Json]] = defaultdict(list)
    for port in calls.listed(cloud, "network", "/ports", "ports", {"project_id": owner} if owner else {}):
        ports[port["device_id"]].append(port)
    around = Around(
        flavors=tuple(flavor.export(cloud, owner)),
        groups={member: group.id for group in server_group.export(cloud, owner) for member in group.info["members"]},
        ports=ports,
        bootable=frozenset(
            volume["id"]
            for volume in calls.listed(cloud, "block_storage", "/volumes/detail", "volumes", mine)
            if str(volume["bootable"]).lower() == "true"
        ),
        stacks=stacks.owners_of_servers(cloud, owner),
    )
    with ThreadPoolExecutor(AT_A_TIME, "attachments") as pool:
        attachments = pool.map(lambda server: (_attachments(cloud, server), _nic_tags(cloud, server)), servers)
        for server, (attached, tags) in zip(servers, attachments, strict=True):
            yield told(server, attached, around, _key(cloud, server), tags)


def read(cloud: Cloud, id: str) -> Resource | None:
    """Null also for one that is deleted and not reclaimed yet. Which stack owns it is left out: Heat tells that only of all at once."""
    server = got(cloud, id)
    if server is None or server["status"] in GONE:
        return None
    attached = _attachments(cloud, server)
    shows_root = EXTENDED + "root_device_name" in server
    volumes = [] if shows_root else [calls.got(cloud, "block_storage", f"/volumes/{one['volumeId']}", "volume") for one in attached]
    around = Around(
        flavors=tuple(flavor.export(cloud, server["tenant_id"])),
        groups=dict.fromkeys([id], next(iter(server.get("server_groups") or []), "")),
        ports={id: list(calls.listed(cloud, "network", "/ports", "ports", {"device_id": id}))},
        bootable=frozenset(volume["id"] for volume in volumes if volume and str(volume["bootable"]).lower() == "true"),
        stacks={},
    )
    return told(server, attached, around, _key(cloud, server), _nic_tags(cloud, server))


def got(cloud: Cloud, id: str) -> Json | None:
    return calls.got(cloud, "compute", f"/servers/{id}", "server")


def told(
    server: Json, attached: Iterable[Json], around: Around, key: list[str] | None, nic_tags: Mapping[str, str] = MappingProxyType({})
) -> Resource:
    """`nic_tags`: port id -> the tag of the interface."""
    image = pair("image", (server["image"] or {}).get("id"))
    root_device = server.get(EXTENDED + "root_device_name")
    volumes, guessed = volumes_of(list(attached), None if image else root_device, around.bootable, image_booted=image is not None)
    flavor_ref, flavor_told = _flavor(server["flavor"], around.flavors)
    group = around.groups.get(server["id"]) or None
    owner = (around.stacks or {}).get(server["id"])
    ports = [["port", port] for port in nic_order(server["addresses"], around.ports.get(server["id"], []))]
    spec: dict[str, Any] = {
        "name": server["name"],
        "description": server.get("description") or "",
        "image": image,
        "flavor": flavor_ref,
        "key": key,
        "ports": ports,
        "nic_tags": [{"port": port, "tag": nic_tags[port[1]]} for port in ports if port[1] in nic_tags],
        "volumes": volumes,
        "server_group": pair("server_group", group),
        "metadata": without_mark(server["metadata"]),
        "tags": without_marks(server.get("tags", [])),
        "config_drive": server.get("config_drive") in ("True", True),
        "disk_config": server.get("OS-DCF:diskConfig", "MANUAL"),
        "access_ipv4": server.get("accessIPv4", ""),
        "access_ipv6": server.get("accessIPv6", ""),
        "power": "stopped" if server["status"] in STOPPED else "running",
        "locked": bool(server.get("locked")),
        "locked_reason": server.get("locked_reason"),
        "hostname": server.get(EXTENDED + "hostname"),
        "availability_zone": server.get("pinned_availability_zone"),
    }
    info: dict[str, Any] = {
        "status": server["status"],
        "task_state": server.get("OS-EXT-STS:task_state"),
        "fault": (server.get("fault") or {}).get("message"),
        "zone_shown": server.get("OS-EXT-AZ:availability_zone"),
        "host": server.get(EXTENDED + "host"),
        "user": server["user_id"],
        "created_at": server["created"],
        "stack": owner.name if owner else None,
        "stack_id": owner.id if owner else None,
        "flavor": flavor_told,
        "unreadable": [],
        "not_carried": [],
    }
    if EXTENDED + "user_data" in server:
        spec |= _user_data(server[EXTENDED + "user_data"])
    else:
        info["unreadable"].append("user_data")
        info["not_carried"].append("its user data, if it has any: without administrator rights in its cloud it cannot be read")
    if "pinned_availability_zone" not in server:
        info["unreadable"].append("availability_zone")
        if info["zone_shown"] not in (None, "", NO_ZONE):
            text = (
                f"the zone that was asked for, if one was: it is in {info['zone_shown']}, and Nova tells which was asked for from 2.96 on"
            )
            info["not_carried"].append(text)
    if around.stacks is None:
        info["unreadable"].append("stack")
    if guessed:
        info["not_carried"].append(guessed)
    if server.get("trusted_image_certificates"):
        info["unsupported"] = ["it asks for trusted image certificates, which lie in its cloud"]
    refs = (image, flavor_ref, key, spec["server_group"], *ports, *(one["volume"] for one in volumes))
    resource = sealed(NAME, server["id"], server["name"], server["tenant_id"], [Ref(*ref) for ref in refs if ref], spec, info)
    lasting = {field: value for field, value in spec.items() if field not in NOT_IN_THE_FINGERPRINT}
    return msgspec.structs.replace(resource, fingerprint=fingerprint(lasting, resource.needs))


def volumes_of(
    attached: list[Json], root_device: str | None, bootable: frozenset[str], *, image_booted: bool
) -> tuple[list[Json], str | None]:
    """The volumes in the order of their devices, the boot volume first; and a sentence where it had to be guessed which that is.

    Nova does not show boot indexes. Of a server without image the boot volume is the one on the root device, which administrators see;
    else the one that is bootable; where several are, the first device of these.
    """
    ordered = sorted(attached, key=lambda one: (len(one["device"] or ""), one["device"] or "", one["volumeId"]))
    boot, guessed = None, None
    if not image_booted:
        on_root = [one for one in ordered if root_device and one["device"] == root_device]
        candidates = on_root or [one for one in ordered if one["volumeId"] in bootable] or ordered
        boot = candidates[0]["volumeId"] if candidates else None
        if len(candidates) > 1:
            guessed = f"certainty about its boot volume, which only administrators see: {boot} is taken, the first that can be"
    volumes = [
        {
            "volume": ["volume", one["volumeId"]],
            "device": one["device"],
            "boot_index": 0 if one["volumeId"] == boot else None,
            "delete_on_termination": bool(one.get("delete_on_termination")),
            "tag": one.get("tag"),
        }
        for one in ordered
    ]
    return sorted(volumes, key=lambda one: one["boot_index"] is None), guessed


def nic_order(addresses: Mapping[str, list[Json]], ports: Iterable[Json]) -> list[str]:
    """Ids of the ports in the order of the guest's interfaces, as far as Nova tells it: by network in the order that it attached them.

    Ports without an address, which Nova does not list, come last, in the order in which they were made.
    """
    macs = [entry["OS-EXT-IPS-MAC:mac_addr"].lower() for network in addresses.values() for entry in network]
    place = {mac: index for index, mac in reversed(list(enumerate(macs)))}
    return [
        port["id"]
        for port in sorted(
            ports, key=lambda port: (place.get(port["mac_address"].lower(), len(macs)), port.get("created_at") or "", port["id"])
        )
    ]


def user_data_of(server: Json) -> bytes | None:
    """What the guest gets to see of it; None where there is none, or where it is not shown."""
    encoded = server.get(EXTENDED + "user_data")
    return _decoded(encoded) if encoded else None


def _user_data(encoded: str | None) -> dict[str, Any]:
    """For the spec: its hash and length. The data themselves may hold passwords."""
    if not encoded:
        return {"user_data_sha256": None, "user_data_bytes": 0}
    data = _decoded(encoded)
    return {"user_data_sha256": hashlib.sha256(data).hexdigest(), "user_data_bytes": len(data)}


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=False)
    except binascii.Error:
        return encoded.encode()


def _flavor(server_flavor: Json, flavors: Iterable[Resource]) -> tuple[list[str], dict[str, Any]]:
    """The ref, and the content: by id below compute 2.47, by content from there on; a deleted flavor's ref says that it is gone."""
    if "original_name" not in server_flavor:
        there = next((one for one in flavors if one.id == server_flavor["id"]), None)
        return ["flavor", server_flavor["id"]], there.spec if there else {}
    there = next((one for one in flavors if flavor.is_of(one, server_flavor)), None) or flavor.embedded(server_flavor)
    return ["flavor", there.id], flavor.embedded(server_flavor).spec


def _key(cloud: Cloud, server: Json) -> list[str] | None:
    name = server.get("key_name")
    return pair("keypair", keypair.id_of(cloud, server["user_id"], name) if name else None)


def _attachments(cloud: Cloud, server: Json) -> list[Json]:
    """With their tags (compute 2.70) and delete_on_termination (2.79; the server itself says it from 2.3 on)."""
    shown = {one["id"]: one for one in server.get("os-extended-volumes:volumes_attached", [])}
    if not shown:
        return []
    attached = calls.got(cloud, "compute", f"/servers/{server['id']}/os-volume_attachments", "volumeAttachments") or []
    return [{"delete_on_termination": shown.get(one["volumeId"], {}).get("delete_on_termination"), **one} for one in attached]


NIC_TAGS_FROM = "2.70"
"""Compute microversion from which Nova shows the tags of interfaces."""


def _nic_tags(cloud: Cloud, server: Json) -> dict[str, str]:
    if not server["addresses"] or not cloud.at_least("compute", NIC_TAGS_FROM):
        return {}
    interfaces = calls.got(cloud, "compute", f"/servers/{server['id']}/os-interface", "interfaceAttachments") or []
    return {one["port_id"]: one["tag"] for one in interfaces if one.get("tag")}


def marked(cloud: Cloud, mark: str, metadata_key: str) -> Iterator[Json]:
    """Servers of the project that a run made under this mark."""
    if cloud.at_least("compute", TAGS_FROM):
        yield from calls.listed(cloud, "compute", "/servers/detail", "servers", {"tags": mark, "project_id": cloud.project_id})
        return
    for server in calls.listed(cloud, "compute", "/servers/detail", "servers"):
        if server["metadata"].get(metadata_key) == mark:
            yield server


TAGS_FROM = "2.52"
"""Compute microversion from which tags can be given in the create call."""
