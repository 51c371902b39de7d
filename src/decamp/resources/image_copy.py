"""An image in the new cloud that is one of the old: begun once, gone on with after a crash, finished when its bytes are proved."""

from __future__ import annotations

from contextlib import suppress

from decamp.model.errors import Error, Failed, Refused
from decamp.resources import calls, image_data
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.tagging import UNFINISHED


def copy_image(passage: Passage, source_id: str, body: Json, *, finishing: Json) -> str:
    """The id of the image in the new cloud, with the bytes of that one in the old.

    It carries the mark as a tag from the create call on, and UNFINISHED until its bytes are proved; then `finishing` (attributes such as
    protected, that would stand in the way before) is set in the same call that takes that tag away. Where it cannot be, nothing is left;
    where that fails too, or the process dies, the half stays for `find_finished`, or is gone on with if its bytes still come.
    """
    new, carriage, tags = passage.new, passage.carriage, [*body.get("tags", ()), passage.mark]
    new_id = _under_way(passage) or calls.posted(new, "image", "/images", {**body, "tags": [*tags, UNFINISHED]})["id"]
    try:
        carriage.carry(passage.old, source_id, new, new_id, progress=passage.progress, cancelled=passage.cancelled, pace=passage.pace)
    except (Failed, Refused):
        # perhaps nobody resumes this run, and undo knows only what was made
        with suppress(Error):
            abandon(passage)
        raise
    image_data.patch(new, new_id, {**finishing, "tags": tags})
    carriage.forget(new_id)
    return new_id


def find_finished(passage: Passage) -> str | None:
    """The image with the mark whose bytes are proved. Halves are deleted, but for one into which bytes still come."""
    finished: list[str] = []
    for image in list(image_data.with_tag(passage.new, passage.mark)):
        if image["status"] == "active" and UNFINISHED not in image["tags"]:
            finished.append(image["id"])
        elif not passage.carriage.has(image["id"]):
            image_data.delete(passage.new, image["id"])
    return min(finished, default=None)


def abandon(passage: Passage) -> None:
    """Where no copy is to come of it any more: leave nothing with the mark, neither in the new cloud nor on the way out of the old."""
    for image in list(image_data.with_tag(passage.new, passage.mark)):
        passage.carriage.forget(image["id"])
        image_data.delete(passage.new, image["id"])
    for image in image_data.with_name(passage.old, passage.mark):
        image_data.delete(passage.old, image["id"])


def _under_way(passage: Passage) -> str | None:
    """The image that another process carries bytes into for an earlier attempt, or has."""
    if not passage.carriage.has_any:
        return None
    marked = image_data.with_tag(passage.new, passage.mark)
    return next((image["id"] for image in marked if passage.carriage.has(image["id"])), None)
