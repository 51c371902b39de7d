"""Processes are known by id and start time, stopped with their children, and never mistaken for strangers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from decamp.lab.supervise import ProcessRecord, Supervisor, boot_id, read_stat

SLEEP = ("sleep", "300")
WITH_CHILD = (sys.executable, "-c", "import subprocess, time; print(subprocess.Popen(['sleep', '300']).pid, flush=True); time.sleep(300)")
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)",
)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    made.stop(made.names(), seconds=0)


def test_a_process_that_was_started_runs_until_it_is_stopped(supervisor: Supervisor) -> None:
    supervisor.start("sleeper", SLEEP, {})
    pid = supervisor.pid("sleeper")
    assert pid is not None

    supervisor.stop(["sleeper"])

    assert not alive(pid)
    assert supervisor.names() == []


def test_starting_what_runs_already_starts_nothing(supervisor: Supervisor) -> None:
    supervisor.start("sleeper", SLEEP, {})
    pid = supervisor.pid("sleeper")

    supervisor.start("sleeper", SLEEP, {})

    assert supervisor.pid("sleeper") == pid


def test_another_supervisor_of_the_same_folder_can_stop_it(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start("sleeper", SLEEP, {})
    pid = supervisor.pid("sleeper")
    assert pid is not None

    Supervisor(tmp_path).stop(["sleeper"])

    assert not alive(pid)


def test_children_end_with_their_parent(supervisor: Supervisor) -> None:
    supervisor.start("parent", WITH_CHILD, {})
    child = int(said(supervisor, "parent"))

    supervisor.stop(["parent"])

    assert not alive(child)


def test_children_of_a_parent_that_died_are_still_found(supervisor: Supervisor) -> None:
    supervisor.start("parent", WITH_CHILD, {})
    child = int(said(supervisor, "parent"))
    parent = supervisor.pid("parent")
    assert parent is not None
    os.kill(parent, 9)
    until(lambda: not supervisor.is_running("parent"))

    supervisor.stop(["parent"])

    assert not alive(child)


def test_a_process_that_does_not_listen_is_killed_in_the_end(supervisor: Supervisor) -> None:
    supervisor.start("deaf", DEAF, {})
    said(supervisor, "deaf")
    pid = supervisor.pid("deaf")
    assert pid is not None

    supervisor.stop(["deaf"], seconds=0.3)

    assert not alive(pid)


@pytest.mark.parametrize("difference", ["start", "boot"])
def test_a_stranger_who_got_the_number_of_a_process_that_ended_is_left_alone(
    supervisor: Supervisor, tmp_path: Path, difference: str
) -> None:
    with subprocess.Popen(SLEEP, start_new_session=True) as stranger:
        stat = read_stat(stranger.pid)
        assert stat is not None
        record = ProcessRecord(
            name="recycled",
            pid=stranger.pid,
            start_ticks=stat.start_ticks - 1 if difference == "start" else stat.start_ticks,
            boot_id=boot_id() if difference == "start" else "another",
        )
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "recycled.json").write_bytes(msgspec.json.encode(record))

        assert not supervisor.is_running("recycled")
        supervisor.stop(["recycled"], seconds=0)

        assert stranger.poll() is None
        stranger.kill()


def test_the_tail_holds_the_end_of_log_and_output(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start("talker", (sys.executable, "-c", "print('first'); print('last words')"), {})
    log = tmp_path / "service.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    until(lambda: not supervisor.is_running("talker"))

    tail = supervisor.tail("talker", log, lines=1)

    assert "line 99" in tail
    assert "last words" in tail
    assert "first" not in tail
    assert supervisor.tail("never-started") == "(nothing was logged)"


def alive(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state != "Z"


def said(supervisor: Supervisor, name: str) -> str:
    until(lambda: supervisor.output_path(name).exists() and supervisor.output_path(name).read_text().endswith("\n"))
    return supervisor.output_path(name).read_text().strip()


def until(holds, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
