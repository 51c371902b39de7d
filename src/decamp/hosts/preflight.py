"""What would make a vacate fail half-way, found out before it begins, and told all at once: nothing is changed by looking."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.hosts import api, baremetal, migrations, pinning
from decamp.hosts.cold_migration import AIMED
from decamp.hosts.migrations import ABORTABLE
from decamp.hosts.reading import list_servers, nodes_by_host
from decamp.hosts.shelving import UNSHELVED_TO_HOST
from decamp.model.errors import BadInput, Changed, Failed, Refused
from decamp.model.findings import Check, Finding
from decamp.model.plan import LEAVES_ITS_HOST, MIGRATIONS, Action, Plan, Verb
from decamp.model.policy import OnCancel, OnStall, Policy
from decamp.model.refs import Ref
from decamp.settings import StopCompute

Json = dict[str, Any]
Pair = tuple[str, str]

TOUCHING = LEAVES_ITS_HOST | {Verb.UNSHELVE, Verb.DISABLE_SERVICE, Verb.ENABLE_SERVICE, Verb.STOP_COMPUTE, Verb.DELETE_SERVICE}
"""Verbs that change hosts of the old cloud, or what is on them."""

NOBODY = "00000000-0000-0000-0000-000000000000"
"""No service and no server has this id: what is asked about it changes nothing."""
NOWHERE = "decamp-preflight.invalid"
"""No host has this name (RFC 2606). Nova looks for the host before it touches the server."""

SHARES = "MISC_SHARES_VIA_AGGREGATE"
"""Trait of a resource provider whose disk is that of several hosts (os-traits)."""

TOLD = 5
"""So many hosts, features or servers are told by name."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The plan, and the old cloud as it is now."""

    old: Cloud
    plan: Plan
    policy: Policy
    services: Mapping[str, Json]
    """By host."""
    nodes: Mapping[str, list[Json]]
    """Hypervisors by host."""
    servers: Mapping[str, Json]
    """Those of the plan that are still there, by id."""

    def actions(self, *verbs: Verb) -> list[Action]:
        return [action for action in self.plan.actions if action.verb in verbs]

    def pairs(self, *verbs: Verb) -> dict[Pair, int]:
        """(source, target) -> how many servers go that way."""
        pairs: dict[Pair, int] = defaultdict(int)
        for action in self.actions(*verbs):
            pairs[action.args["from"], action.args["to"]] += 1
        return dict(sorted(pairs.items()))

    def node(self, host: str) -> Json:
        """The one hypervisor of the host; empty where there is none, or several."""
        nodes = self.nodes.get(host, [])
        return nodes[0] if len(nodes) == 1 else {}

    @property
    def cloud(self) -> Ref:
        return Ref("cloud", self.old.name)


def preflight(
    old: Cloud, plan: Plan, policy: Policy, *, stop: StopCompute | None = None, undercloud: Cloud | None = None
) -> tuple[Finding, ...]:
    """Everything found, what blocks first. Empty for plans that touch no host of the old cloud.

    `undercloud` is asked for machines to power off where `stop` has no command; null: there is none. Raises Unreachable.
    """
    if not any(action.verb in TOUCHING for action in plan.actions):
        return ()
    found = [*_stop(old, plan, stop, undercloud)]
    try:
        scene = _look(old, plan, policy)
    except (BadInput, Refused) as error:
        found.append(_of(Check.RIGHTS, Ref("cloud", old.name), f"These credentials do not show its hosts: {error.message}."))
    else:
        found += [finding for check in CHECKS for finding in check(scene)]
    return tuple(sorted(found, key=lambda one: (not one.blocking, one.check, one.ref, one.text)))


def _look(old: Cloud, plan: Plan, policy: Policy) -> Scene:
    named = {action.target.id for action in plan.actions if action.target.kind == "server"}
    services = api.get(old, "compute", "/os-services", binary="nova-compute")["services"]
    return Scene(
        old=old,
        plan=plan,
        policy=policy,
        services={service["host"]: service for service in services},
        nodes=nodes_by_host(old),
        servers={server["id"]: server for server in list_servers(old) if server["id"] in named},
    )


def _of(check: Check, ref: Ref, text: str, *, blocking: bool = True) -> Finding:
    return Finding(check=check, ref=ref, blocking=blocking, text=text)


def _microversions(scene: Scene) -> Iterator[Finding]:
    """What the SDK settled on with this cloud is the newest that both know."""

    def lacking(version: str, text: str, *, blocking: bool) -> Iterator[Finding]:
        if not scene.old.at_least("compute", version):
            yield _of(Check.MICROVERSIONS, scene.cloud, f"Its compute API ends before {version}: {text}", blocking=blocking)

    if scene.actions(Verb.COLD_MIGRATE):
        yield from lacking(AIMED, "a cold migration cannot be told its target.", blocking=True)
    if scene.actions(Verb.UNSHELVE):
        yield from lacking(UNSHELVED_TO_HOST, "Nova chooses where shelved servers return to.", blocking=False)
    aborts = scene.policy.on_stall is not OnStall.WAIT or scene.policy.on_cancel is OnCancel.ABORT
    if aborts and scene.actions(Verb.LIVE_MIGRATE):
        text = "live migrations cannot be aborted before they run, as policy may ask for."
        yield from lacking(ABORTABLE["queued"], text, blocking=False)


