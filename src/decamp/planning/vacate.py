"""Plan to free compute hosts: which of them, where their servers go, and what stands in the way.

`search` finds hosts and places near the optimum, where an optimiser is installed and there is time; what it leaves is tried host by host,
the least loaded first, each server where it fits best. `steps` brings the result into an order. Every refusal says what would help.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from decamp.model.errors import BadInput
from decamp.model.plan import Plan, Reason, Refusal, VacateGoal
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Survey
from decamp.planning import outlook
from decamp.planning.constraints import capacity, spare
from decamp.planning.estate import Estate
from decamp.planning.pace import UNHURRIED, Pace
from decamp.planning.packing import NOWHERE, Packing
from decamp.planning.places import no_place
from decamp.planning.search import Search
from decamp.planning.steps import Steps, steps

NOT_ON_A_HOST = frozenset({"SHELVED_OFFLOADED", "ERROR", "BUILD", "DELETED", "SOFT_DELETED"})
"""Statuses in which a server may be on no host: it was taken off, or never got one. If one gets a host after all, PROVE_EMPTY sees it."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A host that is not freed, and why."""

    host: str
    refusals: tuple[Refusal, ...]
    tried: bool
    """Whether it was found out in trying to empty it: another plan might free this host and keep others."""


def plan_vacate(old: Survey, policy: Policy, *, goal: VacateGoal, made_from: dict[str, str], pace: Pace = UNHURRIED, seed: int = 0) -> Plan:
    """A sealed plan for the hosts that can be freed, with a refusal for everything that keeps one that was asked for.

    With `max`, a host for whose servers there is no room elsewhere is no refusal: the servers have to be somewhere.
    Raises BadInput for a goal that asks for nothing, or for several things at once.
    """
    if (bool(goal.hosts) + (goal.count is not None) + goal.max) != 1:
        raise BadInput("A vacate is asked for by hosts, by their number, or as many as possible: by one of these.")
    if goal.count is not None and goal.count < 1:
        raise BadInput(f"{goal.count} hosts cannot be freed: ask for one or more.")
    if (refusal := unproved(old)) is not None:
        return Plan(goal=goal, made_from=made_from, refusals=(refusal,)).sealed()
    estate = Estate(old, policy, goal)
    search = Search(estate, may_be_freed(estate), seed=seed, pace=pace)
    packing = search.find()
    kept = _kept(estate) + _try_the_rest(packing, goal, pace)
    pace.report(0, 0, "the order of migrations")
    ordered = steps_of(old, packing)
    return Plan(
        goal=goal,
        made_from=made_from,
        actions=ordered.actions,
        refusals=(*_lost_servers(old), *_asked(kept, goal, packing)),
        forecast=outlook.forecast(packing, search.relaxation, ordered, pace=pace),
    ).sealed()


def unproved(old: Survey) -> Refusal | None:
    """Why no host of this survey could be proved empty."""
    if old.admin and old.project is None:
        return None
    text = "The survey does not show every server of every project, so no host can be proved empty: take it with an admin's credentials."
    return Refusal(ref=Ref("cloud", old.cloud), reason=Reason.INCOMPLETE, text=text)


def may_be_freed(estate: Estate) -> np.ndarray:
    """Hosts that the goal allows to free, of those that can be."""
    named = {estate.number[name] for name in estate.goal.hosts if name in estate.number}
    mask = estate.is_freeable.copy()
    if estate.goal.hosts:
        mask &= np.isin(np.arange(len(mask)), list(named))
    return mask


def steps_of(old: Survey, packing: Packing) -> Steps:
    """The order that brings servers to where they are packed."""
    estate = packing.estate
    targets = {
        estate.servers[server].id: None if at == NOWHERE else estate.hosts[at].name
        for server, (at, home) in enumerate(zip(packing.at, estate.home.tolist(), strict=True))
        if at != home
    }
    return steps(old, estate.policy, [estate.hosts[number].name for number in packing.freed], targets, shun=estate.goal.closed)


def _try_the_rest(packing: Packing, goal: VacateGoal, pace: Pace) -> list[Kept]:
    """Empties what can still be emptied; returns what stays of the hosts that could have been freed.

    Where the search found nothing, for want of time or of an optimiser, this is the whole plan, and is made to the end.
    """
    estate, kept = packing.estate, list[Kept]()
    is_found = bool(packing.freed)
    waiting = [number for number in np.flatnonzero(may_be_freed(estate)).tolist() if number not in packing.freed]
    while waiting and (goal.count is None or len(packing.freed) < goal.count):
        number = min(waiting, key=lambda one: (packing.load(one), estate.hosts[one].state != "up", one))
        waiting.remove(number)
        if is_found and pace.is_over() and goal.max:
            continue
        name = estate.hosts[number].name
        if homeless := packing.empty(number, all_reasons=not goal.max):
            kept.append(Kept(host=name, refusals=() if goal.max else _tried(packing, number, homeless), tried=True))
        elif number not in packing.freed:
            text = f"Policy keeps {spare.wanted(estate.policy)}, and without {name} there would not be enough."
            kept.append(Kept(host=name, refusals=(Refusal(ref=Ref("host", name), reason=Reason.SPARE, text=text),), tried=True))
    return kept


