"""What a verification found, and how it is told: one line for each check, and one for each thing that is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


class Findings:
    """What was checked, and what was wrong with it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, list[str]]] = []

    def add(self, what: str, wrong: Iterable[str], right: str = "") -> None:
        """`right` is said where nothing is wrong."""
        self.rows.append((what, right, list(wrong)))

    @property
    def wrong(self) -> int:
        return sum(len(wrong) for _, _, wrong in self.rows)

    def print(self) -> None:
        colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        green, red, dim, end = ("\033[32m", "\033[31m", "\033[2m", "\033[0m") if colours else ("", "", "", "")
        width = max(len(what) for what, _, _ in self.rows)
        for what, right, wrong in self.rows:
            if wrong:
                print(f"{red}✗ {what:<{width}}  {len(wrong)} wrong{end}")
                for line in wrong:
                    print(f"{red}    {line}{end}")
            else:
                print(f"{green}✓{end} {what:<{width}}  {dim}{right}{end}")
        passed = sum(not wrong for _, _, wrong in self.rows)
        if self.wrong:
            print(f"{red}VERIFICATION FAILED: {self.wrong} things are wrong in {len(self.rows) - passed} of {len(self.rows)} checks.{end}")
        else:
            print(f"{green}Verified: all {passed} checks passed.{end}")
