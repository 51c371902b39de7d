"""What a resource needs is in the new cloud before the resource is made, and nothing is made twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from decamp.model.plan import Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning.constraints.scene import Rule, Scene, Violation

MAKING = (Verb.CREATE, Verb.ADOPT, Verb.TAKE_MEMBER)


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if action.verb not in MAKING:
        return
    resource = wanted(action.args.get("resource"))
    if resource is None or resource.ref != action.target:
        yield scene.violation(at, Rule.VERBS, "Its argument `resource` is no resource, or another one than its target.")
        return
    if (made := scene.on(action.target, *MAKING))[0] != at:
        yield scene.violation(at, Rule.TWICE, f"{scene.actions[made[0]].id} brings the same {action.target.kind} to the new cloud.")
    if action.verb is Verb.ADOPT:
        return
    for need in resource.needs:
        makers = scene.on(need, *MAKING)
        if not makers:
            yield scene.violation(at, Rule.NEEDS, f"It needs {need}, which no action brings to the new cloud.")
        elif not any(scene.precedes(maker, at) for maker in makers):
            yield scene.violation(at, Rule.NEEDS, f"It needs {need}, and may run before {scene.actions[makers[0]].id}.")


def check_members(scene: Scene) -> Iterator[Violation]:
    """What a stack makes anew by itself is not made beside it."""
    for action in scene.actions:
        if action.verb is Verb.CREATE and action.target.kind == "stack" and (stack := wanted(action.args.get("resource"))):
            for one in stack.spec.get("members", ()):
                for at in scene.on(Ref(str(one.get("kind")), str(one.get("id"))), Verb.CREATE):
                    yield scene.violation(at, Rule.TWICE, f"{action.id} makes the same {scene.actions[at].target.kind} in the new cloud.")


def wanted(value: Any) -> Resource | None:
    """The resource in an action's arguments."""
    try:
        return msgspec.convert(value, Resource)
    except msgspec.ValidationError:
        return None
