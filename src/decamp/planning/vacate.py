"""Plan to free compute hosts: empty the least loaded first, put each server where it fits best, keep the host if one of them has no place.

Every host that is freed is cordoned first, and none of them takes a server. A server is migrated once, from where it is to where it
stays, also when the planner has thought of other places on the way. So migrations wait for their cordon, for their group's others, and for
nothing else; how many run at a time the locks say.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from decamp.model.errors import BadInput
from decamp.model.plan import Action, Plan, Reason, Refusal, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.survey import Host, Server, Survey
from decamp.planning import outlook
from decamp.planning.constraints import capacity, groups, locks, pinned
from decamp.planning.ordering import reduced
from decamp.planning.packing import NoPlace, Packing

HELP: dict[Reason, str] = {
    Reason.PCI_DEVICE: "has a passed-through device, which stays in its host: have its owner detach it, or move it to the new cloud",
    Reason.ACCELERATOR: "has an accelerator, which stays in its host: have its owner move the server to the new cloud",
    Reason.CPU_PINNING: "has dedicated CPUs, which may not be found elsewhere: have its owner move it to the new cloud",
    Reason.NUMA: "has a NUMA topology or huge pages, which may not be found elsewhere: have its owner move it to the new cloud",
    Reason.ENCRYPTED_MEMORY: "has encrypted memory, which cannot be migrated: have its owner move it to the new cloud",
    Reason.LOCKED: "is locked: have whoever locked it unlock it (openstack server unlock)",
    Reason.TASK_IN_PROGRESS: "is busy, Nova is doing something with it: wait until that is done, then make the plan anew",
    Reason.STATE: "is in a state that neither live nor cold migration accepts: have its owner start, stop or delete it",
    Reason.RESIZE_UNCONFIRMED: "has a resize that waits to be confirmed: confirm or revert it (openstack server resize confirm)",
    Reason.POLICY: "must not be moved by policy (never_move_servers): take it off that list",
}
"""What keeps a server on its host, and what would help."""

NOT_ON_A_HOST = frozenset({"SHELVED_OFFLOADED", "ERROR", "BUILD", "DELETED", "SOFT_DELETED"})
"""Statuses in which a server may be on no host: it was taken off, or never got one. If one gets a host after all, PROVE_EMPTY sees it."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A host that is not freed, and why."""

    host: str
    refusals: tuple[Refusal, ...]
    tried: bool
    """Whether it was found out in trying to empty it: another plan might free this host and keep others."""


def plan_vacate(old: Survey, policy: Policy, *, goal: VacateGoal, made_from: dict[str, str]) -> Plan:
    """A sealed plan for the hosts that can be freed, with a refusal for everything that keeps one that was asked for.

    With `max`, a host for whose servers there is no room elsewhere is no refusal: the servers have to be somewhere.
    Raises BadInput for a goal that asks for nothing, or for several things at once.
    """
    if (bool(goal.hosts) + (goal.count is not None) + goal.max) != 1:
        raise BadInput("A vacate is asked for by hosts, by their number, or as many as possible: by one of these.")
    if goal.count is not None and goal.count < 1:
        raise BadInput(f"{goal.count} hosts cannot be freed: ask for one or more.")
    if not old.admin or old.project is not None:
        text = (
            "The survey does not show every server of every project, so no host can be proved empty: take it with an admin's credentials."
        )
        refusal = Refusal(ref=Ref("cloud", old.cloud), reason=Reason.INCOMPLETE, text=text)
        return Plan(goal=goal, made_from=made_from, refusals=(refusal,)).sealed()
    packing = Packing(old, policy)
    kept = _empty_hosts(packing, goal)
    actions = _actions(packing)
    immovable = frozenset(host.name for host in old.hosts if packing.on[host.name] and _static(packing, host))
    return Plan(
        goal=goal,
        made_from=made_from,
        actions=actions,
        refusals=(*_lost_servers(old), *_asked(kept, goal, packing)),
        forecast=outlook.forecast(packing, actions, policy=policy, immovable=immovable, named=bool(goal.hosts)),
    ).sealed()


