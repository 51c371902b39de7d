"""Spare: when the largest N hosts fail, the others can hold everything, and a share of all stays free; what policy keeps so, no plan eats.

Counted in sums over the hosts that take servers, class by class: a necessary condition, and the one that operators count by.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from decamp.model.amounts import Amounts, add, total
from decamp.model.plan import Verb
from decamp.model.policy import Policy
from decamp.model.survey import Host
from decamp.planning.constraints.capacity import capacity, told
from decamp.planning.constraints.scene import Rule, Scene, Violation, takes_away, whereto


def lacking(hosts: Collection[Host], held: Mapping[str, Amounts], policy: Policy) -> dict[str, int]:
    """What is missing, by class, for policy to be kept by those of `hosts` that take servers, holding what they hold.

    They could hold everything after the largest `spare_hosts` of them fail, and `spare_fraction` of what they can hold is free.
    """
    if not policy.spare_hosts and not policy.spare_fraction:
        return {}
    receiving = [host for host in hosts if host.receives]
    demand = total(held.get(host.name, {}) for host in receiving)
    room = [capacity(host) for host in receiving]
    lacks: dict[str, int] = {}
    for resource_class, amount in demand.items():
        rooms = sorted((one.get(resource_class, 0) for one in room), reverse=True)
        rest = min(sum(rooms[policy.spare_hosts :]), math.floor(sum(rooms) * (1 - policy.spare_fraction)))
        if amount > rest:
            lacks[resource_class] = amount - rest
    return lacks


def eaten(before: Amounts, after: Amounts) -> dict[str, int]:
    """What lacks after and did not lack before: a cloud that has no spare to begin with is not the plan's doing."""
    return {resource_class: amount for resource_class, amount in after.items() if amount > before.get(resource_class, 0)}


def wanted(policy: Policy) -> str:
    """What policy keeps, in words."""
    parts = [f"room for the failure of {policy.spare_hosts} hosts"] if policy.spare_hosts else []
    parts += [f"{policy.spare_fraction:.0%} of all room free"] if policy.spare_fraction else []
    return " and ".join(parts)


def check_whole(scene: Scene) -> Iterator[Violation]:
    freed = {action.target.id for action in scene.actions if action.verb is Verb.DELETE_SERVICE and action.target.kind == "host"}
    final = {server.id: server.host for server in scene.servers.values()}
    for action in scene.actions:
        if takes_away(action):
            final[action.target.id] = whereto(action)
    hosts = scene.hosts.values()
    before = lacking(hosts, _held(scene, {server.id: server.host for server in scene.servers.values()}), scene.policy)
    after = lacking([host for host in hosts if host.name not in freed], _held(scene, final), scene.policy)
    if lacks := eaten(before, after):
        text = f"Policy keeps {wanted(scene.policy)}, and {told(lacks)} of it would be eaten."
        yield scene.violation(None, Rule.SPARE, text)


def _held(scene: Scene, at: Mapping[str, str | None]) -> dict[str, dict[str, int]]:
    held: dict[str, dict[str, int]] = {}
    for server, host in at.items():
        if host is not None and server in scene.servers:
            held[host] = add(held.get(host, {}), scene.servers[server].allocations)
    return held
