"""Starts, watches and stops the lab's processes. A process is known by its id and its start time, so that a recycled id is never hit."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

MARK = "DECAMP_LAB_FOLDER"
"""Environment variable that every process of a lab carries: tells children of a dead parent from strangers."""
STOP_SECONDS = 20.0
TAIL_LINES = 15


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Written when a process starts, one file each; the process leads a session of its own."""

    name: str
    pid: int
    start_ticks: int
    """Field 22 of /proc/<pid>/stat: clock ticks between the machine's boot and the process's start."""
    boot_id: str


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    state: str
    session: int
    start_ticks: int


def read_stat(pid: int) -> Stat | None:
    """Of a process, or None where there is none. See proc(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return Stat(state=fields[0], session=int(fields[3]), start_ticks=int(fields[19]))


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Supervisor:
    """The processes of one lab folder. All state is in files, so that any later process can take over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records = folder / "run"
        self._logs = folder / "log"
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process unless it runs already. Its output goes to log/<name>.out."""
        if self.is_running(name):
            return
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.output_path(name).open("ab") as output:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, MARK: str(self._folder)},
                cwd=self._folder,
                start_new_session=True,
            )
        self._children[child.pid] = child
        stat = read_stat(child.pid)
        record = ProcessRecord(name=name, pid=child.pid, start_ticks=stat.start_ticks if stat else 0, boot_id=boot_id())
        temporary = self._records / f".{name}.json"
        temporary.write_bytes(msgspec.json.encode(record))
        temporary.replace(self._records / f"{name}.json")

    def output_path(self, name: str) -> Path:
        return self._logs / f"{name}.out"

    def record(self, name: str) -> ProcessRecord | None:
        try:
            return msgspec.json.decode((self._records / f"{name}.json").read_bytes(), type=ProcessRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def names(self) -> list[str]:
        """Of every process that was started and not stopped, alive or not."""
        return sorted(path.stem for path in self._records.glob("*.json") if not path.name.startswith("."))

    def pid(self, name: str) -> int | None:
        """Of the running process, else None."""
        record = self.record(name)
        return record.pid if record and self._leader_alive(record) else None

    def is_running(self, name: str) -> bool:
        return self.pid(name) is not None

    def exit_status(self, name: str) -> int | None:
        """Of a process that this very supervisor started and that ended."""
        record = self.record(name)
        child = self._children.get(record.pid) if record else None
        return child.poll() if child else None

    def stop(self, names: Iterable[str], *, seconds: float = STOP_SECONDS) -> None:
        """End these processes and everything in their sessions: SIGTERM, then after `seconds` SIGKILL. Returns when all are gone."""
        records = [record for name in names if (record := self.record(name))]
        members = self._members(records)
        _signal_all(members, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while members and time.monotonic() < deadline:
            time.sleep(0.05)
            self._reap()
            members = self._members(records)
        while members:
            _signal_all(members, signal.SIGKILL)
            time.sleep(0.05)
            self._reap()
            members = self._members(records)
        for record in records:
            (self._records / f"{record.name}.json").unlink(missing_ok=True)

    def tail(self, name: str, extra: Path | None = None, lines: int = TAIL_LINES) -> str:
        """The end of a process's output, or of its log file where the output is empty."""
        for path in (extra, self.output_path(name)):
            if path and path.exists():
                text = _read_end(path)
                if text.strip():
                    return "\n".join(text.splitlines()[-lines:])
        return "(nothing was logged)"

    def _leader_alive(self, record: ProcessRecord) -> bool:
        self._reap()
        if record.boot_id != boot_id():
            return False
        stat = read_stat(record.pid)
        return stat is not None and stat.state != "Z" and stat.start_ticks == record.start_ticks

    def _members(self, records: Sequence[ProcessRecord]) -> list[int]:
        """The living processes of the recorded sessions that carry this lab's mark."""
        sessions = {record.pid: record for record in records if record.boot_id == boot_id()}
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            pid = int(entry.name)
            stat = read_stat(pid)
            if stat is None or stat.state == "Z" or stat.session not in sessions:
                continue
            if stat.start_ticks >= sessions[stat.session].start_ticks and self._carries_mark(pid):
                found.append(pid)
        return found

    def _carries_mark(self, pid: int) -> bool:
        try:
            return f"{MARK}={self._folder}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False

    def _reap(self) -> None:
        for child in self._children.values():
            child.poll()


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _read_end(path: Path, size: int = 16384) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")
