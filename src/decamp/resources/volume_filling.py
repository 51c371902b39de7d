"""Data for a volume that is there already, because a stack made it: carried like any volume's, and put in by Cinder's re-image.

The volume leaves its server meanwhile, which is stopped for that. The mark in its metadata says that the data are in.
"""

from __future__ import annotations

from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Failed
from decamp.model.survey import Resource
from decamp.resources import calls, server, volume
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.server_reading import got as server_there
from decamp.resources.tagging import METADATA_KEY
from decamp.resources.waiting import wait_until

REIMAGE_FROM = "3.68"
"""Block storage microversion from which Cinder puts an image into a volume that is there (the action os-reimage)."""

TAKEN_SECONDS = 600
"""How long Nova may take to attach or detach a volume of a stopped server."""


def can_fill(cloud: Cloud) -> bool:
    return cloud.at_least("block_storage", REIMAGE_FROM)


def fill(passage: Passage, resource: Resource, id: str, *, server_id: str | None, attachment: Json) -> None:
    """With the old volume's bytes; then it is at its server again, which is left stopped. May be done again.

    `server_id`: the new cloud's server that has it; `attachment`: what is asked of Nova beside the volume's id.
    """
    new = passage.new
    if _shown(new, id)["metadata"].get(METADATA_KEY) != passage.mark:
        image = volume.carried_image(passage, resource)
        if server_id:
            _stop(passage, server_id)
            _detach(passage, server_id, id)
        _reimage(passage, resource, id, image)
        calls.posted(new, "block_storage", f"/volumes/{id}/metadata", {"metadata": {METADATA_KEY: passage.mark}})
    volume.finished(passage, resource, id)
    if server_id:
        _attach(passage, server_id, id, attachment)


def _reimage(passage: Passage, resource: Resource, id: str, image: str) -> None:
    new = passage.new
    if _shown(new, id)["status"] != "downloading":
        calls.posted(new, "block_storage", f"/volumes/{id}/action", {"os-reimage": {"image_id": image}})

    def filled() -> bool | None:
        there = _shown(new, id)
        if there["status"] == "error":
            raise Failed(f"{new.name}: Cinder could not put the data of volume {resource.name or resource.id} into {id}: its log says why")
        return True if there["status"] == "available" else None

    what = f"the data are in volume {id} of {new.name}"
    wait_until(what, filled, timeout_seconds=volume.COPY_SECONDS, cancelled=passage.cancelled)


def _stop(passage: Passage, id: str) -> None:
    there = server_there(passage.new, id)
    if there and there["status"] == "ACTIVE":
        server.act(passage.new, id, "os-stop")
    server.wait_status(passage.new, id, "SHUTOFF", timeout_seconds=server.POWER_SECONDS, cancelled=passage.cancelled)


def _detach(passage: Passage, server_id: str, id: str) -> None:
    new = passage.new
    if _shown(new, id)["status"] == "in-use":
        calls.deleted(new, "compute", f"/servers/{server_id}/os-volume_attachments/{id}")
    _await_status(passage, id, "available", but=("downloading", "error"))


def _attach(passage: Passage, server_id: str, id: str, attachment: Json) -> None:
    new = passage.new
    if _shown(new, id)["status"] == "available":
        asked: dict[str, Any] = {name: value for name, value in attachment.items() if value}
        body = {"volumeAttachment": {"volumeId": id, **asked}}
        calls.posted(new, "compute", f"/servers/{server_id}/os-volume_attachments", body)
    _await_status(passage, id, "in-use")


def _await_status(passage: Passage, id: str, status: str, but: tuple[str, ...] = ()) -> None:
    def reached() -> bool | None:
        return True if _shown(passage.new, id)["status"] in (status, *but) else None

    what = f"volume {id} is {status} in {passage.new.name}"
    wait_until(what, reached, timeout_seconds=TAKEN_SECONDS, cancelled=passage.cancelled)


def _shown(cloud: Cloud, id: str) -> Json:
    found = calls.got(cloud, "block_storage", f"/volumes/{id}", "volume")
    if found is None:
        raise Failed(f"{cloud.name}: volume {id} is gone")
    return found
