"""Applies a plan in one forked child after the other, until one does not die: what is imported once serves them all.

reviving.py and the arguments of applying.py.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

import applying

LONGEST_SECONDS = 120
"""Of one child, between two deaths; then it is ended by the alarm. The module of the performers may say another."""
MOST = 500
"""Deaths: more than any plan here has boundaries."""


def main(arguments: list[str]) -> int:
    """The exit code of the last child; of one that a signal other than SIGKILL ended, less than 0."""
    module = importlib.import_module(arguments[3].partition(":")[0])
    longest_seconds = getattr(module, "LONGEST_SECONDS", LONGEST_SECONDS)
    for _ in range(MOST):
        child = os.fork()
        if not child:
            signal.alarm(longest_seconds)
            return applying.main(*arguments)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            return code
    raise AssertionError(f"it still dies after {MOST} times")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
