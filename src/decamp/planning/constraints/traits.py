"""A server goes only to hosts with every trait that it requires; CPU model classes are traits too."""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.survey import Host, Server
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration


def missing(server: Server, host: Host) -> tuple[str, ...]:
    """What the server requires and the host has not."""
    return tuple(sorted(set(server.traits) - set(host.traits)))


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if not is_migration(action):
        return
    server, host = scene.servers.get(action.target.id), scene.hosts.get(destination(action))
    if server and host and (lacks := missing(server, host)):
        yield scene.violation(at, Rule.TRAITS, f"{host.name} has not the traits that the server requires: {', '.join(lacks)}.")
