"""Only hosts that are up and enabled, and stay so, take servers: a host that the plan cordons takes none from its beginning on."""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.plan import Verb
from decamp.model.refs import Ref
from decamp.model.survey import Host
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration

CLOSING = (Verb.DISABLE_SERVICE, Verb.PROVE_EMPTY, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE)


def allows(host: Host) -> bool:
    """Whether the host takes servers as things stand: Nova's scheduler passes by what is down or disabled."""
    return host.receives


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if not is_migration(action):
        return
    host = scene.hosts.get(destination(action))
    if host is None:
        return
    ref = Ref("host", host.name)
    enabled = any(scene.precedes(number, at) for number in scene.on(ref, Verb.ENABLE_SERVICE))
    if host.state != "up":
        yield scene.violation(at, Rule.RECEIVES, f"{host.name} is {host.state}: it takes no server.")
    elif not allows(host) and not enabled:
        yield scene.violation(at, Rule.RECEIVES, f"{host.name} is {host.status}: it takes no server.")
    for number in scene.on(ref, *CLOSING):
        if not scene.precedes(at, number):
            text = f"{scene.actions[number].id} may come before it, and then {host.name} takes no server."
            yield scene.violation(at, Rule.RECEIVES, text)
            return