def _rights(scene: Scene) -> Iterator[Finding]:
    """Each is asked for in a way that Nova answers with "not there" or "not possible" where it is given, and 403 where it is not."""
    asked: list[tuple[str, str, str, Json | None]] = []
    if scene.actions(Verb.DISABLE_SERVICE, Verb.ENABLE_SERVICE):
        asked.append(("disable and enable compute services", "PUT", f"/os-services/{NOBODY}", {"status": "disabled"}))
    if scene.actions(Verb.DELETE_SERVICE):
        asked.append(("delete compute services", "DELETE", f"/os-services/{NOBODY}", None))
        asked.append(("take hosts out of aggregates", "POST", "/os-aggregates/0/action", {"remove_host": {"host": NOWHERE}}))
    if scene.actions(*MIGRATIONS):
        asked.append(("see migrations", "GET", "/os-migrations?limit=1", None))
    if scene.actions(Verb.LIVE_MIGRATE):
        asked.append(("abort live migrations", "DELETE", f"/servers/{NOBODY}/migrations/0", None))
        asked.append(
            ("make live migrations complete", "POST", f"/servers/{NOBODY}/migrations/0/action", {"force_complete": None}),
        )
        # before 2.56 Nova did not look for the host first
        if scene.old.at_least("compute", AIMED) and (server := _one_that_is(scene, Verb.LIVE_MIGRATE, pinning.LIVE)):
            body = {"os-migrateLive": {"host": NOWHERE, "block_migration": "auto"}}
            asked.append(("live-migrate servers", "POST", f"/servers/{server}/action", body))
    if server := _one_that_is(scene, Verb.COLD_MIGRATE, pinning.COLD):
        asked.append(("migrate servers", "POST", f"/servers/{server}/action", {"migrate": {"host": NOWHERE}}))
    for (what, *_), error in zip(asked, api.together(lambda one: _tried(scene.old, *one[1:]), asked), strict=True):
        if error:
            yield _of(Check.RIGHTS, scene.cloud, f"These credentials may not {what}: {error}.")


def _one_that_is(scene: Scene, verb: Verb, states: frozenset[str]) -> str | None:
    there = (scene.servers.get(action.target.id) for action in scene.actions(verb))
    return next((server["id"] for server in there if server and server["status"] in states), None)


def _tried(cloud: Cloud, method: str, path: str, body: Json | None) -> str | None:
    """Why it is not allowed; null: it is."""
    options: Json = {"json": body} if body else {}
    try:
        api.call(cloud, "compute", method, path, **options)
    except Refused as error:
        return error.message
    except (Changed, Failed):
        return None
    return None


def _services(scene: Scene) -> Iterator[Finding]:
    sources: dict[str, int] = defaultdict(int)
    for action in scene.actions(*LEAVES_ITS_HOST):
        sources[action.args["from"]] += 1
    for host, servers in sorted(sources.items()):
        if (service := scene.services.get(host)) is None:
            yield _of(Check.SERVICES, Ref("host", host), f"{host} has no compute service any more.")
        elif service["state"] != "up":
            text = f"nova-compute on {host} is {service['state']}, and {servers} servers are to leave it: start it there."
            yield _of(Check.SERVICES, Ref("host", host), text)
    enabled = {action.target.id for action in scene.actions(Verb.ENABLE_SERVICE)}
    for host in sorted({action.args["to"] for action in scene.actions(*MIGRATIONS)}):
        if (service := scene.services.get(host)) is None:
            yield _of(Check.SERVICES, Ref("host", host), f"{host} has no compute service, and servers are to go there.")
        elif service["state"] != "up" or (service["status"] != "enabled" and host not in enabled):
            text = f"{host} is {service['status']} and {service['state']} by now, and servers are to go there: plan again."
            yield _of(Check.SERVICES, Ref("host", host), text)


def _hypervisors(scene: Scene) -> Iterator[Finding]:
    """Nova refuses another type, and a live migration to an older version (nova.conductor.tasks.live_migrate)."""
    versions: dict[str, set[str]] = defaultdict(set)
    for (source, target), servers in scene.pairs(*MIGRATIONS).items():
        here, there = (scene.node(host) for host in (source, target))
        if not here or not there:
            continue
        for host, node in ((source, here), (target, there)):
            versions[f"{node['hypervisor_type']} {node['hypervisor_version']}"].add(host)
        if here["hypervisor_type"] != there["hypervisor_type"]:
            text = f"{target} runs {there['hypervisor_type']}, and {source} {here['hypervisor_type']}: {servers} servers cannot go there."
            yield _of(Check.HYPERVISORS, Ref("host", target), text)
        elif here["hypervisor_version"] > there["hypervisor_version"] and (source, target) in scene.pairs(Verb.LIVE_MIGRATE):
            text = f"{target} runs an older {there['hypervisor_type']} than {source}: Nova live-migrates no server to it."
            yield _of(Check.HYPERVISORS, Ref("host", target), text)
    if len(versions) > 1:
        told = "; ".join(f"{version} on {_some(hosts)}" for version, hosts in sorted(versions.items()))
        text = f"Its hosts differ: {told}. What has gone to a newer one does not come back."
        yield _of(Check.HYPERVISORS, scene.cloud, text, blocking=False)


