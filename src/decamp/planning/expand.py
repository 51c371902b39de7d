"""Plan to take machines into the new cloud: enroll, manage, inspect and provide each, raise the role's count once, prove each new host.

What this reads of the undercloud's survey:

- resources of kind `node`: `id` is the node's uuid, `name` its name; `info` has `provision_state`, `macs` (a list), `bmc_address`,
  `instance` (uuid of the server on it, or null) and `maintenance`;
- resources of kind `stack`: `name` is the stack's name; `spec` has `parameters` (a dict), `info` has `status` (CREATE_COMPLETE ...).

All machines have to be provided before the count is raised, once: a count that is raised without free nodes fails the whole stack
update, and each update of a large stack takes long. Which host name a new machine gets, the stack decides when it is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from decamp.model.machines import Machine
from decamp.model.plan import Action, ExpandGoal, Plan, Reason, Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey

STEADY_STACK = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "ADOPT_COMPLETE", "CHECK_COMPLETE", "RESUME_COMPLETE"})
"""Heat's states in which a stack is whole, and an update of it begins from what it says (heat/engine/stack.py: ACTIONS x STATUSES)."""

FREE_NODE = "available"
"""The only provision state in which the Compute service takes a node (ironic/common/states.py)."""


def plan_expand(
    machines: Mapping[str, Machine],
    undercloud: Survey,
    old: Survey | None,
    *,
    goal: ExpandGoal,
    stack: str,
    parameter: str,
    canary: Mapping[str, str | None] | None,
    made_from: dict[str, str],
    new: Survey | None = None,
) -> Plan:
    """A sealed plan; machines that cannot be taken are refused, the others are planned.

    `canary` says what is booted on each new host (image, flavor, network). `old` proves that the machines are no hosts of the old cloud
    any more: without it nothing is planned, because providing a node wipes its disks. `new`, where it is given, is searched for what the
    canary is booted from.
    """
    wanted = tuple(dict.fromkeys(goal.hosts))
    count, refusals = _count_of(undercloud, stack, parameter)
    accepted: list[Machine] = []
    for name in wanted:
        refused = _refusals_of(name, machines, undercloud, old, accepted)
        refusals += refused
        if not refused:
            accepted.append(machines[name])
    refusals += _canary_refusals(canary, new)
    refusals += _other_takers(undercloud, [machines[name] for name in wanted if name in machines])
    if new is not None and count is not None and len(new.hosts) < count:
        text = f"The stack {stack} has {parameter}={count}, and the new cloud has {len(new.hosts)} compute hosts: let those join first."
        refusals.append(Refusal(ref=Ref("stack", stack), reason=Reason.STACK_STATE, text=text))
    blocked = any(refusal.reason is Reason.STACK_STATE or refusal.ref.kind == "node" for refusal in refusals)
    actions: tuple[Action, ...] = ()
    if accepted and count is not None and not blocked:
        actions = _actions(accepted, stack, parameter, count, None if _canary_refusals(canary, new) else canary)
    return Plan(goal=goal, made_from=made_from, actions=actions, refusals=tuple(refusals)).sealed()


def expected_amounts(machine: Machine) -> dict[str, int]:
    """What the new host's resource provider has to offer, by resource class, as far as the machine's description says."""
    declared = {"VCPU": machine.cpu, "MEMORY_MB": machine.memory_mib, "DISK_GB": machine.disk_gib}
    return {resource_class: amount for resource_class, amount in declared.items() if amount is not None}


def _actions(
    accepted: list[Machine], stack: str, parameter: str, count: int, canary: Mapping[str, str | None] | None
) -> tuple[Action, ...]:
    actions: list[Action] = []
    for machine in accepted:
        actions += _node_actions(machine)
    scale_out = Action(
        id=f"{Verb.SCALE_OUT}/stack/{stack}",
        verb=Verb.SCALE_OUT,
        target=Ref("stack", stack),
        args={"stack": stack, "parameter": parameter, "from": count, "to": count + len(accepted)},
        after=tuple(_id(Verb.PROVIDE, machine) for machine in accepted),
        locks=(f"stack:{stack}",),
        changes={parameter: (count, count + len(accepted))},
        why=f"{_listed([machine.name for machine in accepted])} will be free for the stack by then.",
    )
    actions.append(scale_out)
    for machine in accepted:
        actions.append(
            Action(
                id=_id(Verb.JOIN_HOST, machine),
                verb=Verb.JOIN_HOST,
                target=Ref("machine", machine.name),
                args={"machine": machine.name, "expected": expected_amounts(machine)},
                after=(scale_out.id,),
                locks=(f"machine:{machine.name}",),
                why="A host counts when its compute service is up and Placement has what it offers.",
            )
        )
        if canary is not None:
            actions.append(
                Action(
                    id=_id(Verb.CANARY, machine),
                    verb=Verb.CANARY,
                    target=Ref("machine", machine.name),
                    args=dict(canary),
                    after=(_id(Verb.JOIN_HOST, machine),),
                    locks=(f"machine:{machine.name}",),
                    why="A host takes tenants' servers only when a server has booted on it.",
                )
            )
    return tuple(actions)


