"""Volumes, with their bytes: uploaded to the old Glance, streamed to the new one, made into a volume there. The mark is in the metadata.

What is proved: the image that arrived has the hash that both Glances computed, and Cinder makes the volume of exactly that image.
Every step can be taken up again: the images on the way bear the mark, as the volume does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Failed, Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, image_copy, image_data
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as, owner, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed, unchanged
from decamp.resources.tagging import METADATA_KEY, without_mark
from decamp.resources.waiting import wait_until

NAME = "volume"

ATTRIBUTES = (
    *owner("os-vol-tenant-attr:tenant_id"),
    *kept("name", "description", "metadata", "bootable", size_gib="size"),
    *kept(how="one of Cinder's own keys in the metadata", readonly="metadata.readonly"),
    *kept(how="but `image_id`, which is mapped, and `signature_verified`", image_metadata="volume_image_metadata"),
    *mapped_as(how="by the mapping, by name, or made by an operator", volume_type="volume_type_id"),
    *changed("volume_type", how="the name of the mapped type"),
    *changed("availability_zone", how="as the mapping says, else the new cloud's default"),
    *changed("attachments", how="the copy of its server has it"),
    *changed("user_id", how="the acting user"),
    *changed("snapshot_id", "source_volid", how="the copy is made of an image on the way"),
    *its_own("id", "links", "status", "created_at", "updated_at", "migration_status", "replication_status", "consumes_quota"),
    *its_own("cluster_name", "provider_id", "service_uuid", "shared_targets"),
    *its_own("os-vol-host-attr:host", "os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id"),
    *lost("group_id", "consistencygroup_id", why="groups of volumes are a driver's own"),
    *refused("encrypted", "encryption_key_id", why="its key stays in the old cloud"),
    *refused("multiattach", why="several servers would have to be moved at the same moment"),
)
"""Snapshots are a kind of their own."""

TRANSFER_FORMAT = "qcow2"
"""Of the image on the way: blocks that were never written are not sent, and what looks like another format's header is safe inside."""

COPY_SECONDS = 86_400
"""How long Cinder may take to upload a volume, or to make one of an image."""

DETACHED_SECONDS = 120
GONE_SECONDS = 600

SHOWN_BY_CINDER = frozenset({"attached_mode", "readonly"})
"""Admin metadata that Cinder mixes into what it shows as metadata (cinder.utils.add_visible_admin_metadata)."""

OF_THE_IMAGE_ITSELF = frozenset({"image_id", "signature_verified"})
"""Image metadata that is true of one cloud's image only."""

READY = frozenset({"available", "in-use", "reserved", "attaching"})
"""Statuses of a volume that is made: nobody's, or a server's, or about to be one's."""

GOING = frozenset({"deleting", "error_deleting"})
"""Statuses in which Cinder takes no call to delete (cinder.volume.api.API.delete): one was taken before."""

STOPPED = frozenset({"SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"})


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    owner = project or (None if cloud.admin else cloud.project_id)
    query: Json = {"all_tenants": "true"} if cloud.admin else {}
    if cloud.admin and owner:
        query["project_id"] = owner
    types = _types(cloud)
    for volume in calls.listed(cloud, "block_storage", "/volumes/detail", "volumes", query):
        yield told(volume, types)


def read(cloud: Cloud, id: str) -> Resource | None:
    """Null also for one that is being deleted."""
    volume = _got(cloud, id)
    return told(volume, _types(cloud)) if volume and volume["status"] != "deleting" else None


def is_there(cloud: Cloud, id: str) -> bool:
    """Also while it is being deleted, which can take long."""
    return _got(cloud, id) is not None


TYPE_IDS_FROM = "3.63"
"""Block storage microversion from which a volume says the id of its type, and not the name alone."""


def _types(cloud: Cloud) -> dict[str, str]:
    """Name -> id, where volumes don't say the id themselves."""
    if cloud.at_least("block_storage", TYPE_IDS_FROM):
        return {}
    return {one["name"]: one["id"] for one in calls.listed(cloud, "block_storage", "/types", "volume_types")}


