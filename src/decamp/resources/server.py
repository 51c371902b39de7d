"""Servers: booted with ports and volumes that were made before, and with everything else that their owner asked for. The mark is a tag."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Changed, Failed, Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.server_reading import (
    ATTRIBUTES,
    DELETED,
    EXTENDED,
    GONE,
    NAME,
    SOFT_DELETED,
    TAGS_FROM,
    export,
    got,
    marked,
    read,
    user_data_of,
)
from decamp.resources.specs import differences, mapped, unchanged
from decamp.resources.tagging import METADATA_KEY
from decamp.resources.waiting import wait_until

__all__ = ["ATTRIBUTES", "NAME", "create", "export", "find", "read", "remove", "verify"]

BOOT_SECONDS = 3600
POWER_SECONDS = 900
"""A guest that does not answer to the power button is given 60 s by Nova (shutdown_timeout), but an image may ask for more."""

GONE_SECONDS = 900
FAULT_SECONDS = 3

LOCK_REASON_FROM = "2.73"
"""Compute microversion from which a lock takes a reason."""

KEEPING_FROM = "2.85"
"""Compute microversion from which delete_on_termination can be changed after the boot."""


def find(passage: Passage, resource: Resource) -> str | None:
    """One that is still being built is waited for; one that came to nothing is deleted, but its ports and volumes are kept."""
    for server in list(marked(passage.new, passage.mark, METADATA_KEY)):
        if server["status"] in GONE:
            continue
        if server["status"] == "ERROR" or server.get("OS-EXT-STS:task_state") == "deleting" or is_lost(server, datetime.now(UTC)):
            _keep_volumes(passage.new, server["id"])
            _delete(passage.new, server["id"])
        else:
            return finished(passage, resource, server["id"])
    return None


def is_lost(server: Json, now: datetime) -> bool:
    """Not begun in all the time that it may take to be built: the message that asks for that is lost."""
    waits = server["status"] == "BUILD" and server.get("OS-EXT-STS:task_state") in (None, "scheduling")
    return waits and (now - datetime.fromisoformat(server["created"])).total_seconds() > BOOT_SECONDS


def create(passage: Passage, resource: Resource) -> str:
    """Boot it, and stop and lock it if it was. Raises Failed with Nova's sentence if it ends in ERROR, and leaves it to `find`."""
    if resource.info.get("unsupported"):
        raise Refused(f"server {resource.name or resource.id} cannot be copied: {'; '.join(resource.info['unsupported'])}")
    body = request(passage, resource)
    encoded = _user_data(passage, resource)
    if encoded:
        body["server"]["user_data"] = encoded
    new_id = calls.posted(passage.new, "compute", "/servers", body)["server"]["id"]
    return finished(passage, resource, new_id)


