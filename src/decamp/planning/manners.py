"""How servers' disks get across: what is asked of the new cloud for each server, by the manner of its move.

recreate   The root disk starts fresh from its base image, which the new servers share; data volumes are carried with their data.
snapshot   The root disk is carried too: as an image of its own, or with its volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from decamp.model.errors import BadInput
from decamp.model.plan import MANNERS, Reason, Refusal
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning import fields

COPY = "copy"
"""Manner of a volume that is carried with its data, in `args` of its creation; else `recreate`."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the new cloud is asked for, before anything is matched with what it has."""

    resources: dict[Ref, Resource]
    """All of the survey's, those that the manner changes in their changed form, and those that it adds."""
    changes: dict[Ref, dict[str, tuple[Any, Any]]]
    """What its owner has to know about a copy: contents that are not carried."""
    manners: dict[Ref, str]
    """Of servers, their snapshots and volumes."""
    refusals: tuple[Refusal, ...]


def ask(resources: Mapping[Ref, Resource], servers: Iterable[Resource], manner: str) -> Asked:
    """Raises BadInput for a manner that there is not."""
    if manner not in MANNERS:
        raise BadInput(f"manner {manner!r}: there is no such manner of moving; there are {' and '.join(MANNERS)}.")
    asked = Asked(resources=dict(resources), changes={}, manners={}, refusals=())
    refusals: list[Refusal] = []
    for volume in resources.values():
        if volume.kind == "volume":
            asked.manners[volume.ref] = COPY
    for server in servers:
        asked.manners[server.ref] = manner
        root = fields.root_volume(server)
        if manner == "snapshot":
            if root is None:
                _snapshot(asked, server)
        elif root is None:
            refusals += _from_image(asked, server)
        else:
            refusals += _root_volume_from_image(asked, server, root)
        if ephemeral := _ephemeral_gib(asked, server):
            asked.changes.setdefault(server.ref, {})["ephemeral_disks"] = (f"contents of {ephemeral} GiB", "empty")
    return msgspec.structs.replace(asked, refusals=tuple(refusals))


def carried_bytes(resource: Resource, manner: str | None) -> int:
    """The most that its copy in this manner brings over the network: images as they are stored, disks at their full size."""
    match resource.kind:
        case "image" | "server_snapshot":
            return int(fields.field(resource, "size") or 0)
        case "volume_snapshot":
            return volume_bytes(resource)
        case "container":
            return int(fields.field(resource, "bytes") or 0)
        case "volume" if manner == COPY:
            return volume_bytes(resource)
        case _:
            return 0


def volume_bytes(volume: Resource) -> int:
    """Also of a snapshot."""
    return int(fields.field(volume, "size_gib") or 0) << 30


def _snapshot(asked: Asked, server: Resource) -> None:
    """The root disk becomes an image in the new cloud: pseudo-kind `server_snapshot`, with the server's id."""
    snapshot = Resource(
        kind="server_snapshot",
        id=server.id,
        name=server.name,
        project=server.project,
        needs=tuple(need for need in server.needs if need.kind == "project"),
        spec={"server": [server.kind, server.id]},
        info={"size": _root_disk_bytes(asked, server)},
        fingerprint=server.fingerprint,
    )
    asked.resources[snapshot.ref] = snapshot
    asked.manners[snapshot.ref] = "snapshot"
    asked.resources[server.ref] = msgspec.structs.replace(
        server,
        needs=(*(need for need in server.needs if need.kind != "image"), snapshot.ref),
        spec={**server.spec, "image": [snapshot.kind, snapshot.id]},
    )


def _from_image(asked: Asked, server: Resource) -> list[Refusal]:
    base = fields.base_image(server)
    image = asked.resources.get(base) if base else None
    if image is None:
        return [_gone(server, f"The image that it was booted from ({base.id if base else 'unknown'}) is no longer there")]
    asked.changes[server.ref] = {"root_disk": ("contents of the old root disk", f"fresh from {fields.label(image)}")}
    return []


def _root_volume_from_image(asked: Asked, server: Resource, root: Ref) -> list[Refusal]:
    volume = asked.resources.get(root)
    if volume is None:
        return []  # reported as missing, like everything that is needed and not surveyed
    base = fields.base_image(volume)
    image = asked.resources.get(base) if base else None
    if base is None:
        return [_gone(server, f"Its root {fields.label(volume)} was not made from an image")]
    if image is None:
        return [_gone(server, f"The image {base.id} that its root {fields.label(volume)} was made from is no longer there")]
    if fields.content_hash(image) is None:
        return [_gone(server, f"Nothing proves that {fields.label(image)} still is what its root {fields.label(volume)} was made from")]
    asked.resources[root] = msgspec.structs.replace(
        volume, needs=tuple(sorted({*volume.needs, image.ref})), spec={**volume.spec, "image": [image.kind, image.id]}
    )
    asked.manners[root] = "recreate"
    asked.changes[root] = {"contents": ("contents of the old volume", f"fresh from {fields.label(image)}")}
    asked.changes[server.ref] = {"root_disk": (f"contents of {fields.label(volume)}", f"fresh from {fields.label(image)}")}
    return []


def _gone(server: Resource, why: str) -> Refusal:
    text = f"{fields.label(server)} cannot be recreated. {why}: move it with --manner snapshot, which carries its root disk."
    return Refusal(ref=server.ref, reason=Reason.BASE_IMAGE_GONE, text=text)


def _flavor(asked: Asked, server: Resource) -> Resource | None:
    return next((asked.resources[need] for need in server.needs if need.kind == "flavor" and need in asked.resources), None)


def _ephemeral_gib(asked: Asked, server: Resource) -> int:
    flavor = _flavor(asked, server)
    return int(fields.flavor_amounts(flavor)["ephemeral_gib"]) if flavor else 0


def _root_disk_bytes(asked: Asked, server: Resource) -> int:
    """The most that it can have; a snapshot may well be smaller."""
    flavor = _flavor(asked, server)
    return int(fields.flavor_amounts(flavor)["disk_gib"]) << 30 if flavor else 0
