"""Images' bytes from one Glance to another: streamed, hashed, compared with what both Glances say, and only then called finished."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import requests
from openstack.exceptions import raise_from_response

from decamp.clouds import Cloud
from decamp.copy.stream import CHUNK_BYTES, Body, Receipt, digests_of, transfer
from decamp.copy.unbroken import Busy, Opened, unbroken
from decamp.model.effects import Pace, unpaced
from decamp.model.errors import Failed, Refused, Unanswered
from decamp.resources import calls
from decamp.resources.calls import Json
from decamp.resources.image_data import got, hash_of, wait_active
from decamp.resources.waiting import wait_until

OWN_ALGORITHM = "sha512"
"""Glance's default for os_hash_algo: what we compute is then what the new Glance computes too."""

STALL_SECONDS = 300
"""How long a connection may carry nothing before it counts as broken."""

STORING_SECONDS = 3600
"""How long Glance may take, after the last byte, to answer: object stores assemble large images then."""

UNANSWERED_SECONDS = 900
"""How long it is waited for where no answer is to come."""

OF_THE_BYTES = ("status", "size", "os_hash_algo", "os_hash_value", "checksum", "updated_at")
"""What stays as it is for as long as an image's bytes do. The last is for images that have no hash."""

CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
"""RFC 9110, 14.4."""


def readable(cloud: Cloud, id: str) -> Json:
    """The image. Raises Refused for one that has no bytes to read."""
    image = got(cloud, id)
    if image is None or image["status"] != "active":
        raise Refused(f"{cloud.name}: image {id} is {image['status'] if image else 'gone'}: only an active image's bytes can be read")
    if not image["size"]:
        raise Refused(f"{cloud.name}: image {id} holds no bytes of its own (volume-backed servers make such snapshots): nothing to copy")
    return image


def copy_bytes(
    old: Cloud,
    source: Json,
    new: Cloud,
    target_id: str,
    *,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
    pace: Pace = unpaced,
) -> Receipt:
    """Stream the bytes and prove them: the source's own hash where it has one, the size, and the hash that the new Glance computed.

    A new Glance that keeps no hash, or one of an algorithm that was not computed on the way, is proved by reading the image back.
    """
    expected = hash_of(source)
    receipt = transfer(
        read_bytes(old, source, cancelled=cancelled),
        lambda body: _store_bytes(new, target_id, body, cancelled),
        size_bytes=source["size"],
        algorithms={OWN_ALGORITHM, *expected},
        progress=progress,
        cancelled=cancelled,
        pace=pace,
    )
    if any(receipt.digests[algorithm] != digest for algorithm, digest in expected.items()):
        raise Failed(f"{old.name}: image {source['id']}: the bytes that were read have not the hash that Glance keeps of them")
    target = wait_active(new, target_id, timeout_seconds=STORING_SECONDS, cancelled=cancelled)
    if target["size"] != receipt.bytes:
        raise Failed(f"{new.name}: image {target_id} has {target['size']} bytes, where {receipt.bytes} were sent")
    kept = {algorithm: digest for algorithm, digest in hash_of(target).items() if algorithm in receipt.digests}
    if not kept:
        kept = digests_of(read_bytes(new, target, cancelled=cancelled), [OWN_ALGORITHM]).digests
    if any(receipt.digests[algorithm] != digest for algorithm, digest in kept.items()):
        raise Failed(f"{new.name}: image {target_id}: what Glance holds has not the hash of the bytes that were sent")
    return receipt


def read_bytes(cloud: Cloud, image: Json, *, cancelled: Callable[[], bool] = lambda: False) -> Iterator[bytes]:
    """An image's bytes, chunk by chunk, as they come. Where the connection breaks, another goes on at the byte where it broke.

    Raises Unreachable where that cannot be done: Glance, or what it keeps its bytes in, may read them from the beginning only, and
    an image that is not the one that it was is not gone on with.
    """

    def open_at(position: int) -> Opened:
        if position and not _is_still(image, got(cloud, image["id"])):
            return None
        return _open(cloud, image, position)

    return unbroken(open_at, size_bytes=image["size"], what=f"{cloud.name}: image {image['id']}", cancelled=cancelled)


def _open(cloud: Cloud, image: Json, position: int) -> Opened:
    asked = {"Range": f"bytes={position}-"} if position else {}
    with cloud.calling(f"read the bytes of image {image['id']}"), ExitStack() as unless_read:
        response = cloud.connection.image.get(f"/images/{image['id']}/file", headers=asked, stream=True, timeout=STALL_SECONDS)
        unless_read.callback(response.close)
        retry_after = response.headers.get("Retry-After", "")
        if response.status_code in (429, 503) and retry_after.isdecimal():
            return Busy(float(retry_after))
        if position and not goes_on(response.status_code, response.headers.get("Content-Range", ""), position, image["size"]):
            return None
        raise_from_response(response)
        unless_read.pop_all()
    return _chunks(cloud, image, response)


def _chunks(cloud: Cloud, image: Json, response: requests.Response) -> Iterator[bytes]:
    with cloud.calling(f"read the bytes of image {image['id']}"):
        try:
            yield from response.iter_content(CHUNK_BYTES)
        finally:
            response.close()


def goes_on(status: int, content_range: str, position: int, size_bytes: int) -> bool:
    """Whether an answer to `Range: bytes=position-` is what was asked for, or an error that says nothing of ranges.

    Glance answers 206 with the range since Queens. An older one leaves the range alone (200, and everything from the beginning); 400, 416
    and 501 are how stores without random access, and proxies, refuse it.
    """
    if status == 206:
        given = CONTENT_RANGE.fullmatch(content_range.strip())
        return given is not None and (given[1], given[2]) == (str(position), str(size_bytes - 1)) and given[3] in ("*", str(size_bytes))
    return status not in (200, 204, 400, 416, 501)


def _is_still(image: Json, now: Json | None) -> bool:
    return now is not None and all(now.get(name) == image.get(name) for name in OF_THE_BYTES)


def _store_bytes(cloud: Cloud, id: str, body: Body, cancelled: Callable[[], bool]) -> None:
    """A proxy may cease to wait while the store puts away what it was sent: where Glance has all of it, nothing is sent again."""
    try:
        _write_bytes(cloud, id, body)
    except Unanswered:
        if body.passed_bytes < len(body) or not _is_stored(cloud, id, cancelled):
            raise


def _is_stored(cloud: Cloud, id: str, cancelled: Callable[[], bool]) -> bool:
    """Once Glance is no longer at it. Where it died, the image stays as it is."""

    def looked() -> Json | None:
        image = got(cloud, id)
        return None if image and image["status"] == "saving" else image or {"status": "gone"}

    try:
        what = f"image {id} is stored in {cloud.name}"
        return wait_until(what, looked, timeout_seconds=UNANSWERED_SECONDS, cancelled=cancelled)["status"] == "active"
    except Failed:
        return False


def _write_bytes(cloud: Cloud, id: str, body: Body) -> None:
    with cloud.calling(f"write the bytes of image {id}"):
        # the whole copy is what is repeated
        response = cloud.connection.image.put(
            f"/images/{id}/file",
            data=body,
            # some servers end the connection after an upload: no later call should find it closed
            headers={"Content-Type": "application/octet-stream", "Connection": "close"},
            timeout=STORING_SECONDS,
            **calls.SENT_ONCE,
        )
        # the token was accepted when the image was made, a moment ago or in the last attempt
        calls.accepted(cloud, response, f"the bytes of image {id}")
