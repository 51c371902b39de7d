"""A machine's way into the undercloud: enrolled, managed, inspected and compared with what was declared, provided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.hosts import api, baremetal
from decamp.hosts.machines import driver_of, read_driver_info
from decamp.hosts.provision_states import WAYS, Standing, State, Way, standing
from decamp.hosts.reading import nodes_by_host
from decamp.hosts.waiting import wait
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import BadInput, Bug, Changed, Failed, Refused
from decamp.model.machines import Machine
from decamp.model.plan import Action, Verb
from decamp.model.policy import Policy
from decamp.settings import Expand

Json = dict[str, Any]

MARK = "decamp"
"""Key in a node's `extra` that holds the mark of the action that enrolled it."""

DISK_TOLERANCE = 0.08
"""A disk is sold in GB and found in GiB (7 % less), and Ironic keeps 1 GiB of the root disk back."""

WAIT_LONGEST_SECONDS = 15.0
"""Between two looks at a node: cleaning takes hours, and each look is a query of Ironic's database."""


class Enroll:
    """ENROLL: the machine becomes a node of its name, unless any node has its MAC or its BMC's address."""

    def __init__(self, undercloud: Cloud, old: Cloud, settings: Expand) -> None:
        self._undercloud = undercloud
        self._old = old
        self._settings = settings

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """Our node; the ports that a crash left unmade are made."""
        machine = _machine(action)
        node = baremetal.show(self._undercloud, machine.name)
        if node is None or (node.get("extra") or {}).get(MARK) != attempt.mark:
            return None
        return self._with_ports(node, machine)

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        machine = _machine(action)
        refuse_while_in_use(self._old, machine.name)
        for node_id, shared in baremetal.same_machine(self._undercloud, machine).items():
            raise Changed(f"{self._undercloud.name}: node {node_id} has the {shared} of machine {machine.name}: it was enrolled meanwhile")
        if self._settings.instackenv is None:
            raise BadInput("The configuration names no instackenv file: set expand.instackenv in decamp.yaml")
        properties = {"cpu_arch": machine.arch} | ({"capabilities": machine.capabilities} if machine.capabilities else {})
        body: Json = {
            "name": machine.name,
            "driver": driver_of(machine).name,
            "driver_info": read_driver_info(self._settings.instackenv, machine),
            "resource_class": self._settings.resource_class,
            "properties": properties,
            "extra": {MARK: attempt.mark},
        }
        node = api.call(self._undercloud, "baremetal", "POST", "/nodes", json=body)
        return self._with_ports(node, machine)

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        machine = _machine(action)
        node = baremetal.show(self._undercloud, machine.name)
        if node is None:
            return (f"there is no node {machine.name}",)
        missing = set(machine.macs) - self._ports(node)
        return (f"node {machine.name} has no port with MAC {', '.join(sorted(missing))}",) if missing else ()

    def _with_ports(self, node: Json, machine: Machine) -> Outcome:
        for mac in [mac for mac in machine.macs if mac not in self._ports(node)]:
            api.call(self._undercloud, "baremetal", "POST", "/ports", json={"node_uuid": node["uuid"], "address": mac})
        return Outcome(
            id=node["uuid"], said=f"{machine.name} is node {node['uuid']}", facts={"machine": machine.name, "node": node["uuid"]}
        )

    def _ports(self, node: Json) -> set[str]:
        ports = api.pages(self._undercloud, "baremetal", "/ports", "ports", marker="uuid", node=node["uuid"])
        return {port["address"].lower() for port in ports}


class Walk:
    """MANAGE and PROVIDE: one of Ironic's verbs, waited for by the table."""

    def __init__(self, verb: Verb, undercloud: Cloud, old: Cloud, policy: Policy) -> None:
        self._way = WAYS[verb]
        self._undercloud = undercloud
        self._old = old
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        node = _node(self._undercloud, action)
        if node["provision_state"] in self._way.through:
            node = arrive(self._undercloud, node, self._way, self._policy, attempt)
        elif node["provision_state"] not in {self._way.ends, *self._way.beyond}:
            return None
        return _outcome(action, node)

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        node = _node(self._undercloud, action)
        if self._way is WAYS[Verb.PROVIDE]:
            refuse_while_in_use(self._old, action.target.id)
        return _outcome(action, walk(self._undercloud, node, self._way, self._policy, attempt))

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        node = _node(self._undercloud, action)
        wanted = {self._way.ends, *self._way.beyond}
        return () if node["provision_state"] in wanted else (f"node {node['name']} is {baremetal.told(node)}",)


