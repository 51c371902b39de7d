"""Performers that kill their process at the boundaries of what they do, once at each; what is under test knows nothing of it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.plan import Action, Verb
from decamp.run import chains

Result = TypeVar("Result")


class Crasher:
    """Remembers in a file where processes died before, so that each boundary is died at exactly once."""

    def __init__(self, seen: Path, only: re.Pattern[str]) -> None:
        self.seen, self.only = seen, only

    def __call__(self, boundary: str) -> None:
        if not self.only.search(boundary):
            return
        with self.seen.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if boundary in file.read().splitlines():
                return
            file.write(f"{boundary}\n")
            file.flush()
            os.fsync(file.fileno())
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()


class Crashing:
    """A performer that may not live to tell."""

    def __init__(self, inner: Performer, crash: Crasher) -> None:
        self._inner, self._crash = inner, crash

    def fingerprint(self, action: Action) -> str | None:
        return self._around(action, "fingerprint", lambda: self._inner.fingerprint(action))

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        return self._around(action, "find", lambda: self._inner.find(action, attempt))

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        return self._around(action, "perform", lambda: self._inner.perform(action, attempt))

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        return self._around(action, "verify", lambda: self._inner.verify(action, outcome, attempt))

    def _around(self, action: Action, what: str, call: Callable[[], Result]) -> Result:
        self._crash(f"before {what} of {action.id}")
        result = call()
        self._crash(f"after {what} of {action.id}")
        return result


def crashing(performers: Mapping[Verb, Performer], crash: Crasher) -> Mapping[Verb, Any]:
    return {verb: Crashing(performer, crash) for verb, performer in performers.items()}


def crash_between_runs(crash: Crasher) -> None:
    """Also around what is written between two runs: there is no performer there."""
    for name in ("take_up", "conclude", "drain"):
        write = getattr(chains, name)

        def around(*args: Any, write: Callable[..., Any] = write, name: str = name, **kwargs: Any) -> Any:
            crash(f"before {name} {args[1]}")
            result = write(*args, **kwargs)
            crash(f"after {name} {args[1]}")
            return result

        setattr(chains, name, around)
