"""What a lab takes of memory and disk is what its own processes and files take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from decamp.lab import memory
from decamp.lab.supervise import MARK

MIB = 2**20


def test_only_processes_of_this_lab_count(tmp_path: Path) -> None:
    ballast = f"data = b'x' * {64 * MIB}; print('ready', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", ballast], env={**os.environ, MARK: str(tmp_path)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout
        child.stdout.readline()
        assert 64 * MIB < memory.used_bytes(tmp_path) < 256 * MIB
        assert memory.used_bytes(tmp_path / "another") == 0
        with memory.watching(tmp_path) as peak:
            pass
        assert peak.bytes > 64 * MIB
    finally:
        child.communicate(b"\n")


def test_holes_and_second_names_of_a_file_take_no_disk(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(512 * MIB)
    (tmp_path / "real").write_bytes(b"x" * MIB)
    (tmp_path / "again").hardlink_to(tmp_path / "real")
    assert MIB <= memory.disk_bytes(tmp_path) < 2 * MIB


def test_a_folder_that_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert memory.disk_bytes(tmp_path / "nowhere") == 0
