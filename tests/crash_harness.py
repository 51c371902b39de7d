"""Applies a plan by processes that die, until one does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from decamp.files import write
from decamp.model.plan import Plan

HERE = Path(__file__).parent / "crash"


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    crashes: tuple[str, ...]
    """The boundaries that processes died at, in order."""
    exit_code: int
    output: str


def apply_until_done(url: str, plan: Plan, performers: str, argument: str, scratch: Path, only: str = ".") -> Story:
    """Apply, crash at every boundary that is reached for the first time, resume, until a process ends by itself.

    `performers` is MODULE:FUNCTION in HERE, called with `argument` as a path and a function to call midway.
    `only` is a pattern: processes die only at the boundaries that it is found in. One action runs at a time, so that no other's death
    spares one a boundary.
    """
    plan_file, seen = scratch / "plan.json", scratch / "seen"
    write(plan, plan_file)
    seen.touch()
    arguments = [url, str(plan_file), str(seen), performers, argument, only, "1"]
    process = subprocess.run(
        [sys.executable, str(HERE / "reviving.py"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        check=False,
    )
    return Story(crashes=tuple(seen.read_text().splitlines()), exit_code=process.returncode, output=process.stdout + process.stderr)
