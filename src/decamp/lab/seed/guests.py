"""Writes as a guest would: straight into the disk files of the lab's old cloud, at any time, the same bytes each time."""

from __future__ import annotations

import os
from pathlib import Path

from decamp.lab.layout import CloudName, Lab
from decamp.lab.seed import guest_bytes
from decamp.lab.seed.blueprint import Patch
from decamp.model.errors import Failed


def root_disk(lab: Lab, host: str, server_id: str) -> Path:
    """Of an image-booted server: see services/lab_nova.py."""
    return lab.cloud_folder(CloudName.OLD) / "nova" / "disks" / host / f"{server_id}.disk"


def volume_file(lab: Lab, volume_id: str) -> Path:
    """As Cinder's NFS driver names it on its share."""
    return lab.cloud_folder(CloudName.OLD) / "cinder" / "share" / f"volume-{volume_id}"


def write(path: Path, patch: Patch) -> int:
    """Returns how many bytes were not there before. Raises Failed where the disk is not there."""
    written = 0
    try:
        with path.open("r+b") as disk:
            size = disk.seek(0, os.SEEK_END)
            for offset, data in guest_bytes.patches(patch.label, size, patch.amount_bytes):
                if os.pread(disk.fileno(), len(data), offset) != data:
                    written += os.pwrite(disk.fileno(), data, offset)
    except FileNotFoundError as error:
        raise Failed(f"There is no disk at {path}: the cloud did not make it, or has moved it.") from error
    return written
