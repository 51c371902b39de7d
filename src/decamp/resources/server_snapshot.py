"""Server snapshots: an image in the new cloud that holds the root disk of a stopped server of the old. The ref's id is the server's.

The old cloud's snapshot is there only while it is copied; its name is the mark, so that a crash leaves nothing that is not found again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from decamp.clouds import Cloud
from decamp.model.errors import Changed, Failed, Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, image, image_copy, image_data, server_reading
from decamp.resources.attributes import Attribute
from decamp.resources.kind import Passage
from decamp.resources.tagging import UNFINISHED
from decamp.resources.waiting import wait_until

NAME = "server_snapshot"

ATTRIBUTES: tuple[Attribute, ...] = ()
"""They are images, and no old cloud has one beforehand."""

SNAPSHOT_SECONDS = 86_400
"""How long Nova may take to upload a root disk to Glance."""

ASK_SECONDS = 5.0
"""Between two questions whether Nova still works on it."""

OF_THE_SNAPSHOT = frozenset({"image_type"})
"""Property that tells a snapshot from an image: the copy's server is booted from an image like any other."""


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """None: no cloud has them beforehand. A plan asks for them, server by server."""
    return ()


def read(cloud: Cloud, id: str) -> Resource | None:
    """Of a server's id what its root disk belongs to, with the server's fingerprint; of an image's id, in the new cloud, the copy."""
    there = server_reading.read(cloud, id)
    if there:
        spec = {"server": ["server", id]}
        return Resource(kind=NAME, id=id, name=there.name, project=there.project, spec=spec, info=there.info, fingerprint=there.fingerprint)
    copy = image.read(cloud, id)
    return msgspec.structs.replace(copy, kind=NAME) if copy else None


def find(passage: Passage, resource: Resource) -> str | None:
    """A finished copy. Where only the old cloud's snapshot is left, `create` goes on from it."""
    done = image_copy.find_finished(passage)
    if done:
        _clean_up(passage.old, passage.mark)
    return done


def create(passage: Passage, resource: Resource) -> str:
    """Raises Refused for a server that is not stopped, or whose root disk is a volume."""
    source = image.told(_snapshot(passage, resource), (), publishes=passage.new.admin).spec
    if source["kernel"] or source["ramdisk"]:
        raise Refused(f"server {resource.name or resource.id} boots with a kernel image of its own: its snapshot cannot be carried")
    properties = {name: value for name, value in source["properties"].items() if name not in OF_THE_SNAPSHOT}
    fields = {name: source[name] for name in ("disk_format", "container_format", "min_disk", "min_ram")}
    body = {"name": f"{resource.name or resource.id} (root disk)", "visibility": "private", **fields, **properties}
    new_id = image_copy.copy_image(passage, _snapshots(passage.old, passage.mark)[0], body, finishing={})
    _clean_up(passage.old, passage.mark)
    return new_id


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """That its bytes are the snapshot's was proved while they were copied, or it would not be finished."""
    what = f"root disk of server {resource.name or resource.id}"
    copy = image_data.got(passage.new, id)
    if copy is None:
        return (f"{what}: its image {id} is not there",)
    if copy["status"] != "active" or UNFINISHED in copy["tags"] or not copy["size"]:
        return (f"{what}: its image {id} is {copy['status']}, and not finished",)
    return ()


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """The image of the new cloud."""
    image.remove(cloud, id, expects)


def _snapshot(passage: Passage, resource: Resource) -> calls.Json:
    """The old cloud's snapshot, whole: one that an earlier attempt began, or a new one."""
    old, mark = passage.old, passage.mark
    server_id = Ref(*resource.spec.get("server", ("server", resource.id))).id
    begun = _snapshots(old, mark)
    id = begun[0] if begun else _begin(old, server_id, mark)  # noqa: A001

    asked_at = time.monotonic()

    def saved() -> calls.Json | None:
        """Nova is asked now and then only: of its calls this is one of the dearest, and it deletes the image itself when it gives up."""
        nonlocal asked_at
        snapshot = image_data.got(old, id)
        if snapshot and snapshot["status"] != "active":
            if time.monotonic() < asked_at + ASK_SECONDS:
                return None
            asked_at = time.monotonic()
            server = server_reading.got(old, server_id)
            if server and server.get("OS-EXT-STS:task_state"):
                return None
            snapshot = image_data.got(old, id)
        if snapshot and snapshot["status"] == "active":
            return snapshot
        if snapshot:
            image_data.delete(old, id)
        raise Failed(f"{old.name}: Nova gave up the snapshot of server {resource.name or server_id}: its log says why")

    what = f"the root disk of server {resource.name or server_id} is in Glance of {old.name}"
    return wait_until(what, saved, timeout_seconds=SNAPSHOT_SECONDS, cancelled=passage.cancelled)


def _begin(cloud: Cloud, server_id: str, mark: str) -> str:
    server = server_reading.got(cloud, server_id)
    if server is None or server["status"] in server_reading.GONE:
        raise Changed(f"{cloud.name}: server {server_id} is gone")
    what = f"{cloud.name}: server {server['name']} ({server_id})"
    if not server["image"]:
        raise Refused(f"{what} boots from a volume: its root disk is copied with that volume, not by a snapshot")
    if server["status"] != "SHUTOFF":
        raise Refused(f"{what} is {server['status']}: stop it, so that its disk holds still while it is copied")
    with cloud.calling(f"make a snapshot of server {server_id}"):
        made = cloud.service("compute").post(f"/servers/{server_id}/action", json={"createImage": {"name": mark}})
        calls.raise_from_response(made)
        # from compute 2.45 on the id stands in the answer, before that at the end of a header
        return made.json()["image_id"] if made.content else made.headers["Location"].rsplit("/", 1)[1]


def _snapshots(cloud: Cloud, mark: str) -> list[str]:
    """Ids; those that came to nothing are deleted."""
    ids: list[str] = []
    for one in image_data.with_name(cloud, mark):
        if one["status"] in ("queued", "saving", "importing", "active"):
            ids.append(one["id"])
        else:
            image_data.delete(cloud, one["id"])
    return sorted(ids)


def _clean_up(cloud: Cloud, mark: str) -> None:
    for one in image_data.with_name(cloud, mark):
        image_data.delete(cloud, one["id"])
