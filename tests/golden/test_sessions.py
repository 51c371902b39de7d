"""Sessions at the command line, as files: what is typed, and below it what has to come out of it.

Lines that begin with `$ ` are commands, `[n]` is an exit status other than 0, `#` begins a remark. The files beside a session are there
when it runs. After a change that is meant, write them anew and read the difference: DECAMP_WRITE_SESSIONS=1 pytest tests/golden
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from decamp.cli.main import main

HERE = Path(__file__).parent
SESSIONS = sorted(HERE.glob("*/*.session"))
PLAN_ID = re.compile(r"\b[0-9a-f]{16}\b")
"""Depends on every default of the policy: no reader wants it to change in all sessions."""


@pytest.mark.parametrize("session", SESSIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_session_goes_as_it_is_written(session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for file in session.parent.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    for name in [name for name in os.environ if name.startswith(("DECAMP_", "OS_", "XDG_")) and name != "DECAMP_WRITE_SESSIONS"]:
        monkeypatch.delenv(name)
    written = session.read_text()
    went = _went([line for line in written.splitlines() if line.startswith(("$ ", "#"))])
    if os.environ.get("DECAMP_WRITE_SESSIONS"):
        session.write_text(went)
    assert went == written


def _went(lines: list[str]) -> str:
    """The remarks and commands, each command with all that it prints."""
    text = ""
    for before, line in zip(["", *lines], lines, strict=False):
        text += ("" if before.startswith("#") else "\n") + line + "\n"
        if line.startswith("$ "):
            text += _printed(shlex.split(line.removeprefix("$ decamp ")))
    return text.lstrip("\n")


def _printed(arguments: list[str]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(arguments)
    lines = [line.rstrip() for line in PLAN_ID.sub("PLAN-ID", out.getvalue()).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n")) + "\n" + (f"[{status}]\n" if status else "")
