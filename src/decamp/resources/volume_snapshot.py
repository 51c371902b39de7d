"""Snapshots of volumes, with their bytes: of each a volume is made, carried like any other, and a snapshot made of its copy.

So a copy is a snapshot of a volume of its own, which goes with it: no API puts old contents into the volume that the others are of. The
mark is in the metadata of all that is made on the way, and every step can be taken up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from decamp.clouds import Cloud
from decamp.model.errors import Failed, Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, image_copy, volume
from decamp.resources.attributes import changed, its_own, kept, lost, owner
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, pair, sealed, unchanged
from decamp.resources.tagging import METADATA_KEY, without_mark
from decamp.resources.waiting import wait_until

NAME = "volume_snapshot"

READY_SECONDS = 3600

FREE_SECONDS = 600
"""How long Cinder may go on with a volume that nobody wants any more, until it can be deleted."""

ATTRIBUTES = (
    *owner("os-extended-snapshot-attributes:project_id"),
    *kept("name", "description", "metadata", size_gib="size"),
    *changed("volume_id", how="a volume of its own, with the contents of that time"),
    *changed("user_id", how="the acting user"),
    *its_own("id", "status", "created_at", "updated_at", "consumes_quota", "os-extended-snapshot-attributes:progress"),
    *lost("group_snapshot_id", why="groups of volumes are a driver's own"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    mine = project or (None if cloud.admin else cloud.project_id)
    query: Json = {"all_tenants": "true"} if cloud.admin else {}
    if cloud.admin and mine:
        query["project_id"] = mine
    for snapshot in _listed(cloud, query):
        yield told(snapshot)


def read(cloud: Cloud, id: str) -> Resource | None:
    """Null also for one that is being deleted."""
    snapshot = _got(cloud, id)
    return told(snapshot) if snapshot and snapshot["status"] != "deleting" else None


def is_there(cloud: Cloud, id: str) -> bool:
    """Also while it is being deleted, which can take long."""
    return _got(cloud, id) is not None


def _listed(cloud: Cloud, query: Json) -> Iterator[Json]:
    return calls.listed(cloud, "block_storage", "/snapshots/detail", "snapshots", query)


def _got(cloud: Cloud, id: str) -> Json | None:
    return calls.got(cloud, "block_storage", f"/snapshots/{id}", "snapshot")


def told(snapshot: Json) -> Resource:
    unreadable = (
        {} if snapshot["status"] == "available" else {"unsupported": [f"it is {snapshot['status']}, and only an available one can be read"]}
    )
    return sealed(
        NAME,
        snapshot["id"],
        snapshot["name"] or "",
        snapshot.get("os-extended-snapshot-attributes:project_id"),
        [Ref("volume", snapshot["volume_id"])],
        spec={
            "name": snapshot["name"] or "",
            "description": snapshot["description"] or "",
            "size_gib": snapshot["size"],
            "metadata": without_mark(snapshot["metadata"]),
            "volume": pair("volume", snapshot["volume_id"]),
        },
        info={"status": snapshot["status"], "created_at": snapshot["created_at"]} | unreadable,
    )


def find(passage: Passage, resource: Resource) -> str | None:
    for snapshot in list(_listed(passage.new, {"metadata": repr({METADATA_KEY: passage.mark})})):
        if snapshot["metadata"].get(METADATA_KEY) != passage.mark:
            continue
        if snapshot["status"] == "deleting" or snapshot["status"].startswith("error"):
            _delete(passage.new, snapshot["id"])
        else:
            return _finished(passage, snapshot["id"])
    return None


def create(passage: Passage, resource: Resource) -> str:
    """Takes room for a volume more in the old cloud while it is carried."""
    if resource.info.get("unsupported"):
        raise Refused(f"snapshot {resource.name or resource.id} cannot be copied: {'; '.join(resource.info['unsupported'])}")
    contents = _contents(passage, resource)
    base = volume.find(passage, contents) or volume.create(passage, contents)
    spec = resource.spec
    body = {
        "volume_id": base,
        "name": spec["name"],
        "description": spec["description"],
        "metadata": {**spec["metadata"], METADATA_KEY: passage.mark},
    }
    made = calls.posted(passage.new, "block_storage", "/snapshots", {"snapshot": body})["snapshot"]["id"]
    return _finished(passage, made)


def _contents(passage: Passage, resource: Resource) -> Resource:
    """The volume of the old cloud that was made of the snapshot, to be carried."""
    old, mark = passage.old, passage.mark
    there = volume.taken_up(old, mark)
    if there is None:
        body = {"snapshot_id": resource.id, "size": resource.spec["size_gib"], "name": mark, "metadata": {METADATA_KEY: mark}}
        there = calls.posted(old, "block_storage", "/volumes", {"volume": body})["volume"]["id"]

    def made() -> Resource | None:
        found = volume.read(old, there)
        if found is None or found.info["status"].startswith("error"):
            raise Failed(f"{old.name}: Cinder made no volume of snapshot {resource.name or resource.id}: its log says why")
        return found if found.info["status"] == "available" else None

    what = f"a volume is made of snapshot {resource.name or resource.id} in {old.name}"
    return wait_until(what, made, timeout_seconds=volume.COPY_SECONDS, cancelled=passage.cancelled)


def abandon(passage: Passage, resource: Resource) -> None:
    """Where no copy is to come of it any more: the images on the way, the volume in the old cloud and that in the new, unless a snapshot
    is made of it."""
    image_copy.abandon(passage)
    for cloud in (passage.old, passage.new):
        for one in volume.marked(cloud, passage.mark):
            if not any(_listed(cloud, {"volume_id": one["id"]})):
                _await_free(cloud, one["id"])
                volume.delete(cloud, one["id"])


def _await_free(cloud: Cloud, id: str) -> None:
    """Cinder deletes none that it is working on."""

    def free() -> bool | None:
        found = volume.read(cloud, id)
        return None if found and found.info["status"] in ("creating", "downloading", "uploading") else True

    wait_until(f"volume {id} can be deleted in {cloud.name}", free, timeout_seconds=FREE_SECONDS)


def _finished(passage: Passage, id: str) -> str:
    def ready() -> bool | None:
        snapshot = _got(passage.new, id)
        if snapshot is None or snapshot["status"].startswith("error"):
            raise Failed(f"{passage.new.name}: snapshot {id} came to nothing: Cinder's log says why")
        return True if snapshot["status"] == "available" else None

    what = f"snapshot {id} is made in {passage.new.name}"
    wait_until(what, ready, timeout_seconds=READY_SECONDS, cancelled=passage.cancelled)
    for one in volume.marked(passage.old, passage.mark):
        volume.delete(passage.old, one["id"])
    return id


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """That its bytes are those of the old one was proved while they were carried."""
    copy = read(passage.new, id)
    told = differences(resource, copy, passage.ids, but=("volume",))
    if copy and copy.info["status"] != "available":
        return (*told, f"volume_snapshot {resource.name or resource.id}: its copy is {copy.info['status']}")
    return told


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """A copy with the volume that was made for it. One that is being deleted is waited for: an earlier attempt may have asked for that."""
    there = _got(cloud, id)
    if there is None:
        return
    if there["status"] not in volume.GOING:
        unchanged(told(there), expects, cloud.name)
    base, mark = there["volume_id"], there["metadata"].get(METADATA_KEY)
    of = calls.got(cloud, "block_storage", f"/volumes/{base}", "volume")
    if mark and of and of["metadata"].get(METADATA_KEY) == mark:
        # with all of its snapshots, which is this one: one call, so that no crash leaves the volume alone
        volume.delete(cloud, base, with_snapshots=True)
    else:
        _delete(cloud, id)


def _delete(cloud: Cloud, id: str) -> None:
    """And wait until it is gone. Of one that is being deleted already nothing more is asked."""
    there = _got(cloud, id)
    if there and there["status"] not in volume.GOING:
        calls.deleted(cloud, "block_storage", f"/snapshots/{id}")
    volume.await_gone(cloud, f"volume snapshot {id}", lambda: _got(cloud, id))