def obstacle(packing: Packing, server: Server) -> tuple[Reason, str] | None:
    """Why the server stays where it is, whatever room there is elsewhere; null: nothing is known against moving it."""
    if (why := packing.policy.pins(server)) is not None:
        reason = Reason(why)
        return reason, HELP[reason]
    if server.id in packing.policy.never_move_servers:
        return Reason.POLICY, HELP[Reason.POLICY]
    if pinned.verb_for(server) is None:
        return Reason.STATE, f"is {server.status}, which neither live nor cold migration accepts: have its owner start, stop or delete it"
    if not server.allocations:
        return Reason.INCOMPLETE, "has no allocations in Placement, so nobody knows what room it needs: heal them (nova-manage placement)"
    if server.group is None:
        return None
    group = packing.groups.get(server.group)
    if group is None:
        return Reason.INCOMPLETE, f"is in group {server.group}, which the survey does not have, so nobody knows its policy"
    others = len(packing.members[group.id] - {server.id})
    if group.policy == groups.AFFINITY and others:
        others_told = "another" if others == 1 else f"{others} others"
        text = f"is in affinity group {group.id} with {others_told}, and Nova migrates none of them alone: have their owner move them all"
        return Reason.GROUP_POLICY, text
    return None


def _empty_hosts(packing: Packing, goal: VacateGoal) -> list[Kept]:
    """Empties hosts in the packing as the goal says; returns those that stay."""
    kept: list[Kept] = []
    waiting = dict.fromkeys(goal.hosts or sorted(packing.hosts))
    for name in goal.hosts:
        packing.closed.add(name)
    for name in tuple(waiting):
        if name not in packing.hosts:
            text = f"There is no compute host {name}: {_known_hosts(packing)}."
            kept.append(_kept(name, Refusal(ref=Ref("host", name), reason=Reason.HOST_UNKNOWN, text=text)))
        elif refusals := _static(packing, packing.hosts[name]):
            kept.append(_kept(name, *refusals))
        else:
            continue
        del waiting[name]
    while waiting and (goal.count is None or len(packing.freed) < goal.count):
        name = min(waiting, key=lambda name: (packing.load(name), packing.hosts[name].state != "up", name))
        del waiting[name]
        if homeless := packing.empty(name):
            kept.append(Kept(host=name, refusals=_tried(packing, name, homeless), tried=True))
        elif name not in packing.freed:
            text = f"Policy keeps room for the failure of {packing.policy.spare_hosts} hosts, and without {name} there would not be enough."
            kept.append(Kept(host=name, refusals=(Refusal(ref=Ref("host", name), reason=Reason.SPARE, text=text),), tried=True))
    return kept


def _kept(host: str, *refusals: Refusal) -> Kept:
    return Kept(host=host, refusals=refusals, tried=False)


def _static(packing: Packing, host: Host) -> tuple[Refusal, ...]:
    """All that keeps the host, whatever room there is elsewhere."""
    ref, servers = Ref("host", host.name), sorted(packing.on[host.name])
    refusals: list[Refusal] = []
    if host.name in packing.policy.never_touch_hosts:
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
    found = [(packing.servers[one], why) for one in servers if (why := obstacle(packing, packing.servers[one]))]
    if found:
        refusals.append(_not_free(host.name, [server for server, _ in found]))
    refusals += [_of_server(server, host.name, reason, text) for server, (reason, text) in found]
    return tuple(refusals)


def _tried(packing: Packing, host: str, homeless: tuple[NoPlace, ...]) -> tuple[Refusal, ...]:
    """A server that the plan brings to the host is no refusal of its own: it is migrated."""
    found = [(packing.servers[one.server], one) for one in homeless]
    not_free = _not_free(host, [server for server, _ in found])
    brought = "".join(
        f" {server.name or server.id}, which comes from {server.host}, {one.text}." for server, one in found if server.host != host
    )
    reasons = [_of_server(server, host, one.reason, one.text) for server, one in found if server.host == host]
    return msgspec.structs.replace(not_free, text=not_free.text + brought), *reasons


def _not_free(host: str, servers: list[Server]) -> Refusal:
    names = ", ".join(server.name or server.id for server in servers[:5]) + (" ..." if len(servers) > 5 else "")
    text = f"{host} stays, as {_count(len(servers))} cannot leave it: {names}."
    return Refusal(ref=Ref("host", host), reason=Reason.HOST_NOT_FREE, text=text)


def _of_server(server: Server, host: str, reason: Reason, text: str) -> Refusal:
    return Refusal(ref=Ref("server", server.id), reason=reason, text=f"{server.name or server.id} on {host} {text}.")


