"""Runs the process of applying.py until it no longer dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from decamp.files import write
from decamp.model.plan import Plan

HERE = Path(__file__).parent / "crash"
LONGEST_SECONDS = 120
"""Of one process, between two crashes."""


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    crashes: tuple[str, ...]
    """The boundaries that processes died at, in order."""
    exit_code: int
    output: str


def apply_until_done(url: str, plan: Plan, performers: str, argument: str, scratch: Path, only: str = ".", most: int = 500) -> Story:
    """Apply, crash at every boundary that is reached for the first time, resume, until a process ends by itself.

    `performers` is MODULE:FUNCTION in HERE, called with `argument` as a path and a function to call midway.
    `only` is a pattern: processes die only at the boundaries that it is found in. One action runs at a time, so that no other's death
    spares one a boundary.
    """
    plan_file, seen = scratch / "plan.json", scratch / "seen"
    write(plan, plan_file)
    seen.touch()
    # What is compiled once is there for the next process, whatever the environment says of that.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(HERE.parent)
    for _ in range(most):
        process = subprocess.run(
            [sys.executable, str(HERE / "applying.py"), url, str(plan_file), str(seen), performers, argument, only, "1"],
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            env=environment,
            check=False,
        )
        if process.returncode != -signal.SIGKILL:
            return Story(crashes=tuple(seen.read_text().splitlines()), exit_code=process.returncode, output=process.stdout + process.stderr)
    raise AssertionError(f"it still crashes after {most} times: {seen.read_text().splitlines()[-3:]}")
