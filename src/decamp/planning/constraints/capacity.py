"""A host has room for all that holds it: Placement's rule, with both sides of a migration in flight."""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.amounts import Amounts, shortage, subtract, usable
from decamp.model.survey import Host
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration


def capacity(host: Host) -> dict[str, int]:
    """What servers can hold of the host: usable in Placement's sense, less what others than servers of the survey hold."""
    return subtract(usable(host.inventories), host.other_allocations)


def missing(host: Host, held: Amounts, demand: Amounts) -> dict[str, int]:
    """What the host lacks for the demand beside what is held already; empty where it fits."""
    return shortage(demand, subtract(capacity(host), held))


def told(amounts: Amounts) -> str:
    return ", ".join(f"{amount} {resource_class}" for resource_class, amount in sorted(amounts.items()))


def check(scene: Scene, at: int) -> Iterator[Violation]:
    action = scene.actions[at]
    if not is_migration(action) or action.target.id not in scene.servers:
        return
    host = scene.hosts.get(destination(action))
    if host is None:
        return
    demand = scene.servers[action.target.id].allocations
    held = {name: amount for name, amount in subtract(scene.held(host.name, at), demand).items() if amount}
    if lacks := missing(host, held, demand):
        room = told(capacity(host)) or "nothing"
        text = f"{host.name} may lack {told(lacks)}: it can hold {room}, and others may hold {told(held) or 'nothing'} of it."
        yield scene.violation(at, Rule.CAPACITY, text)
