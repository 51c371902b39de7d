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


_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this very process started. Kept to the end: a child outlives its supervisor on purpose, and must be reaped if it does not."""


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
        _children[child.pid] = child
        stat = read_stat(child.pid)
        record = ProcessRecord(name=name, pid=child.pid, start_ticks=stat.start_ticks if stat else 0, boot_id=boot_id())
        temporary = self._records / f".{name}.json"
        temporary.write_bytes(msgspec.json.encode(record))
        temporary.replace(self.record_path(name))

    def output_path(self, name: str) -> Path:
        return self._logs / f"{name}.out"

    def record(self, name: str) -> ProcessRecord | None:
        try:
            return msgspec.json.decode(self.record_path(name).read_bytes(), type=ProcessRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def record_path(self, name: str) -> Path:
        """Written when the process was started."""
        return self._records / f"{name}.json"

    def names(self) -> list[str]:
        """Of every process that was started and not stopped, alive or not."""
        return sorted(path.stem for path in self._records.glob("*.json") if not path.name.startswith("."))

    def pid(self, name: str) -> int | None:
        """Of the running process, else None."""
        record = self.record(name)
        return record.pid if record and self._leader_alive(record) else None

    def is_running(self, name: str) -> bool:
        return self.pid(name) is not None

    def stop(self, names: Iterable[str], *, seconds: float = STOP_SECONDS) -> None:
        """End these processes and everything in their sessions: SIGTERM, then after `seconds` SIGKILL. Returns when all are gone."""
        records = [record for name in names if (record := self.record(name))]
        known = self._members(records)
        deadline = time.monotonic() + seconds
        told: set[int] = set()
        while living := {pid: ticks for pid, ticks in known.items() if _lives(pid, ticks)}:
            late = time.monotonic() > deadline
            _signal_all(living if late else living.keys() - told, signal.SIGKILL if late else signal.SIGTERM)
            told |= living.keys()
            time.sleep(0.05)
            self._reap()
            # children that were born meanwhile
            known = {**living, **self._members(records)}
        for record in records:
            self.record_path(record.name).unlink(missing_ok=True)

    def tail(self, name: str, log: Path | None = None, lines: int = TAIL_LINES) -> str:
        """The end of a process's output, which is where a traceback is, and of its log file."""
        ends: list[str] = []
        for path in (log, self.output_path(name)):
            text = _read_end(path).strip() if path and path.exists() else ""
            if text:
                ends += [f"{path}:", *text.splitlines()[-lines:]]
        return "\n".join(ends) or "(nothing was logged)"

    def _leader_alive(self, record: ProcessRecord) -> bool:
        self._reap()
        if record.boot_id != boot_id():
            return False
        stat = read_stat(record.pid)
        return stat is not None and stat.state != "Z" and stat.start_ticks == record.start_ticks

    def _members(self, records: Sequence[ProcessRecord]) -> dict[int, int]:
        """Process id -> start, of the living processes in the recorded sessions.

        A session's number is not given to another process while anyone is in it. Where its leader is gone, a member counts only if it
        carries the lab's mark; where the leader lives, that is not asked, because some services overwrite their environment (setproctitle).
        """
        sessions = {record.pid: self._leader_alive(record) for record in records if record.boot_id == boot_id()}
        found: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            pid = int(entry.name)
            stat = read_stat(pid)
            if stat is None or stat.state == "Z" or stat.session not in sessions:
                continue
            if sessions[stat.session] or self._carries_mark(pid):
                found[pid] = stat.start_ticks
        return found

    def _carries_mark(self, pid: int) -> bool:
        try:
            return f"{MARK}={self._folder}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False

    def _reap(self) -> None:
        for child in _children.values():
            child.poll()


def _lives(pid: int, start_ticks: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state != "Z" and stat.start_ticks == start_ticks


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
