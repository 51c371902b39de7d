"""A server stays in the availability zone that its user asked for; who asked for none may be anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.survey import Host, Server
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration


def allows(server: Server, host: Host) -> bool:
    return server.zone is None or server.zone == host.zone


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if not is_migration(action):
        return
    server, host = scene.servers.get(action.target.id), scene.hosts.get(destination(action))
    if server and host and not allows(server, host):
        yield scene.violation(at, Rule.ZONE, f"The server asks for zone {server.zone}, and {host.name} is in {host.zone}.")
