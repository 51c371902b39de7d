"""A machine goes through Ironic's states in their order, and the role's count is raised once, after every machine is provided.

A machine that is still a compute host of the old cloud is not touched: providing it wipes its disks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from decamp.model.plan import ExpandGoal, Verb
from decamp.model.refs import Ref
from decamp.planning.constraints.scene import Rule, Scene, Violation

STEPS = (Verb.ENROLL, Verb.MANAGE, Verb.INSPECT, Verb.PROVIDE, Verb.SCALE_OUT, Verb.JOIN_HOST, Verb.CANARY)


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if action.verb not in STEPS or action.verb is Verb.SCALE_OUT:
        return
    if action.target.kind != "machine":
        yield scene.violation(at, Rule.VERBS, f"{action.verb} has nothing to do with a {action.target.kind}.")
        return
    if isinstance(scene.plan.goal, ExpandGoal) and action.target.id not in scene.plan.goal.hosts:
        yield scene.violation(at, Rule.MACHINES, f"The goal does not name the machine {action.target.id}.")
    if action.target.id in scene.hosts:
        yield scene.violation(at, Rule.MACHINES, f"{action.target.id} is a compute host of the old cloud.")
    if action.verb is Verb.ENROLL:
        return
    previous = STEPS[STEPS.index(action.verb) - 1]
    wanted = _scale_outs(scene) if previous is Verb.SCALE_OUT else scene.on(action.target, previous)
    if not any(scene.precedes(number, at) for number in wanted):
        yield scene.violation(at, Rule.MACHINES, f"It does not come after {previous} of {action.target.id}.")


def check_count(scene: Scene) -> Iterator[Violation]:
    if not isinstance(scene.plan.goal, ExpandGoal):
        return
    machines = dict.fromkeys(action.target for action in scene.actions if action.target.kind == "machine")
    raises = _scale_outs(scene)
    if machines and len(raises) != 1:
        yield scene.violation(None, Rule.COUNT, f"The count is raised {len(raises)} times; it has to be once for all machines.")
    for at in raises:
        yield from _check_raise(scene, at, tuple(machines))


def _check_raise(scene: Scene, at: int, machines: tuple[Ref, ...]) -> Iterator[Violation]:
    args = scene.actions[at].args
    stacks = scene.surveys["undercloud"].resources if "undercloud" in scene.surveys else ()
    stack = next((one for one in stacks if one.kind == "stack" and args.get("stack") in {one.id, one.name}), None)
    if stack is None:
        yield scene.violation(at, Rule.TARGETS, f"The survey has no stack {args.get('stack')}.")
    else:
        parameters = cast("dict[str, Any]", stack.spec.get("parameters") or {})
        count = parameters.get(str(args.get("parameter")))
        if str(count) != str(args.get("from")):
            yield scene.violation(at, Rule.COUNT, f"It raises the count from {args.get('from')}, and the survey says {count}.")
    before, after = args.get("from"), args.get("to")
    if not isinstance(before, int) or not isinstance(after, int) or after - before != len(machines):
        yield scene.violation(at, Rule.COUNT, f"It raises the count from {before} to {after} for {len(machines)} machines.")
    for machine in machines:
        if not any(scene.precedes(number, at) for number in scene.on(machine, Verb.PROVIDE)):
            yield scene.violation(at, Rule.MACHINES, f"It may run before {machine.id} is provided.")
        if not scene.on(machine, Verb.JOIN_HOST):
            yield scene.violation(at, Rule.MACHINES, f"Nobody waits for {machine.id} to join the new cloud.")


def _scale_outs(scene: Scene) -> tuple[int, ...]:
    return tuple(number for number, action in enumerate(scene.actions) if action.verb is Verb.SCALE_OUT)
