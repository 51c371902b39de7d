"""A machine that the deployer took becomes a host of the new cloud: found by what runs on its node, awaited in Nova and Placement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import baremetal, placement
from decamp.hosts.reading import Service, read_service, read_services, show_server
from decamp.hosts.waiting import TooLate, wait
from decamp.model.amounts import Inventory
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action
from decamp.model.policy import Policy
from decamp.settings import Expand

DEPLOY_FAILED = frozenset({"deploy failed", "error", "clean failed"})
"""Provision states of a node that will not come up by itself."""

DISK_TOLERANCE = 0.15
"""The system's own partitions and file system are no disk that Nova can give away."""


class JoinHost:
    """JOIN_HOST. It waits and compares, and changes nothing, so there is nothing to find."""

    def __init__(self, new: Cloud, undercloud: Cloud, settings: Expand, policy: Policy) -> None:
        self._new = new
        self._undercloud = undercloud
        self._settings = settings
        self._policy = policy

    def fingerprint(self, action: Action) -> str | None:
        return None

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        return None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        machine = action.args["machine"]
        missing = ""
        name = self._deployed_name(machine, attempt)

        def look() -> Service | None:
            nonlocal missing
            service = host_of(read_services(self._new), name)
            missing = self._missing(service, name)
            return service if service and not missing else None

        try:
            service = wait(
                look, f"host {name} to join {self._new.name}", seconds=self._policy.join_timeout_seconds, cancelled=attempt.cancelled
            )
        except TooLate as late:
            raise Failed(f"{late.message} {missing}") from late
        if wrong := self._differences(action, service):
            raise Failed(f"Host {service.host} has joined {self._new.name} with less than machine {machine} has: {'; '.join(wrong)}")
        return Outcome(
            id=service.host,
            said=f"machine {machine} is host {service.host} of {self._new.name}",
            facts={"machine": machine, "host": service.host, "provider": service.provider},
        )

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        service = read_service(self._new, outcome.facts["host"])
        missing = self._missing(service, outcome.facts["host"])
        return (missing,) if missing or service is None else self._differences(action, service)

    def _deployed_name(self, machine: str, attempt: Attempt) -> str:
        """The name of the undercloud's server that got the machine's node: the deployer gives it to the host as well."""

        def look() -> str | None:
            node = baremetal.show(self._undercloud, machine)
            if node is None:
                raise Changed(f"{self._undercloud.name}: there is no node {machine} any more")
            if node["provision_state"] in DEPLOY_FAILED:
                raise Failed(f"Node {machine} was not deployed: it is {baremetal.told(node)}")
            if node["provision_state"] != "active" or not node["instance_uuid"]:
                return None
            server = show_server(self._undercloud, node["instance_uuid"])
            return server["name"] if server else None

        try:
            return wait(look, f"node {machine} to be deployed", seconds=self._policy.node_timeout_seconds, cancelled=attempt.cancelled)
        except TooLate as late:
            raise Failed(
                f"{late.message} The stack may have taken another node: see `openstack baremetal node list` for what runs on which."
            ) from late

    def _missing(self, service: Service | None, name: str) -> str:
        """What keeps the host from taking servers, as a sentence that says what to do; empty: nothing."""
        if service is None:
            return f"No compute service called {name} has reported to {self._new.name}: look at nova-compute's log on that machine."
        if service.state != "up":
            return f"The compute service of {service.host} is {service.state}: look at nova-compute's log on that machine."
        if service.status != "enabled":
            return f"The compute service of {service.host} is disabled ({service.disabled_reason or 'no reason given'}): enable it."
        if service.provider is None:
            return (
                f"The compute service of {service.host} is up, but Nova shows no hypervisor for it: map it to its cell with "
                "`nova-manage cell_v2 discover_hosts --by-service`, then resume."
            )
        offered = placement.inventories(self._new, service.provider)
        if not offered or offered.get("VCPU", offered.get("PCPU")) is None:
            return f"Placement has no inventory for host {service.host}: look at nova-compute's log on that machine."
        return ""

    def _differences(self, action: Action, service: Service) -> tuple[str, ...]:
        offered = placement.inventories(self._new, service.provider or "") or {}
        return lacking(action.args.get("expected") or {}, offered, memory_tolerance=self._settings.memory_tolerance)


def host_of(services: tuple[Service, ...], name: str) -> Service | None:
    """The service whose host is called `name`, with or without a domain. Raises Failed where two are."""
    exact = [service for service in services if service.host == name]
    found = exact or [service for service in services if service.host.startswith(f"{name}.")]
    if len(found) > 1:
        raise Failed(f"Several compute services could be {name}: {', '.join(service.host for service in found)}")
    return found[0] if found else None


def lacking(expected: Mapping[str, Any], offered: Mapping[str, Inventory], *, memory_tolerance: float) -> tuple[str, ...]:
    """Resource classes of which the host offers less in total than its machine has, a clause each."""
    tolerances = {"MEMORY_MB": memory_tolerance, "DISK_GB": DISK_TOLERANCE}
    # CPUs that are set apart for pinned guests are counted as a class of their own
    totals = {name: inventory.total for name, inventory in offered.items()}
    totals["VCPU"] = totals.get("VCPU", 0) + totals.get("PCPU", 0)
    return tuple(
        f"{name}: {totals.get(name, 0)} in Placement, {amount} in the machine"
        for name, amount in sorted(expected.items())
        # local disk of a cloud whose servers' disks lie on shared storage is not offered at all
        if totals.get(name, 0) < amount * (1 - tolerances.get(name, 0.0)) and not (name == "DISK_GB" and name not in offered)
    )
