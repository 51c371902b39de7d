"""What a vacate's goal rules out: servers that stay, hosts that a server is not sent to again, stopped servers that are not migrated."""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.plan import VacateGoal, Verb
from decamp.planning.constraints.scene import Rule, Scene, Violation, is_migration, takes_away, whereto


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action, goal = scene.actions[at], scene.plan.goal
    if not isinstance(goal, VacateGoal) or not takes_away(action):
        return
    server = action.target.id
    if server in goal.stay:
        yield scene.violation(at, Rule.GOAL, f"The goal says that the server stays: {goal.stay[server]}")
    if is_migration(action) and whereto(action) in goal.avoid.get(server, ()):
        yield scene.violation(at, Rule.GOAL, f"The goal says not to send the server to {whereto(action)} again.")
    if is_migration(action) and (why := goal.shun.get(whereto(action) or "")) is not None:
        yield scene.violation(at, Rule.GOAL, f"The goal says to send nothing to {whereto(action)}: {why}")
    if is_migration(action) and whereto(action) in goal.hosts and not goal.among:
        yield scene.violation(at, Rule.GOAL, f"The goal says to free {whereto(action)}, not to fill it.")
    if goal.keep_stopped and action.verb is Verb.COLD_MIGRATE:
        yield scene.violation(at, Rule.GOAL, "The goal says that stopped servers are not migrated.")
    if action.verb is Verb.SHELVE and not goal.keep_stopped:
        yield scene.violation(at, Rule.GOAL, "The goal does not say that stopped servers may be shelved: they are migrated.")
    if action.verb is Verb.SHELVE and scene.policy.stopped_servers != "shelve":
        yield scene.violation(at, Rule.POLICY, "Policy does not say to shelve stopped servers.")
