"""A process that applies a plan, or goes on with its run and with what follows it, and may die at any moment.

applying.py URL PLAN SEEN MODULE:FUNCTION ARGUMENT ONLY CONCURRENCY, where ONLY is a pattern of the boundaries to die at. What follows a run
says the module's function `following`, and within which policy its `policy`, if it has them.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from crashing import Crasher, crash_between_runs, crashing

from decamp.files import read_plan
from decamp.model.errors import Error
from decamp.run.engine import Engine
from decamp.run.patience import Patience

NOTHING_UNDER_WAY = Patience(arrives_seconds=0)
"""It dies at boundaries of actions and after answers: no request of it is still on its way then."""


def main(url: str, plan_file: str, seen: str, performers: str, argument: str, only: str, concurrency: str) -> int:
    """The exit code of the report; 9 where Decamp gave an error, which is printed."""
    crash = Crasher(Path(seen), re.compile(only))
    name, _, function = performers.partition(":")
    module = importlib.import_module(name)
    follow = module.following(Path(argument), crash) if hasattr(module, "following") else None
    policy = getattr(module, "policy", None)
    crash_between_runs(crash)
    plan = read_plan(Path(plan_file))
    try:
        acting = crashing(getattr(module, function)(Path(argument), crash), crash)
        with Engine(url, acting, follow=follow, policy=policy, patience=NOTHING_UNDER_WAY) as engine:
            mine = [summary.id for summary in engine.runs.all() if summary.plan == plan.id]
            run = engine.resume(mine[0]) if mine else engine.begin(plan, int(concurrency))
            report = engine.wait(run)
    except Error as error:
        print(f"{type(error).__name__}: {error}")
        return 9
    for action in report.actions:
        if action.error:
            print(f"{action.id}: {action.error}")
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
