"""Runs the owner's hooks: commands of this machine's decamp.yaml, told of the server in their environment, bounded in time."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import IO, Any

import msgspec

from decamp.clouds import Cloud
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Bug, Changed, Failed
from decamp.model.hooks import Hook, When
from decamp.model.plan import Action
from decamp.model.refs import Ref

LOOK_SECONDS = 0.1
GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL, for a hook that is to end."""
KEPT_CHARACTERS = 1500
"""Of the end of what a hook printed."""


class RunHook:
    """RUN_HOOK. What it did, nobody but its owner can see: after a crash it is run again, with DECAMP_ATTEMPT one higher."""

    def __init__(self, old: Cloud, new: Cloud, hooks: Mapping[When, Hook]) -> None:
        self._old, self._new, self._hooks = old, new, hooks

    def fingerprint(self, action: Action) -> str | None:
        return action.expects

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """Nothing that could be found."""

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        """Raises Changed where decamp.yaml has not the very hook that the plan shows: a plan brings no commands onto a machine."""
        when, hook = _planned(action)
        if self._hooks.get(when) != hook:
            raise Changed(f"hook {when} of the plan is not the one in this machine's decamp.yaml, so it is not run: make a new plan")
        printed = run(when, hook, self._environment(action, attempt, when), attempt)
        return Outcome(said=f"hook {when} went well{f': {printed}' if printed else ''}")

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        return ()

    def _environment(self, action: Action, attempt: Attempt, when: When) -> dict[str, str]:
        told = {
            "DECAMP_HOOK": when.value,
            "DECAMP_RUN": attempt.run,
            "DECAMP_ATTEMPT": str(attempt.number),
            "DECAMP_OLD_CLOUD": self._old.name,
            "DECAMP_NEW_CLOUD": self._new.name,
            "DECAMP_PROJECT_ID": action.args.get("project") or "",
            "DECAMP_SERVER_ID": action.target.id,
            "DECAMP_SERVER_NAME": action.args.get("name") or "",
            "DECAMP_NEW_PROJECT_ID": attempt.ids.get(Ref("project", action.args.get("project") or ""), ""),
            "DECAMP_NEW_SERVER_ID": attempt.ids.get(action.target, ""),
        }
        return {**os.environ, **told}


def run(when: When, hook: Hook, environment: Mapping[str, str], attempt: Attempt) -> str:
    """The end of what it printed. Raises Failed if it cannot be run, does not end in time or with status 0, or the run was cancelled."""
    arguments = ["/bin/sh", "-c", *hook.command] if hook.shell else list(hook.command)
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise Failed(f"hook {when} cannot be run: {error}") from error
        cut_short = _await(process, hook.timeout_seconds, attempt)
        printed = _tail(output)
    said = f": {printed}" if printed else ""
    if cut_short:
        raise Failed(f"hook {when} {cut_short}{said}")
    if process.returncode:
        raise Failed(f"hook {when} ended with status {process.returncode}{said}")
    return printed


def _await(process: subprocess.Popen[bytes], timeout_seconds: float, attempt: Attempt) -> str | None:
    """Why it was ended before its own end; null: it was not."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            cancelled = attempt.cancelled()
            if not cancelled and time.monotonic() < deadline:
                continue
            _end(process)
            return (
                "was stopped, because the run was cancelled" if cancelled else f"did not end within {timeout_seconds:g} s, and was stopped"
            )
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it began."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 4 * KEPT_CHARACTERS))
    return " ".join(output.read().decode(errors="replace").split())[-KEPT_CHARACTERS:]


def _planned(action: Action) -> tuple[When, Hook]:
    told: dict[str, Any] = {name: action.args.get(name) for name in ("command", "shell", "timeout_seconds")}
    try:
        return When(str(action.args.get("hook"))), msgspec.convert(told, Hook)
    except (ValueError, msgspec.ValidationError) as error:
        raise Bug(f"{action.id}: its arguments are wrong: {error}") from error
