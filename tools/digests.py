"""The bytes of disks, for verify.py: SHA-256 of what the APIs hand out, by way of images that are deleted again."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openstack.exceptions import raise_from_response

from clouds import Cloud

SCRATCH = "verify-scratch"
"""Begin of the names of the images that are made to read bytes."""
WAIT_SECONDS = 600.0
LOOK_SECONDS = 0.5
CHUNK_BYTES = 2**20
QEMU_IMG = shutil.which("qemu-img")
"""Where it is there, volumes are handed out as qcow2, without what was never written, and read here: several times as fast."""
STEADY_VOLUME = frozenset({"available", "in-use"})
NOT_FOUND = 404


def sha256_of_image(cloud: Cloud, id: str, gibibytes: int = 0) -> str | None:
    """Of what Glance hands out, followed by zeros up to that size; None where the image is gone."""
    known, key = cloud.image_digests, (id, gibibytes)
    if key not in known:
        response = cloud.connection.image.get(f"/images/{id}/file", stream=True)
        if response.status_code == NOT_FOUND:
            known[key] = None
        else:
            raise_from_response(response)
            digest, missing = hashlib.sha256(), gibibytes * 2**30
            for chunk in response.iter_content(CHUNK_BYTES):
                digest.update(chunk)
                missing -= len(chunk)
            for begin in range(0, missing, CHUNK_BYTES):
                digest.update(bytes(min(CHUNK_BYTES, missing - begin)))
            known[key] = digest.hexdigest()
    return known[key]


def sha256_of_disk_in(cloud: Cloud, id: str) -> str:
    """Of the disk that a qcow2 image holds."""
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        packed, disk = Path(folder, "packed"), Path(folder, "disk")
        response = cloud.connection.image.get(f"/images/{id}/file", stream=True)
        raise_from_response(response)
        with packed.open("wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
        subprocess.run([str(QEMU_IMG), "convert", "-f", "qcow2", "-O", "raw", str(packed), str(disk)], check=True)
        with disk.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def scratch_image(cloud: Cloud, id: str) -> Iterator[str]:
    """Wait until the image is there; delete it afterwards, whatever happens."""
    try:
        wait(f"the image {id}", lambda: active(cloud, id))
        yield id
    finally:
        cloud.connection.image.delete(f"/images/{id}")
        wait(f"the image {id} to go", lambda: cloud.connection.image.get(f"/images/{id}").status_code == NOT_FOUND)


def sha256_of_volume(cloud: Cloud, id: str) -> str | None:
    """Of the whole volume. It may be attached: in the lab nothing writes to it meanwhile."""
    asked = {"image_name": f"{SCRATCH}-{id}", "force": True, "disk_format": "qcow2" if QEMU_IMG else "raw", "container_format": "bare"}
    action = {"os-volume_upload_image": asked}
    response = cloud.connection.block_storage.post(f"/volumes/{id}/action", json=action, microversion="3.0")
    raise_from_response(response)
    with scratch_image(cloud, response.json()["os-volume_upload_image"]["image_id"]) as image:
        digest = sha256_of_disk_in(cloud, image) if QEMU_IMG else sha256_of_image(cloud, image)
    wait(f"the volume {id} to be free", lambda: cloud.get("block_storage", f"/volumes/{id}")["volume"]["status"] in STEADY_VOLUME)
    return digest


def sha256_of_snapshot(cloud: Cloud, id: str, gibibytes: int) -> str | None:
    """Of a volume that is made of it, and deleted again."""
    body = {"volume": {"snapshot_id": id, "size": gibibytes, "name": f"{SCRATCH}-{id}"}}
    response = cloud.connection.block_storage.post("/volumes", json=body)
    raise_from_response(response)
    path = f"/volumes/{response.json()['volume']['id']}"
    try:
        wait(f"a volume of the snapshot {id}", lambda: cloud.get("block_storage", path)["volume"]["status"] in STEADY_VOLUME)
        return sha256_of_volume(cloud, path.rpartition("/")[2])
    finally:
        cloud.connection.block_storage.delete(path)
        wait(f"the volume of the snapshot {id} to go", lambda: cloud.connection.block_storage.get(path).status_code == NOT_FOUND)


def sha256_of_root(cloud: Cloud, id: str) -> str | None:
    """Of an image-booted server's disk, by a snapshot."""
    response = cloud.compute.post(f"/servers/{id}/action", json={"createImage": {"name": f"{SCRATCH}-{id}"}}, microversion="2.45")
    raise_from_response(response)
    with scratch_image(cloud, response.json()["image_id"]) as image:
        return sha256_of_image(cloud, image)


def active(cloud: Cloud, id: str) -> bool:
    status = cloud.get("image", f"/images/{id}")["status"]
    if status in ("killed", "deleted"):
        raise RuntimeError(f"{cloud.name}: the image {id} is {status}")
    return status == "active"


def wait(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Waited {WAIT_SECONDS:.0f} s in vain for {what}")
        time.sleep(LOOK_SECONDS)
