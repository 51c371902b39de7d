"""What a lab tells about its work while it works: small events, shown by whoever asked for the work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec


class StepState(StrEnum):
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    NOTE = "note"
    """A remark about the step that is going on."""


class StepEvent(msgspec.Struct, frozen=True, kw_only=True):
    step: str
    state: StepState
    text: str = ""
    seconds: float = 0.0
    """How long the step took, for DONE and FAILED."""


Report = Callable[[StepEvent], None]
"""May be called from several threads at once."""


def silent(_event: StepEvent) -> None:
    """A Report for nobody."""


@contextmanager
def step(report: Report, name: str) -> Iterator[Callable[[str], None]]:
    """Report the begin and the end of a step; yields a function for remarks."""
    begun = time.monotonic()
    report(StepEvent(step=name, state=StepState.STARTED))
    try:
        yield lambda text: report(StepEvent(step=name, state=StepState.NOTE, text=text))
    except BaseException as error:
        report(StepEvent(step=name, state=StepState.FAILED, text=str(error) or type(error).__name__, seconds=time.monotonic() - begun))
        raise
    report(StepEvent(step=name, state=StepState.DONE, seconds=time.monotonic() - begun))
