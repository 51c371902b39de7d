"""A server that cannot be migrated, or must not be by policy, is not; one that can is migrated by the verb that its state accepts.

Only a stopped server may be shelved instead: its users have lost nothing that runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.plan import Verb
from decamp.model.survey import Server
from decamp.planning.constraints.scene import Rule, Scene, Violation, source, takes_away, whereto

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
    if not takes_away(action) or server is None:
        return
    if (why := scene.policy.pins(server)) is not None:
        yield scene.violation(at, Rule.PINNED, f"The server cannot be migrated: {why}.")
    if action.verb not in (verb_for(server), *((Verb.SHELVE,) if server.status in COLD_STATES else ())):
        yield scene.violation(at, Rule.PINNED, f"The server is {server.status}, and {action.verb} does not accept that.")
    if server.id in scene.never_move:
        yield scene.violation(at, Rule.POLICY, "Policy says never to move this server.")


def check_untouched_hosts(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    touched: set[str] = {action.target.id} if action.target.kind == "host" else set()
    if takes_away(action):
        touched = {source(action), whereto(action) or source(action)}
    for host in sorted(touched & scene.never_touch):
        yield scene.violation(at, Rule.POLICY, f"Policy says never to touch {host}.")
