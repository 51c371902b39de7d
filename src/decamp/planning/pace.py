"""How long a planner may think, and whom it tells how far it is. Planning has no clock of its own: who calls it may lend one."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    seconds_left: Callable[[], float] = lambda: math.inf
    """Asked between attempts and before each program that is solved: the plan is then made of what has been found."""
    report: Callable[[int, int, str], None] = lambda done, total, part: None
    """Done, of how many in all (0: nobody knows), and what it is doing."""

    def is_over(self) -> bool:
        return self.seconds_left() <= 0


UNHURRIED = Pace()
