"""Two workers on one PostgreSQL: when one dies, the other finishes its work; when it was only asleep, what it writes later is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import world

from crash_harness import HERE
from decamp.files import write
from decamp.model.run import RunReport, RunState
from decamp.run.runs import Runs, open_runs

pytestmark = pytest.mark.postgres

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process of this folder, and sees to its end."""
    started: list[subprocess.Popen[str]] = []

    def start_one(script: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


def await_that(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.1)


def begin(start: Start, url: str, folder: Path, performers: str) -> subprocess.Popen[str]:
    """A process that applies the example, and has come to the gate."""
    plan_file, seen = folder.parent / "plan.json", folder.parent / "seen"
    write(world.example(folder, servers=1), plan_file)
    process = start("applying.py", url, str(plan_file), str(seen), performers, str(folder), "never", "4")
    await_that(lambda: (folder / "waits").exists() or process.poll() is not None, "the gate is reached")
    assert (folder / "waits").read_text() == str(process.pid)
    return process


def start_worker(start: Start, url: str, performers: str, folder: Path) -> subprocess.Popen[str]:
    process = start("working.py", url, performers, str(folder))
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def the_run(runs: Runs) -> RunReport:
    (summary,) = runs.all()
    return runs.report(summary.id)


def test_a_living_worker_finishes_the_work_of_one_that_was_killed(postgresql_url: str, tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "world"
    applying = begin(start, postgresql_url, folder, "world:gated")
    other = start_worker(start, postgresql_url, "world:gated", folder)

    applying.send_signal(signal.SIGKILL)
    applying.wait()
    (folder / "open").touch()

    with open_runs(postgresql_url) as runs:
        await_that(lambda: the_run(runs).state is RunState.DONE, "the run is done")
        report = the_run(runs)
        ids = runs.ledger.ids("old", "new")
    assert sorted(world.World(folder).calls()) == ["create net", "create s1", "migrate s1", "stop s1"]
    assert set(world.World(folder).all("new")) == set(ids.values())
    last = report.actions[-1]
    assert f"-{other.pid}-" in (last.worker or "")
    assert last.attempts == 2


def test_work_is_shared_among_the_workers_that_live(postgresql_url: str, tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "world"
    plan_file = tmp_path / "plan.json"
    write(world.example(folder, servers=12), plan_file)
    (folder / "open").touch()
    workers = [start_worker(start, postgresql_url, "world:unhurried", folder) for _ in range(2)]

    applying = start("applying.py", postgresql_url, str(plan_file), str(tmp_path / "seen"), "world:unhurried", str(folder), "never", "4")

    assert applying.wait(timeout=300) == 0
    with open_runs(postgresql_url) as runs:
        took_part = {action.worker for action in the_run(runs).actions}
    assert len(took_part) >= 2
    assert len(set(world.World(folder).calls())) == len(world.World(folder).calls()) == 1 + 12 * 3
    for worker in workers:
        worker.terminate()
        assert worker.wait(timeout=90) == 0


@pytest.mark.parametrize("performers", ["world:gated", "world:gated_before"])
def test_what_a_sleeping_worker_writes_after_it_was_taken_for_dead_is_refused(
    performers: str, postgresql_url: str, tmp_path: Path, start: Start
) -> None:
    folder = tmp_path / "world"
    applying = begin(start, postgresql_url, folder, performers)
    start_worker(start, postgresql_url, "world:performers", folder)

    applying.send_signal(signal.SIGSTOP)
    with open_runs(postgresql_url) as runs:
        await_that(lambda: the_run(runs).state is RunState.DONE, "the other has taken over and is done")
        before = (the_run(runs), runs.ledger.entries(the_run(runs).id))
        (folder / "open").touch()
        applying.send_signal(signal.SIGCONT)
        output, _ = applying.communicate(timeout=60)
        after = (the_run(runs), runs.ledger.entries(the_run(runs).id))

    # it hears of that from its own heart, unless it sees first that the run is done
    assert (applying.returncode, "taken for dead" in output) in {(9, True), (0, False)}
    assert after[1] == before[1], "the ledger took something from it"
    assert after[0].state is RunState.DONE
    made = [name for name, thing in world.World(folder).all("new").items() if thing["of"] == "s1"]
    counted = {entry.new_id for entry in after[1]}
    if performers == "world:gated":
        assert len(made) == 1, "it took the half-made copy up"
        assert after[0].actions[-1].warning is None
    else:
        # Asleep just before the call that creates: nobody can take back what it does then, but it is told.
        (late,) = set(made) - counted
        assert late in (after[0].actions[-1].warning or "")


def test_a_run_whose_only_worker_was_killed_says_that_it_is_interrupted(postgresql_url: str, tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "world"
    applying = begin(start, postgresql_url, folder, "world:gated")
    with open_runs(postgresql_url) as runs:
        assert the_run(runs).state is RunState.RUNNING
        os.kill(applying.pid, signal.SIGKILL)
        applying.wait()
        assert the_run(runs).state is RunState.INTERRUPTED
