"""A host that is freed is cordoned before anything is migrated off it, proved empty after everything is, then stopped, then deleted.

A check before the cordon races with the scheduler; a service that is deleted before it is stopped registers itself again.
"""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.plan import VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.planning.constraints.scene import Rule, Scene, Violation, source, takes_away

STEPS = (Verb.DISABLE_SERVICE, Verb.PROVE_EMPTY, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE)


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if takes_away(action):
        here = Ref("host", source(action))
        if isinstance(scene.plan.goal, VacateGoal) and scene.on(here, *STEPS) and not _preceded(scene, at, STEPS[0], here.id):
            yield scene.violation(at, Rule.QUIESCE, f"It does not come after the cordon of {source(action)}.")
        return
    if action.verb not in STEPS[1:] or action.target.kind != "host":
        return
    name = action.target.id
    previous = STEPS[STEPS.index(action.verb) - 1]
    if not _preceded(scene, at, previous, name):
        yield scene.violation(at, Rule.QUIESCE, f"It does not come after {previous} of {name}.")
    if action.verb is Verb.PROVE_EMPTY:
        left = sorted(scene.may_hold(name, at))
        if left:
            yield scene.violation(at, Rule.QUIESCE, f"{name} may still hold {len(left)} servers by then: {', '.join(left[:5])}.")
        if (host := scene.hosts.get(name)) and host.other_allocations:
            yield scene.violation(at, Rule.QUIESCE, f"{name} has allocations in Placement of consumers that are no servers.")


def check_whole(scene: Scene) -> Iterator[Violation]:
    """A host that is freed is freed to the end, and is one that the goal allows."""
    goal = scene.plan.goal
    if not isinstance(goal, VacateGoal):
        return
    freed = {action.target.id for action in scene.actions if action.verb is Verb.DELETE_SERVICE}
    cordoned = {action.target.id for action in scene.actions if action.verb is Verb.DISABLE_SERVICE}
    for name in sorted(cordoned - freed):
        yield scene.violation(None, Rule.QUIESCE, f"{name} is cordoned and never deleted.")
    for name in sorted(freed - set(goal.hosts)) if goal.hosts or goal.follows is not None else ():
        yield scene.violation(None, Rule.QUIESCE, f"{name} is freed, and the goal does not name it.")
    if goal.count is not None and len(freed) > goal.count:
        yield scene.violation(None, Rule.QUIESCE, f"{len(freed)} hosts are freed, and the goal asks for {goal.count}.")


def _preceded(scene: Scene, at: int, verb: Verb, host: str) -> bool:
    return any(scene.precedes(number, at) for number in scene.on(Ref("host", host), verb))
