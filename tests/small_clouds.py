"""Small clouds for tests of planning: hosts, servers and surveys with everything at a default but what the test is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from decamp.model.amounts import Inventory
from decamp.model.chain import Link
from decamp.model.documents import sha256
from decamp.model.machines import Machine
from decamp.model.plan import Action, ExpandGoal, Goal, Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.run import ActionReport, RunReport, RunState
from decamp.model.survey import Group, Host, Resource, Server, Survey
from decamp.planning.expand import plan_expand
from decamp.planning.replay import Rule, replay
from decamp.planning.vacate import plan_vacate

CANARY = {"image": "cirros", "flavor": "m1.tiny", "network": "private"}


def host(name: str, *, vcpus: int = 8, memory_mib: int = 8192, **fields: Any) -> Host:
    inventories = {"VCPU": Inventory(total=vcpus), "MEMORY_MB": Inventory(total=memory_mib)}
    defaults: dict[str, Any] = {
        "provider": f"provider-of-{name}",
        "state": "up",
        "status": "enabled",
        "zone": "nova",
        "inventories": inventories,
    }
    return Host(name=name, **{**defaults, **fields})


def server(id: str, on: str | None, *, vcpus: int = 2, memory_mib: int = 2048, **fields: Any) -> Server:
    defaults: dict[str, Any] = {
        "name": f"name-of-{id}",
        "project": "project",
        "status": "ACTIVE",
        "allocations": {"VCPU": vcpus, "MEMORY_MB": memory_mib},
        "migration_bytes": memory_mib * 2**20,
    }
    return Server(id=id, host=on, **{**defaults, **fields})


def survey(hosts: Iterable[Host] = (), servers: Iterable[Server] = (), groups: Iterable[Group] = (), **fields: Any) -> Survey:
    defaults: dict[str, Any] = {"cloud": "old", "taken_at": "2026-11-23T00:00:00Z", "admin": True}
    return Survey(hosts=tuple(hosts), servers=tuple(servers), groups=tuple(groups), **{**defaults, **fields})


def vacate(old: Survey, *hosts: str, count: int | None = None, policy: Policy | None = None) -> Plan:
    """As many as possible, where neither hosts nor a count are given."""
    goal = VacateGoal(hosts=hosts, count=count, max=not hosts and count is None)
    return plan_vacate(old, policy or Policy(), goal=goal, made_from={"old": sha256(old)})


def ran(
    plan: Plan,
    number: int,
    actions: Iterable[ActionReport],
    *,
    state: RunState = RunState.FAILED,
    began_at: str = "2026-11-25T11:00:00Z",
) -> Link:
    """A run of the plan, in a chain that goes on."""
    report = RunReport(
        id=f"run-{number}",
        plan=plan.id,
        goal={},
        state=state,
        whole=RunState.RUNNING,
        concurrency=1,
        began_at=began_at,
        actions=tuple(actions),
    )
    return Link(plan=plan, report=report)


def moves(plan: Plan) -> dict[str, tuple[str, str]]:
    """Server -> (from, to)."""
    return {a.target.id: (a.args["from"], a.args["to"]) for a in plan.actions if a.verb in {Verb.LIVE_MIGRATE, Verb.COLD_MIGRATE}}


def reasons(plan: Plan) -> dict[str, str]:
    """Id -> reason of its last refusal."""
    return {refusal.ref.id: refusal.reason.value for refusal in plan.refusals}


def migration(server: Server, to: str, *, after: Iterable[str] = (), number: int = 1, **fields: Any) -> Action:
    verb = Verb.COLD_MIGRATE if server.status == "SHUTOFF" else Verb.LIVE_MIGRATE
    fields = {
        "id": f"{verb}/{server.id}/{number}",
        "verb": verb,
        "target": Ref("server", server.id),
        "args": {"from": server.host, "to": to},
        "after": tuple(after),
        "locks": (f"host:{server.host}", f"host:{to}", f"server:{server.id}"),
        "expects": server.placement_fingerprint(),
        **fields,
    }
    return Action(**fields)


def on_host(verb: Verb, name: str, *after: str) -> Action:
    return Action(id=f"{verb}/host/{name}", verb=verb, target=Ref("host", name), after=after)


def by_hand(old: Survey, *actions: Action, goal: Goal | None = None) -> Plan:
    return Plan(goal=goal or VacateGoal(max=True), made_from={"old": sha256(old)}, actions=actions).sealed()


def broken(plan: Plan, old: Survey, policy: Policy | None = None) -> set[Rule]:
    return {violation.rule for violation in replay(plan, {"old": old}, policy)}


def said(plan: Plan, old: Survey, rule: Rule, policy: Policy | None = None) -> list[str]:
    return [violation.text for violation in replay(plan, {"old": old}, policy) if violation.rule is rule]


def with_action(plan: Plan, id: str, **changes: Any) -> Plan:
    """The plan with one of its actions changed."""
    actions = tuple(msgspec.structs.replace(a, **changes) if a.id == id else a for a in plan.actions)
    return msgspec.structs.replace(plan, actions=actions).sealed()


def making(resource: Resource, *after: str, verb: Verb = Verb.CREATE, **fields: Any) -> Action:
    args = {"resource": msgspec.to_builtins(resource), "manner": "recreate"}
    if verb is Verb.ADOPT:
        args |= {"id": "new", "because": "exists"}
    fields = {
        "id": f"{verb}/{resource.kind}/{resource.id}",
        "verb": verb,
        "target": resource.ref,
        "args": args,
        "after": after,
        "expects": resource.fingerprint,
        **fields,
    }
    return Action(**fields)


def machine(name: str, number: int, **fields: Any) -> Machine:
    addresses = {"pm_addr": f"192.0.2.{number}", "macs": (f"52:54:00:00:00:{number:02x}",)}
    return Machine(**{"name": name, "pm_type": "ipmi", "cpu": 8, "memory_mib": 8192, "disk_gib": 100, **addresses, **fields})


def node(name: str, number: int, state: str, **info: Any) -> Resource:
    told = {"provision_state": state, "macs": [f"52:54:00:00:00:{number:02x}"], "bmc_address": f"192.0.2.{number}", "instance": None}
    return Resource(kind="node", id=f"node-of-{name}", name=name, info={**told, "maintenance": False, **info})


def stack(count: Any = 2, status: str = "UPDATE_COMPLETE") -> Resource:
    spec = {"parameters": {"ComputeCount": count, "NtpServer": "ntp.example"}}
    return Resource(kind="stack", id="stack-id", name="overcloud", spec=spec, info={"status": status})


def undercloud(*resources: Resource) -> Survey:
    return survey(cloud="undercloud", resources=resources)


def expand(
    names: Iterable[str],
    machines: Iterable[Machine],
    under: Survey,
    old: Survey | None,
    canary: dict[str, str] | None = CANARY,
    **fields: Any,
) -> Plan:
    return plan_expand(
        {one.name: one for one in machines},
        under,
        old,
        goal=ExpandGoal(hosts=tuple(names)),
        stack="overcloud",
        parameter="ComputeCount",
        canary=canary,
        made_from={"undercloud": sha256(under), **({"old": sha256(old)} if old else {})},
        **fields,
    )
