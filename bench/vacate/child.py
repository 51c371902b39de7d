"""What is measured, each in a process of its own, so that its memory is its own: `python -m bench.vacate.child WHAT SURVEY OUT [PLAN]`."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.vacate import runbook
from decamp.model.documents import sha256
from decamp.model.plan import Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.survey import Survey
from decamp.planning import solver
from decamp.planning.constraints.scene import is_migration
from decamp.planning.replay import replay
from decamp.planning.steps import steps
from decamp.planning.vacate import plan_vacate

GOAL = VacateGoal(max=True)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    wall_seconds: float
    cpu_seconds: float
    """Of all threads and child processes."""
    peak_mib: float
    """Of this process with all that it has loaded, the survey included; and of its largest child process."""
    moves: tuple[tuple[str, str, str], ...] = ()
    """Server, from, to."""
    plan: Plan | None = None
    told: dict[str, Any] = {}


def plan(old: Survey, _: Plan | None) -> dict[str, Any]:
    return {"plan": plan_vacate(old, Policy(), goal=GOAL, made_from={"old": sha256(old)})}


def by_runbook(old: Survey, _: Plan | None) -> dict[str, Any]:
    return {"moves": tuple(runbook.run(old))}


def order_alone(old: Survey, made: Plan | None) -> dict[str, Any]:
    """The order anew of a plan's moves."""
    if made is None:
        raise ValueError("the order of which plan?")
    freed = [action.target.id for action in made.actions if action.verb is Verb.DISABLE_SERVICE]
    found = steps(old, Policy(), freed, {a.target.id: a.args["to"] for a in made.actions if is_migration(a)})
    return {"told": {"seconds": found.seconds, "lower_bound": found.seconds_lower_bound, "proof": found.proof}}


def replay_alone(old: Survey, made: Plan | None) -> dict[str, Any]:
    """Which rules the plan breaks: how many times each, and how many of its moves break one."""
    if made is None:
        raise ValueError("which plan is to be replayed?")
    violations = replay(made, {"old": old}, Policy())
    moves = {action.id for action in made.actions if is_migration(action)}
    rules: dict[str, int] = {}
    for one in violations:
        rules[one.rule] = rules.get(one.rule, 0) + 1
    return {"told": {"rules": rules, "moves": len({one.action for one in violations} & moves)}}


WHAT: dict[str, Callable[[Survey, Plan | None], dict[str, Any]]] = {
    "plan": plan,
    "runbook": by_runbook,
    "order": order_alone,
    "replay": replay_alone,
}


def main() -> None:
    what, survey, out, *rest = sys.argv[1:]
    old = msgspec.json.decode(Path(survey).read_bytes(), type=Survey)
    made = msgspec.json.decode(Path(rest[0]).read_bytes(), type=Plan) if rest else None
    began, began_cpu = time.perf_counter(), _cpu_seconds()
    found = WHAT[what](old, made)
    solver.close()  # what a child process took is known when it has ended
    measured = Measured(
        wall_seconds=time.perf_counter() - began,
        cpu_seconds=_cpu_seconds() - began_cpu,
        peak_mib=sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024,
        **found,
    )
    Path(out).write_bytes(msgspec.json.encode(measured))


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
