"""Ironic: the nodes that an undercloud knows, told without secrets; their MACs, their BMCs, their power."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from decamp.clouds import Cloud
from decamp.hosts import api
from decamp.hosts.machines import bare_address, bmc_address
from decamp.hosts.waiting import wait
from decamp.model.effects import Attempt
from decamp.model.errors import Refused
from decamp.model.machines import Machine
from decamp.model.policy import Policy
from decamp.model.refs import fingerprint
from decamp.model.survey import Resource

Json = dict[str, Any]

POWER_OFF = "power off"


def export(cloud: Cloud) -> Iterable[Resource]:
    """Resources of kind `node`. Needs the admin role."""
    macs = ports_of_nodes(cloud)
    return [_resource(node, tuple(sorted(macs[node["uuid"]]))) for node in nodes(cloud)]


def nodes(cloud: Cloud) -> Iterator[Json]:
    return api.pages(cloud, "baremetal", "/nodes/detail", "nodes", marker="uuid")


def show(cloud: Cloud, name: str) -> Json | None:
    """By name or id."""
    return api.look(cloud, "baremetal", f"/nodes/{name}")


def ports_of_nodes(cloud: Cloud) -> dict[str, set[str]]:
    """Node's id -> MACs of its ports."""
    macs: dict[str, set[str]] = defaultdict(set)
    for port in api.pages(cloud, "baremetal", "/ports/detail", "ports", marker="uuid"):
        macs[port["node_uuid"]].add(port["address"].lower())
    return macs


def same_machine(cloud: Cloud, machine: Machine) -> dict[str, str]:
    """Id -> which address it has in common, of every node with a MAC or the BMC address of this machine."""
    macs = ports_of_nodes(cloud)
    found: dict[str, str] = {}
    for node in nodes(cloud):
        if common := macs[node["uuid"]] & set(machine.macs):
            found[node["uuid"]] = f"MAC address {min(common)}"
        elif bmc_address(node.get("driver_info") or {}) == bare_address(machine.pm_addr):
            found[node["uuid"]] = f"BMC address {machine.pm_addr}"
    return found


def placement_class(resource_class: str) -> str:
    """The name in Placement of a node's resource class (os-resource-classes, normalize_name)."""
    return "CUSTOM_" + re.sub(r"[^A-Z0-9_]", "_", resource_class.upper())


def told(node: Json) -> str:
    """A node's state as a clause, with what Ironic says about the last failure."""
    maintenance = f", in maintenance ({node.get('maintenance_reason') or 'no reason given'})" if node.get("maintenance") else ""
    error = f"; Ironic says: {' '.join(node['last_error'].split())}" if node.get("last_error") else ""
    return f"{node['provision_state']}{maintenance}{error}"


def power_off(cloud: Cloud, name: str, policy: Policy, attempt: Attempt) -> None:
    """Returns when the BMC says that the node of exactly this name is off. Raises Refused where there is none."""
    node = show(cloud, name) if cloud.has("baremetal") else None
    if node is None or node["name"] != name:
        raise Refused(
            f"Nothing can stop nova-compute on {name}: no stop_compute.command is configured, and Ironic of {cloud.name} has no node of "
            "that name to power off. Set stop_compute.command in decamp.yaml, then resume."
        )
    if node["power_state"] != POWER_OFF:
        api.call(cloud, "baremetal", "PUT", f"/nodes/{node['uuid']}/states/power", json={"target": POWER_OFF})

    def look() -> bool | None:
        return True if api.get(cloud, "baremetal", f"/nodes/{node['uuid']}")["power_state"] == POWER_OFF else None

    wait(look, f"node {name} to be powered off", seconds=policy.node_timeout_seconds, cancelled=attempt.cancelled)


def _resource(node: Json, macs: tuple[str, ...]) -> Resource:
    spec = {field: node.get(field) for field in ("name", "driver", "resource_class", "properties")}
    info = {field: node.get(field) for field in ("provision_state", "power_state", "maintenance", "last_error")}
    addresses = {"macs": list(macs), "bmc_address": bmc_address(node.get("driver_info") or {}), "instance": node.get("instance_uuid")}
    return Resource(
        kind="node",
        id=node["uuid"],
        name=node.get("name") or "",
        spec=spec,
        info={**info, **addresses},
        fingerprint=fingerprint(spec, addresses, info["provision_state"], info["maintenance"]),
    )
