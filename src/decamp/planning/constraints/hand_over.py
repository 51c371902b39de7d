"""A server's disks are read when it is stopped, so that they are one point in time; it is locked when its copy has taken over.

The owner's hooks come when they say, all before the lock: until then they can call the move off.
"""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.hooks import When
from decamp.model.plan import Verb
from decamp.model.refs import Ref
from decamp.planning.constraints.needs import wanted
from decamp.planning.constraints.scene import Rule, Scene, Violation

MAKING = (Verb.CREATE, Verb.TAKE_MEMBER)
"""Verbs that make a copy, or complete one that a stack made."""

STOPPED = "SHUTOFF"
READING = "copy"
"""The manner of a volume whose bytes are carried."""


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if action.verb in MAKING:
        for server in _read_from(scene, at):
            stops = scene.on(server, Verb.STOP_SERVER)
            if not _is_stopped(scene, server) and not any(scene.precedes(number, at) for number in stops):
                yield scene.violation(at, Rule.HAND_OVER, f"It reads a disk of {server}, which may still run then.")
    if action.verb is Verb.LOCK_SERVER:
        copies = scene.on(action.target, *MAKING)
        if not any(scene.precedes(number, at) for number in copies):
            yield scene.violation(at, Rule.HAND_OVER, f"{action.target} may be locked before its copy is there.")
    if action.verb is Verb.RUN_HOOK:
        yield from _of_hook(scene, at)


def _of_hook(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    hook, copies = action.args.get("hook"), scene.on(action.target, *MAKING)
    later = list(scene.on(action.target, Verb.LOCK_SERVER))
    later += scene.on(action.target, Verb.STOP_SERVER) if hook == When.BEFORE_STOP else ()
    later += copies if hook == When.AFTER_COPY else ()
    for number in later:
        if not scene.precedes(at, number):
            yield scene.violation(at, Rule.HAND_OVER, f"Hook {hook} may run when {scene.actions[number].id} has been done already.")
    if hook in {When.AFTER_START, When.VERIFY} and not any(scene.precedes(number, at) for number in copies):
        yield scene.violation(at, Rule.HAND_OVER, f"Hook {hook} may run before the copy of {action.target} is there.")


def _read_from(scene: Scene, at: int) -> list[Ref]:
    """The old servers whose disks the action reads."""
    action = scene.actions[at]
    if action.target.kind == "server_snapshot":
        return [Ref("server", action.target.id)]
    resource = wanted(action.args.get("resource"))
    if resource is None or resource.kind != "volume" or action.args.get("manner") != READING:
        return []
    return [ref for ref, server in scene.resources.items() if ref.kind == "server" and action.target in server.needs]


def _is_stopped(scene: Scene, server: Ref) -> bool:
    resource = scene.resources.get(server)
    told = (resource.spec.get("status") or resource.info.get("status")) if resource else None
    if server.id in scene.servers:
        told = told or scene.servers[server.id].status
    return str(told).upper() == STOPPED