def _node_actions(machine: Machine) -> list[Action]:
    declared = msgspec.to_builtins(machine)
    hardware = {name: declared[name] for name in ("cpu", "memory_mib", "disk_gib", "arch", "macs") if declared[name] is not None}
    steps: tuple[tuple[Verb, dict[str, Any], tuple[str | None, str], str], ...] = (
        (Verb.ENROLL, {"machine": declared}, (None, "enroll"), "The undercloud does not know this machine yet."),
        (Verb.MANAGE, {}, ("enroll", "manageable"), "Its BMC has to answer with the credentials that were declared."),
        (Verb.INSPECT, {"declared": hardware}, ("manageable", "manageable"), "A missing disk or DIMM must stop the machine here."),
        (Verb.PROVIDE, {}, ("manageable", "available"), "Its disks are wiped, and the stack can take it."),
    )
    actions: list[Action] = []
    for verb, args, states, why in steps:
        actions.append(
            Action(
                id=_id(verb, machine),
                verb=verb,
                target=Ref("machine", machine.name),
                args=args,
                after=(actions[-1].id,) if actions else (),
                locks=(f"machine:{machine.name}",),
                changes={"provision_state": states} if states[0] != states[1] else {},
                why=why,
            )
        )
    return actions


def _id(verb: Verb, machine: Machine) -> str:
    return f"{verb}/machine/{machine.name}"


def _count_of(undercloud: Survey, stack: str, parameter: str) -> tuple[int | None, list[Refusal]]:
    """The role's present count, where the stack is in a state to be updated."""

    def refused(text: str) -> tuple[None, list[Refusal]]:
        return None, [Refusal(ref=Ref("stack", stack), reason=Reason.STACK_STATE, text=text)]

    found = [one for one in undercloud.resources if one.kind == "stack" and stack in {one.name, one.id}]
    if not found:
        return refused(f"The undercloud has no stack {stack}: set `expand.stack` in decamp.yaml to the stack that deployed the new cloud.")
    status = str(found[0].info.get("status"))
    if status not in STEADY_STACK:
        return refused(f"The stack {stack} is {status}: it has to be whole (UPDATE_COMPLETE) before its count is raised.")
    parameters = cast("dict[str, Any]", found[0].spec.get("parameters") or {})
    value = parameters.get(parameter)
    try:
        count = int(str(value))
    except ValueError:
        return refused(f"The stack {stack} has {parameter}={value!r}, which is no count: set `expand.count_parameter` in decamp.yaml.")
    return count, []


def _refusals_of(
    name: str, machines: Mapping[str, Machine], undercloud: Survey, old: Survey | None, accepted: list[Machine]
) -> list[Refusal]:
    """All that speaks against taking this machine."""
    ref = Ref("machine", name)
    machine = machines.get(name)
    if machine is None:
        return [Refusal(ref=ref, reason=Reason.MACHINE_UNKNOWN, text=f"The instackenv file has no machine {name}.")]
    refusals: list[Refusal] = []
    if old is None:
        text = f"Without a survey of the old cloud nobody knows whether {name} still runs servers, and providing it wipes its disks."
        refusals.append(Refusal(ref=ref, reason=Reason.INCOMPLETE, text=text))
    else:
        for host in old.hosts:
            if _same_host(host.name, name):
                which = "a compute host" if host.name == name else f"the compute host {host.name}"
                text = f"{name} is still {which} of the old cloud: vacate it first (decamp plan vacate --host {host.name})."
                refusals.append(Refusal(ref=ref, reason=Reason.MACHINE_IN_USE, text=text))
    nodes = [node for node in undercloud.resources if node.kind == "node"]
    refusals += [_enrolled(ref, machine, node, shared) for node in nodes if (shared := _shared_with_node(machine, node))]
    for other in accepted:
        if shared := _shared(machine, other.macs, other.pm_addr):
            text = f"{name} and {other.name} have the same {shared} in the instackenv file: one of them is wrong."
            refusals.append(Refusal(ref=ref, reason=Reason.CONFLICT, text=text))
    return refusals


