"""A server that cannot be migrated, or must not be by policy, is not; one that can is migrated by the verb that its state accepts."""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.plan import Verb
from decamp.model.survey import Server
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration, source

LIVE_STATES = frozenset({"ACTIVE", "PAUSED"})
COLD_STATES = frozenset({"SHUTOFF"})
"""Compute API reference, os-migrateLive and migrate. An ACTIVE server could be migrated cold as well, which would stop it: not done."""


def verb_for(server: Server) -> Verb | None:
    """How a server in this state is migrated; null: not at all."""
    if server.status in LIVE_STATES:
        return Verb.LIVE_MIGRATE
    return Verb.COLD_MIGRATE if server.status in COLD_STATES else None


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    server = scene.servers.get(action.target.id)
    if not is_migration(action) or server is None:
        return
    if (why := scene.policy.pins(server)) is not None:
        yield scene.violation(at, Rule.PINNED, f"The server cannot be migrated: {why}.")
    if verb_for(server) is not action.verb:
        yield scene.violation(at, Rule.PINNED, f"The server is {server.status}, and {action.verb} does not accept that.")
    if server.id in scene.policy.never_move_servers:
        yield scene.violation(at, Rule.POLICY, "Policy says never to move this server.")


def check_untouched_hosts(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    touched: set[str] = {action.target.id} if action.target.kind == "host" else set()
    if is_migration(action):
        touched = {source(action), destination(action)}
    for host in sorted(touched & set(scene.policy.never_touch_hosts)):
        yield scene.violation(at, Rule.POLICY, f"Policy says never to touch {host}.")