class Inspect:
    """INSPECT: what the machine really has must not be less than what was declared. A node that has less stays manageable."""

    def __init__(self, undercloud: Cloud, old: Cloud, settings: Expand, policy: Policy) -> None:
        self._undercloud = undercloud
        self._old = old
        self._settings = settings
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        """One that goes on is waited for. One that is over is done again: no state tells whether it was before or after."""
        node = _node(self._undercloud, action)
        way = WAYS[Verb.INSPECT]
        if node["provision_state"] not in way.through:
            return None
        return self._compared(action, arrive(self._undercloud, node, way, self._policy, attempt))

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        node = _node(self._undercloud, action)
        # an inspection may boot a ramdisk: what runs on the machine would be gone
        refuse_while_in_use(self._old, action.target.id)
        return self._compared(action, walk(self._undercloud, node, WAYS[Verb.INSPECT], self._policy, attempt))

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        return self._differences(action, _node(self._undercloud, action))

    def _compared(self, action: Action, node: Json) -> Outcome:
        if wrong := self._differences(action, node):
            raise Failed(
                f"Machine {action.target.id} is not what was declared: {'; '.join(wrong)}. It stays manageable. Repair the machine, or "
                "correct the instackenv file, delete the node and make a new plan."
            )
        return _outcome(action, node)

    def _differences(self, action: Action, node: Json) -> tuple[str, ...]:
        inventory = api.look(self._undercloud, "baremetal", f"/nodes/{node['uuid']}/inventory")
        interfaces = (inventory or {}).get("inventory", {}).get("interfaces") or []
        macs = frozenset(str(one.get("mac_address") or "").lower() for one in interfaces) - {""}
        return differences(
            action.args.get("declared") or {}, node.get("properties") or {}, macs, memory_tolerance=self._settings.memory_tolerance
        )


def differences(declared: Mapping[str, Any], found: Mapping[str, Any], macs: frozenset[str], *, memory_tolerance: float) -> tuple[str, ...]:
    """What the machine lacks of what was declared (a Machine's fields), a clause each.

    `found` are a node's properties after inspection; `macs` those of its interfaces, empty where the inspection does not tell.
    """
    wrong: list[str] = []
    for field, name, found_as, unit, tolerance in (
        ("cpu", "CPUs", "cpus", "", 0.0),
        ("memory_mib", "memory", "memory_mb", " MiB", memory_tolerance),
        ("disk_gib", "disk", "local_gb", " GiB", DISK_TOLERANCE),
    ):
        wanted, has = declared.get(field), found.get(found_as)
        if wanted is None:
            continue
        if has is None:
            wrong.append(f"{name}: {wanted}{unit} declared, the inspection found none")
        elif int(has) < int(wanted) * (1 - tolerance):
            wrong.append(f"{name}: {wanted}{unit} declared, {has}{unit} found")
    arch = found.get("cpu_arch")
    if declared.get("arch") and arch and arch != declared["arch"]:
        wrong.append(f"architecture: {declared['arch']} declared, {arch} found")
    if macs and (missing := {mac.lower() for mac in declared.get("macs") or ()} - macs):
        wrong.append(f"no interface with MAC {', '.join(sorted(missing))} was found: is it another machine?")
    return tuple(wrong)


def walk(cloud: Cloud, node: Json, way: Way, policy: Policy, attempt: Attempt) -> Json:
    """Ask for one of Ironic's verbs, and wait for its end. Raises Changed where it cannot be begun from the node's state, or Failed."""
    if node["provision_state"] not in way.begins:
        begins = " or ".join(sorted(way.begins))
        raise Changed(
            f"{cloud.name}: node {node['name']} is {baremetal.told(node)}; `{way.target}` begins from {begins}. "
            "Bring it there with `openstack baremetal node`, then resume."
        )
    api.call(cloud, "baremetal", "PUT", f"/nodes/{node['uuid']}/states/provision", json={"target": way.target})
    return arrive(cloud, node, way, policy, attempt)


def arrive(cloud: Cloud, node: Json, way: Way, policy: Policy, attempt: Attempt) -> Json:
    """The node when it has come to the end of the way. Raises Failed with its state and Ironic's last error where it has not."""

    def look() -> Json | None:
        now = api.get(cloud, "baremetal", f"/nodes/{node['uuid']}")
        match standing(way, now["provision_state"]):
            case Standing.ENDED:
                return now
            case Standing.WAITING:
                return None
            case Standing.FAILED:
                raise Failed(f"`{way.target}` of node {now['name']} failed: it is {baremetal.told(now)}")
            case Standing.ASTRAY:
                raise Changed(f"Somebody else works on node {now['name']}: during `{way.target}` it became {baremetal.told(now)}")

    return wait(
        look,
        f"node {node['name']} to become {way.ends}",
        seconds=policy.node_timeout_seconds,
        cancelled=attempt.cancelled,
        longest_seconds=WAIT_LONGEST_SECONDS,
    )


def refuse_while_in_use(old: Cloud, machine: str) -> None:
    """What runs on a machine that still is a host of the old cloud would be lost: the last gate before its disks are wiped."""
    services = api.get(old, "compute", "/os-services", binary="nova-compute")["services"]
    for host in {service["host"] for service in services} | nodes_by_host(old).keys():
        # whole names, with and without their domain
        if host == machine or host.startswith(f"{machine}.") or machine.startswith(f"{host}."):
            raise Refused(f"Machine {machine} is still the compute host {host} of {old.name}: vacate it first.")


def _machine(action: Action) -> Machine:
    try:
        return msgspec.convert(action.args["machine"], Machine)
    except (KeyError, msgspec.ValidationError) as error:
        raise Bug(f"{action.id}: its machine cannot be read: {error}") from error


def _node(cloud: Cloud, action: Action) -> Json:
    node = baremetal.show(cloud, action.target.id)
    if node is None:
        raise Changed(f"{cloud.name}: there is no node {action.target.id} any more")
    return node


def _outcome(action: Action, node: Json) -> Outcome:
    facts = {"machine": action.target.id, "node": node["uuid"], "properties": node.get("properties") or {}}
    return Outcome(id=node["uuid"], said=f"node {node['name']} is {State(node['provision_state'])}", facts=facts)