def told(volume: Json, types: Mapping[str, str]) -> Resource:
    shown = volume["metadata"]
    volume_type = pair("volume_type", volume.get("volume_type_id") or types.get(volume["volume_type"]))
    image_metadata = {
        name: value for name, value in sorted(volume.get("volume_image_metadata", {}).items()) if name != "signature_verified"
    }
    spec: dict[str, Any] = {
        "name": volume["name"] or "",
        "description": volume["description"] or "",
        "size_gib": volume["size"],
        "volume_type": volume_type,
        "metadata": without_mark({name: value for name, value in shown.items() if name not in SHOWN_BY_CINDER}),
        "image_metadata": image_metadata,
        "bootable": str(volume["bootable"]).lower() == "true",
        "readonly": str(shown.get("readonly", False)).lower() == "true",
        "encrypted": bool(volume.get("encrypted")),
        "multiattach": bool(volume.get("multiattach")),
    }
    not_carried: list[str] = []
    if volume.get("group_id") or volume.get("consistencygroup_id"):
        not_carried.append("its membership of a volume group")
    info: dict[str, Any] = {
        "status": volume["status"],
        "availability_zone": volume["availability_zone"],
        "attachments": sorted(
            ({"server": ["server", one["server_id"]], "device": one["device"]} for one in volume["attachments"]),
            key=lambda one: (str(one["device"]), one["server"][1]),
        ),
        "not_carried": not_carried,
    }
    unsupported = _unsupported(spec)
    if unsupported:
        info["unsupported"] = unsupported
    owner = volume.get("os-vol-tenant-attr:tenant_id")
    return sealed(NAME, volume["id"], spec["name"], owner, [Ref(*volume_type)] if volume_type else (), spec, info)


def find(passage: Passage, resource: Resource) -> str | None:
    """One that is still being made is waited for; one that came to nothing is deleted, and its image on the way is used again."""
    there = taken_up(passage.new, passage.mark)
    return finished(passage, resource, there) if there else None


def marked(cloud: Cloud, mark: str) -> list[Json]:
    """Those of the project that bear this very mark."""
    query = {"metadata": repr({METADATA_KEY: mark})}
    volumes = calls.listed(cloud, "block_storage", "/volumes/detail", "volumes", query)
    return [one for one in volumes if one["metadata"].get(METADATA_KEY) == mark]


def taken_up(cloud: Cloud, mark: str) -> str | None:
    """The marked one that is made, or being made. Those that came to nothing are deleted, so that another can be made."""
    there = None
    for volume in marked(cloud, mark):
        if came_to_nothing(volume, datetime.now(UTC)):
            delete(cloud, volume["id"])
        else:
            there = there or volume["id"]
    return there


def came_to_nothing(volume: Json, now: datetime) -> bool:
    """Also one that is not begun after all the time that it may take: the message is lost. Cinder deletes it if no host was chosen yet;
    else it refuses, until an operator resets its state."""
    if volume["status"] == "creating":
        began = datetime.fromisoformat(volume["created_at"]).replace(tzinfo=UTC)
        return (now - began).total_seconds() > COPY_SECONDS
    return volume["status"] == "deleting" or volume["status"].startswith("error")


