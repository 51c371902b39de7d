"""Locks hold back what order need not: how many migrations a host takes at a time, and one action at a time on a server.

A host that takes one at a time has one lock, `host:NAME`; one that takes more has that many, `host:NAME/1`, `host:NAME/2` ..., and each
migration holds one of them on both of its hosts. Shelving is no migration, and Nova does not count it.
"""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.survey import Host
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration, source, takes_away


def slots(host: Host) -> tuple[str, ...]:
    """The host's locks: as many as migrations that it takes at a time."""
    if host.max_live_migrations <= 1:
        return (f"host:{host.name}",)
    return tuple(f"host:{host.name}/{number}" for number in range(1, host.max_live_migrations + 1))


def of_server(server: str) -> str:
    return f"server:{server}"


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if not takes_away(action):
        return
    held = set(action.locks)
    for name in sorted({source(action), destination(action)} if is_migration(action) else ()):
        if name in scene.hosts and not held & set(slots(scene.hosts[name])):
            limit = scene.hosts[name].max_live_migrations
            yield scene.violation(at, Rule.LOCKS, f"It holds no lock of {name}, which takes {limit} migrations at a time.")
    if of_server(action.target.id) not in held:
        yield scene.violation(at, Rule.LOCKS, "It does not hold the server's lock.")
