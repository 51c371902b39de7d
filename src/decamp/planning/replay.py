"""The independent checker: walks through a plan on the surveys that it was made from, and asks every rule at every step.

It believes no planner: it knows the plan, the surveys and the policy. Every action is looked at in the worst of all orders that `after`
permits (`constraints.scene`), so that a plan which replays clean is feasible whatever runs first, and however much runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from decamp.model.plan import Plan
from decamp.model.policy import Policy
from decamp.model.survey import Survey
from decamp.planning.constraints import (
    capacity,
    goal,
    groups,
    hand_over,
    locks,
    machines,
    needs,
    order,
    pinned,
    quiesce,
    receives,
    spare,
    targets,
    traits,
    zone,
)
from decamp.planning.constraints.scene import Rule, Scene, Violation, set_scene

__all__ = ["Rule", "Violation", "replay"]

AT_EVERY_STEP: tuple[Callable[[Scene, int], Iterator[Violation]], ...] = (
    targets.check_verb,
    targets.check_target,
    targets.check_expects,
    order.check_itinerary,
    capacity.check,
    receives.check,
    zone.check,
    traits.check,
    groups.check,
    goal.check,
    pinned.check,
    pinned.check_untouched_hosts,
    locks.check,
    quiesce.check,
    needs.check,
    hand_over.check,
    machines.check,
)

OF_THE_WHOLE: tuple[Callable[[Scene], Iterator[Violation]], ...] = (
    targets.check_made_from,
    quiesce.check_whole,
    needs.check_members,
    spare.check_whole,
    machines.check_count,
)


def replay(plan: Plan, surveys: Mapping[str, Survey], policy: Policy | None = None) -> tuple[Violation, ...]:
    """Every rule that the plan breaks, in the plan's order, what concerns the whole plan first. Empty: every permitted order is feasible.

    `surveys` are by role: old, new, undercloud. Without a policy nothing is asked that only a policy can say.
    """
    if faults := tuple(order.faults(plan)):
        return faults
    scene = set_scene(plan, surveys, policy or Policy())
    whole = [violation for check in OF_THE_WHOLE for violation in check(scene)]
    steps = [violation for at in range(len(plan.actions)) for check in AT_EVERY_STEP for violation in check(scene, at)]
    return (*whole, *steps)