def create(passage: Passage, resource: Resource) -> str:
    """With the old volume's bytes; or, where the mapped spec names an `image`, fresh from that image of the new cloud.

    Raises Refused for a volume that cannot be carried, or whose server still runs.
    """
    spec = resource.spec
    if resource.info.get("unsupported"):
        raise Refused(f"volume {resource.name or resource.id} cannot be copied: {'; '.join(resource.info['unsupported'])}")
    image = mapped(passage.ids, spec["image"]) if spec.get("image") else carried_image(passage, resource)
    body: Json = {
        "name": spec["name"],
        "description": spec["description"],
        "size": spec["size_gib"],
        "metadata": {**spec["metadata"], METADATA_KEY: passage.mark},
        "imageRef": image,
        "volume_type": mapped(passage.ids, spec["volume_type"]) if spec.get("volume_type") else None,
        "availability_zone": spec.get("availability_zone"),
    }
    volume = {name: value for name, value in body.items() if value is not None}
    new_id = calls.posted(passage.new, "block_storage", "/volumes", {"volume": volume})["volume"]["id"]
    return finished(passage, resource, new_id)


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    copy = read(passage.new, id)
    ignored = {"image", "image_metadata", "availability_zone"} | ({"volume_type"} if resource.spec.get("volume_type") is None else set())
    told = list(differences(resource, copy, passage.ids, but=ignored))
    if copy:
        what = f"{resource.kind} {resource.name or resource.id}"
        if copy.info["status"] not in READY:
            told.append(f"{what}: its copy is {copy.info['status']}")
        for name, value in resource.spec.get("image_metadata", {}).items():
            there = copy.spec["image_metadata"].get(name)
            if name not in OF_THE_IMAGE_ITSELF and there != value:
                told.append(f"{what}: image metadata {name} should be {value!r} and is {there!r}")
        told += [
            f"{what}: image metadata {name} is there and should not be"
            for name in sorted(copy.spec["image_metadata"].keys() - resource.spec.get("image_metadata", {}).keys())
        ]
    return tuple(told)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Raises Refused while a server has it. One that is being deleted is waited for: an earlier attempt may have asked for that."""
    volume = _got(cloud, id)
    if volume is None:
        return
    if volume["status"] not in GOING:
        there = told(volume, _types(cloud))
        unchanged(there, expects, cloud.name)
        _await_detached(cloud, there)
    delete(cloud, id)


def _await_detached(cloud: Cloud, there: Resource) -> None:
    def free() -> bool | None:
        volume = _got(cloud, there.id)
        return True if volume is None or volume["status"] not in ("in-use", "detaching", "attaching", "reserved") else None

    try:
        wait_until(f"volume {there.id} is detached in {cloud.name}", free, timeout_seconds=DETACHED_SECONDS)
    except Failed as error:
        raise Refused(f"{cloud.name}: volume {there.name or there.id} is attached to a server: it will not be removed") from error


def _got(cloud: Cloud, id: str) -> Json | None:
    return calls.got(cloud, "block_storage", f"/volumes/{id}", "volume")


def _act(cloud: Cloud, id: str, action: str, arguments: Mapping[str, Any]) -> Json:
    return calls.posted(cloud, "block_storage", f"/volumes/{id}/action", {action: dict(arguments)})


def delete(cloud: Cloud, id: str, *, with_snapshots: bool = False) -> None:
    """And wait until it is gone. Of one that is being deleted already nothing more is asked."""
    volume = _got(cloud, id)
    if volume and volume["status"] not in GOING:
        calls.deleted(cloud, "block_storage", f"/volumes/{id}", {"cascade": "true"} if with_snapshots else None)
    await_gone(cloud, f"volume {id}", lambda: _got(cloud, id))


def await_gone(cloud: Cloud, what: str, look: Callable[[], Json | None]) -> None:
    """Of what Cinder was told to delete. Raises Failed where it could not."""

    def still_there() -> bool:
        seen = look()
        if seen and seen["status"] == "error_deleting":
            raise Failed(f"{cloud.name}: Cinder could not delete {what}: its log says why")
        return seen is not None

    calls.gone(f"{cloud.name}: {what}", still_there, GONE_SECONDS)


def _unsupported(spec: Mapping[str, Any]) -> list[str]:
    told: list[str] = []
    if spec["encrypted"]:
        told.append("it is encrypted, and its key stays in the old cloud")
    if spec["multiattach"]:
        told.append("it can be attached to several servers at once")
    return told


def carried_image(passage: Passage, resource: Resource) -> str:
    """The image in the new cloud with the volume's bytes; made, or found where an earlier attempt got to."""
    done = image_copy.find_finished(passage)
    if done:
        return done
    body = {"name": passage.mark, "disk_format": TRANSFER_FORMAT, "container_format": "bare", "visibility": "private"}
    return image_copy.copy_image(passage, _uploaded(passage, resource), body, finishing={})


