"""Server groups, at every step and with both sides of a migration in flight; soft policies are preferences, not rules.

Affinity: all members on one host at all times. Nova migrates servers one by one, and its filter lets a member go only to a host that has
other members: so a member alone may be migrated where there are no others, or to where all the others are.
Anti-affinity: no host has more than `max_server_per_host` members, and of one group's members only one is in flight at a time: Nova
looks at a group when it chooses the host, and two that are chosen at once do not see each other.
(Compute API reference, server groups; nova/scheduler/filters/affinity_filter.py.)
"""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.survey import Group
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
        return
    here = destination(action)
    siblings = set(scene.members[group.id]) - {server.id}
    there = siblings & set(scene.may_hold(here, at))
    elsewhere = {one for one in siblings if _may_be_elsewhere(scene, one, here, at)}
    if not allows(group, len(there), len(elsewhere)):
        if group.policy == AFFINITY:
            text = f"Group {group.id} keeps its members on one host, and {len(elsewhere)} others may be on other hosts than {here}."
        else:
            text = f"Group {group.id} allows {group.max_server_per_host} a host, and {len(there)} others may be on {here}."
        yield scene.violation(at, Rule.GROUPS, text)
    if group.policy == AFFINITY and source(action) in {scene.servers[one].host for one in siblings}:
        yield scene.violation(at, Rule.GROUPS, f"Group {group.id} keeps its members on one host, and others are on {source(action)}.")
    if group.policy == ANTI_AFFINITY:
        for one in sorted(siblings):
            for number in scene.moves.get(one, ()):
                if number < at and not scene.ordered(number, at):
                    text = f"It may be in flight together with {scene.actions[number].id}, of the same group {group.id}."
                    yield scene.violation(at, Rule.GROUPS, text)


def _may_be_elsewhere(scene: Scene, server: str, here: str, at: int) -> bool:
    hosts = {scene.servers[server].host, *(destination(scene.actions[n]) for n in scene.moves.get(server, ()))}
    return any(server in scene.may_hold(host, at) for host in hosts if host is not None and host != here)