def _kept(estate: Estate) -> list[Kept]:
    """Hosts that cannot be freed, whatever room there is elsewhere."""
    kept: list[Kept] = []
    for name in estate.goal.hosts or [host.name for host in estate.hosts]:
        if name not in estate.number:
            text = f"There is no compute host {name}: {_known_hosts(estate)}."
            kept.append(Kept(host=name, refusals=(Refusal(ref=Ref("host", name), reason=Reason.HOST_UNKNOWN, text=text),), tried=False))
        elif not estate.is_freeable[estate.number[name]]:
            kept.append(Kept(host=name, refusals=_static(estate, estate.number[name]), tried=False))
    return kept


def _static(estate: Estate, number: int) -> tuple[Refusal, ...]:
    """All that keeps the host, whatever room there is elsewhere."""
    host, servers = estate.hosts[number], estate.on[number]
    ref = Ref("host", host.name)
    refusals: list[Refusal] = []
    if estate.is_untouched[number]:
        text = f"{host.name} must not be touched by policy (never_touch_hosts)."
        refusals.append(Refusal(ref=ref, reason=Reason.POLICY, text=text))
    if host.provider is None or not host.inventories:
        text = f"Placement has no inventory for {host.name}, so it cannot be proved empty."
        refusals.append(Refusal(ref=ref, reason=Reason.NO_INVENTORY, text=text))
    if host.other_allocations:
        held = capacity.told(host.other_allocations)
        text = (
            f"{host.name} stays: Placement holds {held} on it for others than its servers. "
            "Wait for migrations under way; remove what nobody owns (nova-manage placement audit)."
        )
        refusals.append(Refusal(ref=ref, reason=Reason.HOST_NOT_FREE, text=text))
    if host.state != "up" and servers:
        text = f"{host.name} is {host.state} with {_count(len(servers))} on it: start nova-compute there, so that they can be migrated."
        refusals.append(Refusal(ref=ref, reason=Reason.HOST_DOWN, text=text))
    if (last := estate.emptied_by.get(number)) is not None:
        text = f"{host.name} empties itself by {last.isoformat()}, when the last of {_count(len(servers))} leaves: free it then."
        refusals.append(Refusal(ref=ref, reason=Reason.LEAVING, text=text))
    if found := [server for server in servers if server in estate.stays]:
        refusals.append(_not_free(estate, number, found))
    refusals += [_of_server(estate, server, host.name, *estate.stays[server]) for server in found]
    return tuple(refusals)


def _tried(packing: Packing, number: int, homeless: list[int]) -> tuple[Refusal, ...]:
    """A server that the plan brings to the host is no refusal of its own: it is migrated."""
    estate, name = packing.estate, packing.estate.hosts[number].name
    found = [(server, *no_place(packing, server, but=number)) for server in homeless]
    not_free = _not_free(estate, number, homeless)
    brought = "".join(
        f" {_name(estate, server)}, which comes from {estate.servers[server].host}, {text}."
        for server, _, text in found
        if estate.home[server] != number
    )
    reasons = [_of_server(estate, server, name, reason, text) for server, reason, text in found if estate.home[server] == number]
    return msgspec.structs.replace(not_free, text=not_free.text + brought), *reasons


def _not_free(estate: Estate, number: int, servers: list[int]) -> Refusal:
    host = estate.hosts[number].name
    names = ", ".join(_name(estate, server) for server in servers[:5]) + (" ..." if len(servers) > 5 else "")
    text = f"{host} stays, as {_count(len(servers))} cannot leave it: {names}."
    return Refusal(ref=Ref("host", host), reason=Reason.HOST_NOT_FREE, text=text)


def _of_server(estate: Estate, server: int, host: str, reason: Reason, text: str) -> Refusal:
    return Refusal(ref=Ref("server", estate.servers[server].id), reason=reason, text=f"{_name(estate, server)} on {host} {text}.")


def _name(estate: Estate, server: int) -> str:
    return estate.servers[server].name or estate.servers[server].id


def _asked(kept: Iterable[Kept], goal: VacateGoal, packing: Packing) -> tuple[Refusal, ...]:
    """What of it stands in the way of what was asked for, by host."""
    told = sorted(kept, key=lambda one: one.host)
    if goal.max:
        return tuple(refusal for one in told if not one.tried for refusal in one.refusals if refusal.reason is not Reason.POLICY)
    if goal.count is not None:
        if len(packing.freed) >= goal.count:
            return ()
        if not told:
            text = f"{goal.count} to be freed, and the cloud has {len(packing.estate.hosts)} compute hosts in all."
            return (Refusal(ref=Ref("cloud", "old"), reason=Reason.NOT_FOUND, text=text),)
    return tuple(refusal for one in told for refusal in one.refusals)


def _lost_servers(old: Survey) -> tuple[Refusal, ...]:
    """Servers of which nobody knows where they are, though they should be somewhere."""
    known = {host.name for host in old.hosts}
    refusals: list[Refusal] = []
    for server in sorted(old.servers, key=lambda one: one.id):
        if server.host is None and server.status not in NOT_ON_A_HOST:
            text = f"{server.name or server.id} is {server.status}, and the survey does not say on which host."
            refusals.append(Refusal(ref=Ref("server", server.id), reason=Reason.INCOMPLETE, text=text))
        elif server.host is not None and server.host not in known:
            text = f"{server.name or server.id} is on {server.host}, which is no compute host of this cloud."
            refusals.append(Refusal(ref=Ref("server", server.id), reason=Reason.NO_HOST, text=text))
    return tuple(refusals)


def _known_hosts(estate: Estate) -> str:
    names = [host.name for host in estate.hosts]
    if not names:
        return "the cloud has none"
    return f"the cloud has {', '.join(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"


def _count(servers: int) -> str:
    return "1 server" if servers == 1 else f"{servers} servers"