def request(passage: Passage, resource: Resource) -> Json:
    """The body of the create call, but for user data."""
    new, spec, ids = passage.new, resource.spec, passage.ids
    server: dict[str, Any] = {
        "name": spec["name"],
        "flavorRef": mapped(ids, spec["flavor"]),
        "networks": _networks(passage, resource) or "none",
        "metadata": dict(spec["metadata"]),
        "config_drive": spec["config_drive"],
        "OS-DCF:diskConfig": spec["disk_config"],
    }
    optional = {
        "description": spec["description"],
        "key_name": mapped(ids, spec["key"]) if spec["key"] else None,
        "accessIPv4": spec["access_ipv4"],
        "accessIPv6": spec["access_ipv6"],
        "availability_zone": spec.get("availability_zone"),
        "hostname": spec["hostname"] if new.at_least("compute", "2.90") else None,
        "imageRef": mapped(ids, spec["image"]) if spec["image"] else None,
    }
    server |= {name: value for name, value in optional.items() if value}
    if new.at_least("compute", TAGS_FROM):
        server["tags"] = [*spec["tags"], passage.mark]
    else:
        server["metadata"][METADATA_KEY] = passage.mark
    disks = _disks(passage, resource)
    if disks:
        server["block_device_mapping_v2"] = disks
    hints = {"group": mapped(ids, spec["server_group"])} if spec["server_group"] else {}
    return {"server": server} | ({"os:scheduler_hints": hints} if hints else {})


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """With an operator's own rights, which user data are shown to."""
    copy = read(passage.admin or passage.new, id)
    spec, ids = resource.spec, passage.ids
    by_hand = {"image", "ports", "volumes"} | ({"locked_reason"} if not takes_lock_reasons(passage.new) else set())
    if copy:
        by_hand |= {field for field in ("user_data_sha256", "user_data_bytes") if "user_data" in copy.info["unreadable"]}
    unasked = {field for field in ("availability_zone", "hostname") if spec.get(field) is None}
    told = list(differences(resource, copy, ids, but=by_hand | unasked))
    if copy is None:
        return tuple(told)
    what = f"server {resource.name or resource.id}"
    if copy.info["status"] not in ("ACTIVE", "SHUTOFF"):
        told.append(f"{what}: its copy is {copy.info['status']}")
    image = mapped(ids, spec["image"]) if spec["image"] else None
    if image != (copy.spec["image"] or [None, None])[1]:
        told.append(f"{what}: its copy was not booted from image {image}")
    ports = [["port", mapped(ids, port)] for port in spec["ports"]]
    if ports != copy.spec["ports"]:
        told.append(f"{what}: the ports of its copy, in their order, are {copy.spec['ports']} and should be {ports}")
    there = {one["volume"][1]: one for one in copy.spec["volumes"]}
    wanted = {mapped(ids, one["volume"]): one for one in spec["volumes"]}
    told += [f"{what}: its copy has volume {volume}, which it should not" for volume in sorted(there.keys() - wanted.keys())]
    for volume, one in wanted.items():
        if volume not in there:
            told.append(f"{what}: its copy has not volume {volume}")
            continue
        told += [
            f"{what}: {field} of volume {volume} should be {one[field]} and is {there[volume][field]}"
            for field in ("boot_index", "delete_on_termination", "tag")
            if one[field] != there[volume][field]
        ]
    return tuple(told)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Also of a locked server, once it is known to be unchanged. Ports that were made for it by hand stay."""
    there = read(cloud, id)
    if there is None:
        return
    if there.info["task_state"] == "deleting":
        # an earlier attempt's: its volumes and ports leave it one by one
        _delete(cloud, id)
        return
    unchanged(there, expects, cloud.name)
    if there.spec["locked"]:
        act(cloud, id, "unlock")
    _delete(cloud, id)


def act(cloud: Cloud, id: str, action: str, arguments: Any = None) -> None:
    calls.posted(cloud, "compute", f"/servers/{id}/action", {action: arguments})


def wait_status(cloud: Cloud, id: str, status: str, *, timeout_seconds: float, cancelled: Callable[[], bool]) -> None:
    """Until the server is in `status` and Nova does nothing with it any more. Raises Failed if it falls into ERROR instead."""

    def there() -> bool | None:
        server = got(cloud, id)
        if server is None:
            raise Changed(f"{cloud.name}: server {id} is gone")
        if server["status"] == "ERROR" and status != "ERROR":
            raise Failed(f"{cloud.name}: server {server['name']} ({id}) is in ERROR: {_fault(cloud, server)}")
        return True if server["status"] == status and server.get("OS-EXT-STS:task_state") is None else None

    wait_until(f"server {id} is {status} in {cloud.name}", there, timeout_seconds=timeout_seconds, cancelled=cancelled)


def finished(passage: Passage, resource: Resource, id: str) -> str:
    """Wait until it is built, let its volumes go with it if they did before, start or stop it as it was, lock it if it was locked. May be
    done again."""
    new, spec = passage.new, resource.spec

    def built() -> Json | None:
        server = got(new, id)
        if server is None or server["status"] in GONE:
            raise Failed(f"{new.name}: server {resource.name or resource.id}: its copy {id} is gone while it was built")
        if server["status"] == "ERROR":
            raise Failed(f"{new.name}: server {resource.name or resource.id}: its copy {id} is in ERROR: {_fault(new, server)}")
        return None if server["status"] == "BUILD" or server.get("OS-EXT-STS:task_state") else server

    server = wait_until(f"server {id} is built in {new.name}", built, timeout_seconds=BOOT_SECONDS, cancelled=passage.cancelled)
    goes_with_it = {mapped(passage.ids, one["volume"]) for one in spec["volumes"] if one["delete_on_termination"]}
    for volume, goes in _delete_on_termination(server).items():
        if volume in goes_with_it and not goes:
            _set_delete_on_termination(new, id, volume, True)
    if spec["power"] == "stopped" and server["status"] == "ACTIVE":
        act(new, id, "os-stop")
        wait_status(new, id, "SHUTOFF", timeout_seconds=POWER_SECONDS, cancelled=passage.cancelled)
    if spec["power"] == "running" and server["status"] == "SHUTOFF":
        act(new, id, "os-start")
        wait_status(new, id, "ACTIVE", timeout_seconds=POWER_SECONDS, cancelled=passage.cancelled)
    if spec["locked"] and not server.get("locked"):
        reason = {"locked_reason": spec["locked_reason"]} if spec["locked_reason"] and takes_lock_reasons(new) else None
        act(new, id, "lock", reason)
    return id


def takes_lock_reasons(cloud: Cloud) -> bool:
    return cloud.at_least("compute", LOCK_REASON_FROM)


def _networks(passage: Passage, resource: Resource) -> list[Json]:
    tags = {Ref(*one["port"]): {"tag": one["tag"]} for one in resource.spec["nic_tags"]}
    return [{"port": mapped(passage.ids, port)} | tags.get(Ref(*port), {}) for port in resource.spec["ports"]]


def _disks(passage: Passage, resource: Resource) -> list[Json]:
    """None of the volumes goes with the server yet: a boot that fails must not take them along. `finished` sets what was asked for."""
    spec, ids = resource.spec, passage.ids
    late = passage.new.at_least("compute", KEEPING_FROM)
    disks: list[Json] = []
    if spec["image"] and spec["volumes"]:
        root = {"source_type": "image", "destination_type": "local", "boot_index": 0, "delete_on_termination": True}
        disks.append({"uuid": mapped(ids, spec["image"]), **root})
    for volume in spec["volumes"]:
        disk = {
            "uuid": mapped(ids, volume["volume"]),
            "source_type": "volume",
            "destination_type": "volume",
            "boot_index": 0 if volume["boot_index"] == 0 else -1,
            "delete_on_termination": volume["delete_on_termination"] and not late,
        }
        disks.append(disk | ({"tag": volume["tag"]} if volume["tag"] else {}))
    return disks


def _user_data(passage: Passage, resource: Resource) -> str | None:
    """In base64, read anew from the old cloud: it may hold secrets, so that no document has it. Raises Changed if it is not as planned."""
    wanted = resource.spec.get("user_data_sha256")
    if not wanted:
        return None
    server = got(passage.old, resource.id)
    if server is None:
        raise Changed(f"{passage.old.name}: server {resource.name or resource.id} is gone")
    if EXTENDED + "user_data" not in server:
        raise Refused(f"{passage.old.name}: the user data of server {resource.name or resource.id} cannot be read with these credentials")
    data = user_data_of(server)
    if data is None or hashlib.sha256(data).hexdigest() != wanted:
        raise Changed(f"{passage.old.name}: the user data of server {resource.name or resource.id} have changed since the plan was made")
    return base64.b64encode(data).decode()


def _delete_on_termination(server: Json) -> dict[str, bool]:
    return {one["id"]: bool(one.get("delete_on_termination")) for one in server.get("os-extended-volumes:volumes_attached", [])}


def _set_delete_on_termination(cloud: Cloud, id: str, volume: str, goes: bool) -> None:
    body = {"volumeAttachment": {"volumeId": volume, "delete_on_termination": goes}}
    calls.put(cloud, "compute", f"/servers/{id}/os-volume_attachments/{volume}", body)


def _keep_volumes(cloud: Cloud, id: str) -> None:
    server = got(cloud, id)
    if server is None or not cloud.at_least("compute", KEEPING_FROM):
        return
    for volume, goes in _delete_on_termination(server).items():
        if goes:
            _set_delete_on_termination(cloud, id, volume, False)


def _delete(cloud: Cloud, id: str) -> None:
    calls.deleted(cloud, "compute", f"/servers/{id}")

    def still_there() -> bool:
        server = got(cloud, id)
        idle = server is not None and server.get("OS-EXT-STS:task_state") is None
        if server and idle and server["status"] == "ERROR":
            raise Failed(f"{cloud.name}: server {server['name']} ({id}) could not be deleted: {_fault(cloud, server)}")
        if server and idle and server["status"] == SOFT_DELETED:
            try:
                act(cloud, id, "forceDelete")
            except Refused:
                return False
            except Changed:
                pass
        return server is not None and server["status"] != DELETED

    calls.gone(f"{cloud.name}: server {id}", still_there, GONE_SECONDS)


def _fault(cloud: Cloud, server: Json) -> str:
    """Nova writes it a moment after the state."""
    until = time.monotonic() + FAULT_SECONDS
    seen: Json | None = server
    while seen and not seen.get("fault") and time.monotonic() < until:
        time.sleep(FAULT_SECONDS / 10)
        seen = got(cloud, server["id"])
    return " ".join(str(((seen or {}).get("fault") or {}).get("message") or "Nova gives no reason").split())
