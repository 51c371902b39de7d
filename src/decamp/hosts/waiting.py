"""Wait for a cloud to get somewhere, for as long as policy allows and the operator does not stop the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from decamp.model.errors import Failed, Refused

Result = TypeVar("Result")

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 5.0
"""Between two looks: short waits end soon, long ones cost the APIs little."""


class TooLate(Failed):
    """It did not happen in the time that the policy gives."""


def wait(
    look: Callable[[], Result | None],
    what: str,
    *,
    seconds: float,
    cancelled: Callable[[], bool] = lambda: False,
    longest_seconds: float = LONGEST_SECONDS,
) -> Result:
    """The first answer of `look` that is not None. `what` completes "waited for ...".

    Raises TooLate after `seconds`, and Refused when the run is cancelled: what the cloud does goes on, and `find` takes it up.
    """
    deadline = time.monotonic() + seconds
    pause = FIRST_SECONDS
    while True:
        answer = look()
        if answer is not None:
            return answer
        if cancelled():
            raise Refused(f"The run was cancelled while it waited for {what}. The cloud goes on with it, and `resume` takes it up.")
        if time.monotonic() > deadline:
            raise TooLate(f"Waited {seconds:.0f} s for {what}, in vain.")
        time.sleep(pause)
        pause = min(pause * 1.5, longest_seconds)
