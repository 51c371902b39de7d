"""The bind mount that stands for Cinder's NFS share: the one thing that a lab changes outside its folder, undone when it goes down."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from decamp.lab.configuration import nfs_share
from decamp.lab.layout import CLOUDS, CloudName, Lab
from decamp.lab.packages import root_prefix
from decamp.model.errors import BadInput, Failed


def mount_point(lab: Lab, cloud: CloudName) -> Path:
    """Where Cinder's remote file system driver expects the share: a folder named after the share's MD5."""
    digest = hashlib.md5(nfs_share(lab, cloud).encode(), usedforsecurity=False).hexdigest()
    return lab.cloud_folder(cloud) / "cinder" / "mnt" / digest


def mount_all(lab: Lab) -> None:
    mounted = mounted_below(lab.folder)
    for cloud in CloudName:
        if "cinder" in CLOUDS[cloud].services and mount_point(lab, cloud) not in mounted:
            mount_point(lab, cloud).mkdir(parents=True, exist_ok=True)
            _run(["mount", "--bind", str(lab.cloud_folder(cloud) / "cinder" / "share"), str(mount_point(lab, cloud))])


def unmount_all(folder: Path) -> None:
    for point in mounted_below(folder):
        _run(["umount", str(point)])


def mounted_below(folder: Path) -> list[Path]:
    """Mount points in a lab's folder, from /proc/self/mountinfo, where blanks are written as \\040."""
    points = (Path(line.split()[4].replace("\\040", " ")) for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [point for point in points if point.is_relative_to(folder)]


def _run(command: list[str]) -> None:
    prefix = root_prefix()
    if prefix is None:
        raise BadInput(f"`{' '.join(command)}` takes root or sudo without a password: the lab's Cinder needs this mount.")
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
