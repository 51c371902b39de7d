"""Server groups, at every step and with both sides of a migration in flight; soft policies are preferences, not rules.

Affinity: all members on one host at all times. Nova migrates servers one by one, and its filter lets a member go only to a host that has
other members: so a member alone may be migrated where there are no others, or to where all the others are.
Anti-affinity: no host has more than `max_server_per_host` members, and of one group's members only one is in flight at a time: Nova
looks at a group when it chooses the host, and two that are chosen at once do not see each other.
(Compute API reference, server groups; nova/scheduler/filters/affinity_filter.py.)
"""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.survey import Group, Server
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration, source

AFFINITY = "affinity"
ANTI_AFFINITY = "anti-affinity"
SOFT_AFFINITY = "soft-affinity"
SOFT_ANTI_AFFINITY = "soft-anti-affinity"


def allows(group: Group, others_there: int, others_elsewhere: int) -> bool:
    """Whether one more member may be on a host that has `others_there`, while `others_elsewhere` are on other hosts."""
    if group.policy == AFFINITY:
        return others_elsewhere == 0
    if group.policy == ANTI_AFFINITY:
        return others_there < group.max_server_per_host
    return True


def dislike(group: Group | None, others_there: int) -> int:
    """How little a soft policy likes one more member on a host that has `others_there`; less is better."""
    if group is None:
        return 0
    return {SOFT_AFFINITY: -others_there, SOFT_ANTI_AFFINITY: others_there}.get(group.policy, 0)


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    server = scene.servers.get(action.target.id)
    if not is_migration(action) or server is None or server.group is None:
        return
    group = scene.groups.get(server.group)
    if group is None:
        text = f"The server is in group {server.group}, which the survey does not have: nobody knows its policy."
        yield scene.violation(at, Rule.GROUPS, text)
    elif group.policy in {AFFINITY, ANTI_AFFINITY}:
        yield from _check_member(scene, at, server, group)


def _check_member(scene: Scene, at: int, server: Server, group: Group) -> Iterator[Violation]:
    action = scene.actions[at]
    here = destination(action)
    siblings = set(scene.members[group.id]) - {server.id}
    there = {one for one in siblings if scene.may_be_on(here, one, at)}
    elsewhere = {one for one in siblings if group.policy == AFFINITY and scene.may_be_elsewhere(here, one, at)}
    if not allows(group, len(there), len(elsewhere)):
        if group.policy == AFFINITY:
            text = f"Group {group.id} keeps its members on one host, and {len(elsewhere)} others may be on other hosts than {here}."
        else:
            text = f"Group {group.id} allows {group.max_server_per_host} a host, and {len(there)} others may be on {here}."
        yield scene.violation(at, Rule.GROUPS, text)
    if group.policy == AFFINITY and source(action) in {scene.servers[one].host for one in siblings}:
        yield scene.violation(at, Rule.GROUPS, f"Group {group.id} keeps its members on one host, and others are on {source(action)}.")
    if group.policy == ANTI_AFFINITY:
        for number in sorted(number for one in siblings for number in scene.moves.get(one, ()) if number < at):
            if is_migration(scene.actions[number]) and not scene.ordered(number, at):
                text = f"It may be in flight together with {scene.actions[number].id}, of the same group {group.id}."
                yield scene.violation(at, Rule.GROUPS, text)