def _asked(kept: list[Kept], goal: VacateGoal, packing: Packing) -> tuple[Refusal, ...]:
    """What of it stands in the way of what was asked for, by host."""
    told = sorted(kept, key=lambda one: one.host)
    if goal.max:
        return tuple(refusal for one in told if not one.tried for refusal in one.refusals if refusal.reason is not Reason.POLICY)
    if goal.count is not None:
        if len(packing.freed) >= goal.count:
            return ()
        if not kept:
            text = f"{goal.count} to be freed, and the cloud has {len(packing.hosts)} compute hosts in all."
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


def _actions(packing: Packing) -> tuple[Action, ...]:
    cordons = {name: _host_action(Verb.DISABLE_SERVICE, packing.hosts[name]) for name in packing.freed}
    actions: list[Action] = list(cordons.values())
    turns: dict[str, int] = {}
    last_of_group: dict[str, str] = {}
    for name in packing.freed:
        leaving = [server for server in packing.servers.values() if server.host == name]
        migrations: list[Action] = []
        for server in sorted(leaving, key=lambda one: (-packing.size(one), one.id)):
            migration = _migration(packing, server, cordons[name], turns, last_of_group)
            migrations.append(migration)
        proof = _host_action(Verb.PROVE_EMPTY, packing.hosts[name], cordons[name], *migrations)
        stop = _host_action(Verb.STOP_COMPUTE, packing.hosts[name], proof)
        actions += [*migrations, proof, stop, _host_action(Verb.DELETE_SERVICE, packing.hosts[name], stop)]
    direct = reduced([action.id for action in actions], {action.id: action.after for action in actions})
    return tuple(msgspec.structs.replace(action, after=direct[action.id]) for action in actions)


def _migration(packing: Packing, server: Server, cordon: Action, turns: dict[str, int], last_of_group: dict[str, str]) -> Action:
    verb, source, target = pinned.verb_for(server), cordon.target.id, packing.at[server.id]
    assert verb is not None  # noqa: S101 a host with a server that has none is not emptied
    after = [cordon.id]
    group = packing.groups.get(server.group or "")
    name = f"{verb}/server/{server.id}"
    if group is not None and group.policy == groups.ANTI_AFFINITY:
        if group.id in last_of_group:
            after.append(last_of_group[group.id])
        last_of_group[group.id] = name
    args = {"from": source, "to": target}
    return Action(
        id=name,
        verb=verb,
        target=Ref("server", server.id),
        args={**args, "block_migration": "auto"} if verb is Verb.LIVE_MIGRATE else args,
        after=tuple(after),
        locks=(*(_turn(packing.hosts[host], turns) for host in (source, target)), locks.of_server(server.id)),
        expects=server.placement_fingerprint(),
        changes={"host": (source, target)},
        why=f"{server.name or server.id} leaves {source}, so that it becomes free; it fits {target} best.",
    )


def _turn(host: Host, turns: dict[str, int]) -> str:
    """The host's locks, one after the other."""
    slots = locks.slots(host)
    turns[host.name] = turns.get(host.name, 0) + 1
    return slots[(turns[host.name] - 1) % len(slots)]


def _host_action(verb: Verb, host: Host, *after: Action) -> Action:
    changes: Mapping[Verb, dict[str, tuple[str | None, str | None]]] = {
        Verb.DISABLE_SERVICE: {"status": (host.status, "disabled")} if host.status != "disabled" else {},
        Verb.STOP_COMPUTE: {"state": (host.state, "down")} if host.state != "down" else {},
        Verb.DELETE_SERVICE: {"service": (host.name, None)},
    }
    whys = {
        Verb.DISABLE_SERVICE: f"No new server may come to {host.name} while it is emptied.",
        Verb.PROVE_EMPTY: "A host is free when Nova, its migrations and Placement all say so.",
        Verb.STOP_COMPUTE: "A service that is deleted while it runs registers itself again.",
        Verb.DELETE_SERVICE: f"{host.name} is free, and its machine can be used elsewhere.",
    }
    return Action(
        id=f"{verb}/host/{host.name}",
        verb=verb,
        target=Ref("host", host.name),
        args={"reason": "vacated by decamp"} if verb is Verb.DISABLE_SERVICE else {},
        after=tuple(one.id for one in after),
        changes=changes.get(verb, {}),
        why=whys[verb],
    )


def _known_hosts(packing: Packing) -> str:
    names = sorted(packing.hosts)
    if not names:
        return "the cloud has none"
    return f"the cloud has {', '.join(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"


def _count(servers: int) -> str:
    return "1 server" if servers == 1 else f"{servers} servers"
