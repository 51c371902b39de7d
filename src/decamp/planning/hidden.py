"""Which values somebody has to give before a plan can be applied: those that Heat hides of the stacks that it makes anew."""

from __future__ import annotations

from collections.abc import Set

from decamp.model.plan import Plan, Verb
from decamp.model.survey import Resource
from decamp.planning.undo import made_of


def stacks_with_hidden(plan: Plan, done: Set[str]) -> tuple[Resource, ...]:
    """The stacks that are yet to be made and whose parameters are not all told; `spec["hidden"]` of each names those that are not."""
    creating = (action for action in plan.actions if action.verb is Verb.CREATE and action.target.kind == "stack")
    made = (made_of(action) for action in creating if action.id not in done)
    return tuple(stack for stack in made if stack.spec["hidden"])