def _enrolled(ref: Ref, machine: Machine, node: Resource, shared: str) -> Refusal:
    state = node.info.get("provision_state")
    known = f"The undercloud has the node {node.name or node.id} with the same {shared}"
    if shared == "name":
        text = f"{known}, but other addresses: rename the node or the machine."
        return Refusal(ref=ref, reason=Reason.CONFLICT, text=text)
    if node.info.get("instance") or state == "active":
        text = f"{known}, and it is deployed ({state}): {machine.name} is in the new cloud already."
        return Refusal(ref=ref, reason=Reason.MACHINE_ENROLLED, text=text)
    if state == FREE_NODE:
        text = (
            f"{known}, and it is available: raise the count by hand, or delete the node so that {machine.name} can be taken from the start."
        )
        return Refusal(ref=ref, reason=Reason.MACHINE_ENROLLED, text=text)
    text = f"{known}, in state {state}: finish it by hand, or delete it (openstack baremetal node delete {node.id}) to begin anew."
    return Refusal(ref=ref, reason=Reason.NODE_STATE, text=text)


def _shared_with_node(machine: Machine, node: Resource) -> str | None:
    macs = tuple(str(mac) for mac in node.info.get("macs") or ())
    address = node.info.get("bmc_address")
    return _shared(machine, macs, str(address) if address else None) or ("name" if node.name == machine.name else None)


def _shared(machine: Machine, macs: tuple[str, ...], bmc_address: str | None) -> str | None:
    """Which address two descriptions of a machine have in common, in words."""
    if common := {mac.lower() for mac in machine.macs} & {mac.lower() for mac in macs}:
        return f"MAC address {min(common)}"
    if bmc_address and _bare(machine.pm_addr) == _bare(bmc_address):
        return f"BMC address {bmc_address}"
    return None


def _bare(address: str) -> str:
    """Without the scheme and path that a Redfish address may have."""
    return address.rpartition("://")[2].split("/")[0].lower()


def _same_host(host: str, machine: str) -> bool:
    """Equal in full, or one is the other without its domain. Two different domains are two different hosts."""
    return host == machine or host.startswith(f"{machine}.") or machine.startswith(f"{host}.")


def _other_takers(undercloud: Survey, wanted: list[Machine]) -> list[Refusal]:
    """Free nodes that the stack could take in place of the machines that this is about."""
    text = (
        "The node {} is available and in nobody's use: the stack could take it in place of the machines asked for. "
        "Scale out by it first, or put it into maintenance."
    )
    return [
        Refusal(ref=Ref("node", node.id), reason=Reason.NODE_STATE, text=text.format(node.name or node.id))
        for node in undercloud.resources
        if node.kind == "node"
        and node.info.get("provision_state") == FREE_NODE
        and not node.info.get("instance")
        and not node.info.get("maintenance")
        and not any(_shared_with_node(machine, node) for machine in wanted)
    ]


def _canary_refusals(canary: Mapping[str, str | None] | None, new: Survey | None) -> list[Refusal]:
    if canary is None:
        text = "Nothing would prove that servers boot on the new hosts: set `expand.canary` (image, flavor, network) in decamp.yaml."
        return [Refusal(ref=Ref("cloud", "new"), reason=Reason.UNMAPPED, text=text)]
    if new is None:
        return []
    refusals: list[Refusal] = []
    for kind, wanted in canary.items():
        found = [one for one in new.resources if one.kind == kind and wanted in {one.id, one.name}]
        if wanted is not None and len(found) != 1:
            number = f"{len(found)} objects" if found else "nothing"
            text = f"The canary's {kind} {wanted} names {number} in the new cloud: correct `expand.canary.{kind}` in decamp.yaml."
            refusals.append(Refusal(ref=Ref(kind, wanted), reason=Reason.NOT_FOUND, text=text))
    return refusals


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