def _uploaded(passage: Passage, resource: Resource) -> str:
    """The image in the old cloud that Cinder makes of the volume. Its name is the mark: the call takes no tags."""
    old = passage.old
    image = None
    for left in image_data.with_name(old, passage.mark):
        if left["status"] in ("queued", "saving", "importing", "active") and image is None:
            image = left["id"]
        else:
            image_data.delete(old, left["id"])
    if image is None:
        image = _upload(passage, resource)

    def uploaded() -> bool | None:
        busy = _got(old, resource.id)
        there = image_data.got(old, image)
        if there and there["status"] == "active":
            return True
        if busy and busy["status"] == "uploading" and there:
            return None
        image_data.delete(old, image)
        raise Failed(f"{old.name}: Cinder gave up uploading volume {resource.name or resource.id} to Glance: its log says why")

    what = f"volume {resource.name or resource.id} is uploaded to Glance in {old.name}"
    wait_until(what, uploaded, timeout_seconds=COPY_SECONDS, cancelled=passage.cancelled)
    return image


def _upload(passage: Passage, resource: Resource) -> str:
    old = passage.old
    volume = _got(old, resource.id)
    what = f"{old.name}: volume {resource.name or resource.id}"
    if volume is None or volume["status"] not in ("available", "in-use"):
        raise Refused(f"{what} is {volume['status'] if volume else 'gone'}: only one that is available or in use can be read")
    for attachment in volume["attachments"]:
        server = calls.got(old, "compute", f"/servers/{attachment['server_id']}", "server")
        if server and server["status"] not in STOPPED:
            raise Refused(f"{what} belongs to server {server['name']}, which is {server['status']}: stop it, so that its bytes hold still")
    request = {
        "image_name": passage.mark,
        "disk_format": TRANSFER_FORMAT,
        "container_format": "bare",
        "force": volume["status"] == "in-use",
    }
    try:
        return _act(old, resource.id, "os-volume_upload_image", {**request})["os-volume_upload_image"]["image_id"]
    except Failed as error:
        if volume["status"] != "in-use":
            raise
        hint = "an attached volume can be read only where Cinder has enable_force_upload = true"
        raise Refused(f"{what} is attached, and Cinder did not take it: {hint} ({error})") from error


def finished(passage: Passage, resource: Resource, id: str) -> str:
    """Wait for the volume, give it back the attributes that an image does not carry, and clean up behind it. May be done again."""
    new, spec = passage.new, resource.spec

    def made() -> Json | None:
        volume = _got(new, id)
        if volume is None or volume["status"].startswith("error"):
            state = f"is {volume['status']}" if volume else "is gone"
            raise Failed(f"{new.name}: volume {resource.name or resource.id}: its copy {id} {state}: Cinder's log says why")
        return volume if volume["status"] in READY else None

    volume = wait_until(f"volume {id} is made in {new.name}", made, timeout_seconds=COPY_SECONDS, cancelled=passage.cancelled)
    _set_image_metadata(passage, resource, id, volume.get("volume_image_metadata", {}))
    if (str(volume["bootable"]).lower() == "true") != spec["bootable"]:
        _act(new, id, "os-set_bootable", {"bootable": spec["bootable"]})
    if spec.get("readonly") and str(volume["metadata"].get("readonly", False)).lower() != "true":
        _act(new, id, "os-update_readonly_flag", {"readonly": True})
    for image in list(image_data.with_tag(new, passage.mark)):
        image_data.delete(new, image["id"])
    for image in image_data.with_name(passage.old, passage.mark):
        image_data.delete(passage.old, image["id"])
    return id


def _set_image_metadata(passage: Passage, resource: Resource, id: str, there: Mapping[str, str]) -> None:
    """As the old volume's; the image that it was once made of is named by its id in the new cloud, or not at all."""
    wanted = {name: value for name, value in resource.spec.get("image_metadata", {}).items() if name not in OF_THE_IMAGE_ITSELF}
    base = resource.spec.get("image_metadata", {}).get("image_id")
    if base and Ref("image", base) in passage.ids:
        wanted["image_id"] = passage.ids[Ref("image", base)]
    missing = {name: value for name, value in wanted.items() if there.get(name) != value}
    if missing:
        _act(passage.new, id, "os-set_image_metadata", {"metadata": missing})
    for name in sorted(there.keys() - wanted.keys()):
        _act(passage.new, id, "os-unset_image_metadata", {"key": name})
