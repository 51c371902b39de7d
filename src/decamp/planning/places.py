"""Why a server has no place, in words that help: the nearest miss of all hosts that take servers."""

# pyright: standard
from __future__ import annotations

import numpy as np

from decamp.model.amounts import shortage
from decamp.model.plan import Reason
from decamp.planning.constraints import capacity, traits, zone
from decamp.planning.estate import Ints
from decamp.planning.packing import Packing


def no_place(packing: Packing, server: int, *, but: int) -> tuple[Reason, str]:
    """The reason, and a text that goes on from the server's name. `but` is the host that it is to leave."""
    estate = packing.estate
    one, number = estate.servers[server], int(estate.class_of[server])
    hosts = np.flatnonzero(packing.takes)
    hosts = hosts[hosts != but]
    if not len(hosts):
        return Reason.NO_HOST, "has nowhere to go: no other host is up, enabled and to be kept"
    fitting = hosts[estate.suits_kind[number][estate.kind_of[hosts]]]
    if not len(fitting):
        return Reason.NO_HOST, _unsuited(packing, server, hosts)
    tried = fitting[~np.isin(fitting, list(estate.avoid.get(server, ())))]
    if not len(tried):
        return Reason.MIGRATION_FAILED, "has nowhere else to go than to hosts to which its migration failed"
    allowed = packing.allowed(server, tried)
    if not len(allowed):
        group = estate.group_of[server]
        names = ", ".join(estate.hosts[host].name for host in fitting[:10].tolist()) + (" ..." if len(fitting) > 10 else "")
        limit = group.max_server_per_host
        return (
            Reason.GROUP_POLICY,
            f"is in {group.policy} group {group.id}, which allows {limit} a host, and every other host has that ({names})",
        )
    closest = int(allowed[np.lexsort((allowed, *_lacks(packing, number, allowed)))[0]])
    free = dict(zip(estate.resources, packing.free[closest].tolist(), strict=True))
    lack, name = shortage(one.allocations, free), estate.hosts[closest].name
    miss = f"lacks {capacity.told(lack)} beside what it is to hold" if lack else "has room for it, but not beside others that leave with it"
    return Reason.NO_CAPACITY, f"needs {capacity.told(one.allocations)}; the closest, {name}, {miss}"


def _lacks(packing: Packing, number: int, hosts: Ints) -> tuple[Ints, Ints]:
    """By host: of how many resources and how much in sum."""
    demand = packing.estate.demand[number]
    lacks = np.maximum(demand - np.maximum(packing.free[hosts], 0), 0)
    return lacks.sum(axis=1), (lacks > 0).sum(axis=1)


def _unsuited(packing: Packing, server: int, numbers: Ints) -> str:
    one, hosts = packing.estate.servers[server], [packing.estate.hosts[number] for number in numbers.tolist()]
    in_zone = [host for host in hosts if zone.allows(one, host)]
    if not in_zone:
        return f"asks for availability zone {one.zone}, and no other host there takes servers"
    closest = min((traits.missing(one, host) for host in in_zone), key=lambda names: (len(names), names))
    return f"requires traits that no other host of its zone has: {', '.join(closest)}"
