"""How much memory and disk a lab takes, measured while it works."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from decamp.lab.supervise import MARK

SAMPLE_SECONDS = 5.0
BLOCK_BYTES = 512
"""Unit of st_blocks: see stat(2)."""


class Peak:
    """The most that was seen."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def watching(folder: Path) -> Iterator[Peak]:
    """Sample the memory of the lab's processes for as long as the block lasts."""
    peak, over = Peak(), threading.Event()

    def sample() -> None:
        while True:
            peak.bytes = max(peak.bytes, used_bytes(folder))
            if over.wait(SAMPLE_SECONDS):
                return

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def used_bytes(folder: Path) -> int:
    """Proportional set size of all processes of the lab in `folder`: shared pages are counted once. See proc_pid_smaps(5)."""
    mark = f"{MARK}={folder}".encode()
    total = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                total += _proportional(process / "smaps_rollup")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return total


def _proportional(smaps: Path) -> int:
    kib = next((line.split()[1] for line in smaps.read_text().splitlines() if line.startswith("Pss:")), "0")
    return int(kib) * 1024


def disk_bytes(folder: Path) -> int:
    """What the files below `folder` take on disk: holes are not counted."""
    seen: dict[tuple[int, int], int] = {}
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                status = os.lstat(os.path.join(parent, name))  # noqa: PTH118 there are hundreds of thousands of them
                # a bind mount shows a file twice
                seen[status.st_dev, status.st_ino] = status.st_blocks * BLOCK_BYTES
    return sum(seen.values())
