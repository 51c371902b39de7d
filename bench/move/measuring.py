"""Runs programs and says what they took: time, memory, and what they said to the clouds, counted at their sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from decamp.lab.layout import CLOUDS, CloudName, Lab

COUNTING = Path(__file__).parent / "counting"
LATEST_SECONDS = 10
"""How long a process that a program started may go on after it."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """By one or several programs, one after the other."""

    wall_seconds: float = 0
    cpu_seconds: float = 0
    """Of the programs; the clouds' own is not in it."""
    peak_mib: float = 0
    """Resident, of the largest program: its processes together, as if all had been at their peak at one time."""
    calls: int = 0
    """HTTP requests to both clouds."""
    read_bytes: int = 0
    """Received from the old cloud."""
    written_bytes: int = 0
    """Sent to the new cloud."""
    back_bytes: int = 0
    """Received from the new cloud."""
    status: int = 0
    """Exit status of the last program."""

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            wall_seconds=self.wall_seconds + other.wall_seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            peak_mib=max(self.peak_mib, other.peak_mib),
            calls=self.calls + other.calls,
            read_bytes=self.read_bytes + other.read_bytes,
            written_bytes=self.written_bytes + other.written_bytes,
            back_bytes=self.back_bytes + other.back_bytes,
            status=other.status,
        )


def run(lab: Lab, command: Sequence[str], folder: Path, log: Path, *, seconds: float | None = None) -> Taken:
    """Run a Python program in `folder`; what it prints goes into `log`. Its exit status is told, whatever it is.

    After so many `seconds` it is interrupted, as by Ctrl-C.
    """
    with tempfile.TemporaryDirectory() as counts:
        counting = {"BENCH_TRAFFIC": counts, "PYTHONPATH": str(COUNTING), "PYTHONWARNINGS": "ignore"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        began = time.perf_counter()
        with log.open("ab") as output:
            process = subprocess.Popen(command, cwd=folder, env=inherited | counting, stdout=output, stderr=output)
            interrupt = threading.Timer(seconds or threading.TIMEOUT_MAX, lambda: os.kill(process.pid, signal.SIGINT))
            interrupt.start()
            _, status, usage = os.wait4(process.pid, 0)
            interrupt.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_seconds = time.perf_counter() - began
        told = _told(Path(counts))
    ports = {cloud: {str(lab.port(cloud, service)) for service in CLOUDS[cloud].services} for cloud in (CloudName.OLD, CloudName.NEW)}

    def total(place: int, *clouds: CloudName) -> int:
        return sum(counted[place] for one in told for port, counted in one["ports"].items() for cloud in clouds if port in ports[cloud])

    return Taken(
        wall_seconds=wall_seconds,
        cpu_seconds=max(usage.ru_utime + usage.ru_stime, sum(one["cpu_seconds"] for one in told)),
        peak_mib=sum(one["peak_kib"] for one in told) / 1024,
        calls=total(0, CloudName.OLD, CloudName.NEW),
        read_bytes=total(1, CloudName.OLD),
        written_bytes=total(2, CloudName.NEW),
        back_bytes=total(1, CloudName.NEW),
        status=process.returncode,
    )


def _told(counts: Path) -> list[dict[str, Any]]:
    """By each process: also by one that ends a moment after who started it. Of one that was killed there is nothing."""
    until = time.monotonic() + LATEST_SECONDS
    while any(not file.stat().st_size for file in counts.iterdir()) and time.monotonic() < until:
        time.sleep(0.1)
    return [json.loads(text) for file in counts.iterdir() if (text := file.read_text())]


def decamp() -> list[str]:
    return [sys.executable, "-m", "decamp.cli.main"]
