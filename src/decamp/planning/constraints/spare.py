"""Spare: when the largest N hosts fail, the others can hold everything; what policy keeps free, a plan does not eat.

Counted in sums over the hosts that take servers, class by class: a necessary condition, and the one that operators count by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from decamp.model.amounts import Amounts, add, total
from decamp.model.plan import Verb
from decamp.model.survey import Host
from decamp.planning.constraints.capacity import capacity, told
from decamp.planning.constraints.scene import Rule, Scene, Violation, takes_away, whereto


def lacking(hosts: Collection[Host], held: Mapping[str, Amounts], spare_hosts: int) -> dict[str, int]:
    """What is missing, by class, for `hosts` to hold everything on those of them that take servers after the largest `spare_hosts` fail."""
    if spare_hosts <= 0:
        return {}
    receiving = [host for host in hosts if host.receives]
    demand = total(held.get(host.name, {}) for host in receiving)
    room = [capacity(host) for host in receiving]
    lacks: dict[str, int] = {}
    for resource_class, amount in demand.items():
        rest = sum(sorted((one.get(resource_class, 0) for one in room), reverse=True)[spare_hosts:])
        if amount > rest:
            lacks[resource_class] = amount - rest
    return lacks


def eaten(before: Amounts, after: Amounts) -> dict[str, int]:
    """What lacks after and did not lack before: a cloud that has no spare to begin with is not the plan's doing."""
    return {resource_class: amount for resource_class, amount in after.items() if amount > before.get(resource_class, 0)}


def check_whole(scene: Scene) -> Iterator[Violation]:
    freed = {action.target.id for action in scene.actions if action.verb is Verb.DELETE_SERVICE and action.target.kind == "host"}
    final = {server.id: server.host for server in scene.servers.values()}
    for action in scene.actions:
        if takes_away(action):
            final[action.target.id] = whereto(action)
    hosts = scene.hosts.values()
    before = lacking(hosts, _held(scene, {server.id: server.host for server in scene.servers.values()}), scene.policy.spare_hosts)
    after = lacking([host for host in hosts if host.name not in freed], _held(scene, final), scene.policy.spare_hosts)
    if lacks := eaten(before, after):
        text = f"Policy keeps room for the failure of {scene.policy.spare_hosts} hosts, and {told(lacks)} of it would be eaten."
        yield scene.violation(None, Rule.SPARE, text)


def _held(scene: Scene, at: Mapping[str, str | None]) -> dict[str, dict[str, int]]:
    held: dict[str, dict[str, int]] = {}
    for server, host in at.items():
        if host is not None and server in scene.servers:
            held[host] = add(held.get(host, {}), scene.servers[server].allocations)
    return held