def _cpus(scene: Scene) -> Iterator[Finding]:
    """libvirt compares the CPU that a guest sees with the target's; a custom CPU model that all have makes this no matter."""
    unknown: set[str] = set()
    for (source, target), servers in scene.pairs(Verb.LIVE_MIGRATE).items():
        here, there = (scene.node(host).get("cpu_info") or {} for host in (source, target))
        unknown |= {host for host, cpu in ((source, here), (target, there)) if not cpu}
        if not here or not there:
            continue
        if here.get("arch") != there.get("arch"):
            text = f"{target} is {there.get('arch')}, and {source} {here.get('arch')}: {servers} servers cannot go there."
            yield _of(Check.CPUS, Ref("host", target), text)
        elif lacks := [feature for feature in here.get("features") or () if feature not in (there.get("features") or ())]:
            text = f"The CPU of {target} lacks what that of {source} has ({_some(lacks)}): a server that sees it is not accepted there."
            yield _of(Check.CPUS, Ref("host", target), text, blocking=False)
    if unknown:
        text = f"It does not tell the CPUs of {_some(unknown)}: whether servers are accepted there shows only when they are migrated."
        yield _of(Check.CPUS, scene.cloud, text, blocking=False)


def _storage(scene: Scene) -> Iterator[Finding]:
    """No API tells whether hosts share their disks, but for a provider in Placement that says so."""
    live = [server for action in scene.actions(Verb.LIVE_MIGRATE) if (server := scene.servers.get(action.target.id))]
    local = [server for server in live if pinning.local_disk_gib(server)]
    if not local:
        return
    if api.get(scene.old, "placement", "/resource_providers", required=SHARES)["resource_providers"]:
        return
    whole = sum(pinning.local_disk_gib(server) for server in local)
    text = f"{len(local)} servers have {whole} GiB of local disk. Unless its hosts share storage, which no API tells, Nova copies them."
    yield _of(Check.STORAGE, scene.cloud, text, blocking=False)
    if drives := [server["name"] for server in local if server.get("config_drive")]:
        text = f"{len(drives)} of them have a config drive ({_some(drives)}), which some hypervisors do not copy."
        yield _of(Check.STORAGE, scene.cloud, text, blocking=False)


def _migrations(scene: Scene) -> Iterator[Finding]:
    """Of others, or of an earlier run: they hold both hosts."""
    freed = {action.target.id for action in scene.actions(Verb.DISABLE_SERVICE)}
    touched = freed | {action.args[end] for action in scene.actions(*MIGRATIONS) for end in ("from", "to")}
    planned = {action.target.id for action in scene.actions(*LEAVES_ITS_HOST)}
    for record in migrations.open_anywhere(scene.old):
        server, ends = record["instance_uuid"], {record["source_compute"], record.get("dest_compute")}
        if not ends & touched and server not in planned:
            continue
        blocking = server in planned or bool(ends & freed)
        text = (
            f"Migration {record['id']} of server {server} from {record['source_compute']} to {record.get('dest_compute')} is "
            f"{record['status']}: {'wait for its end, or confirm it, then plan again' if blocking else 'it holds room on both'}."
        )
        yield _of(Check.MIGRATIONS, Ref("server", server), text, blocking=blocking)


def _stop(old: Cloud, plan: Plan, stop: StopCompute | None, undercloud: Cloud | None) -> Iterator[Finding]:
    hosts = [action.target for action in plan.actions if action.verb is Verb.STOP_COMPUTE]
    if not hosts:
        return
    ref = Ref("cloud", old.name)
    if stop and stop.command:
        if shutil.which(stop.command[0]) is None:
            text = f"The command that stops nova-compute cannot be run: there is no {stop.command[0]}. Correct stop_compute in decamp.yaml."
            yield _of(Check.STOP, ref, text)
    elif undercloud is None:
        text = (
            "Nothing says how nova-compute is to be stopped on a host that is free: set stop_compute.command in decamp.yaml, "
            "or expand.instackenv, whose machines can be powered off through their BMC."
        )
        yield _of(Check.STOP, ref, text)
    else:
        known = {node["name"] for node in baremetal.nodes(undercloud)} if undercloud.has("baremetal") else set[str]()
        for host in hosts:
            if host.id not in known:
                text = f"No stop_compute.command is set, and Ironic of {undercloud.name} has no node {host.id} that could be powered off."
                yield _of(Check.STOP, host, text)


def _some(names: Iterable[str]) -> str:
    told = sorted(names)
    return ", ".join(told[:TOLD]) + (f" and {len(told) - TOLD} more" if len(told) > TOLD else "")


CHECKS: tuple[Callable[[Scene], Iterator[Finding]], ...] = (
    _microversions,
    _rights,
    _services,
    _hypervisors,
    _cpus,
    _storage,
    _migrations,
)
