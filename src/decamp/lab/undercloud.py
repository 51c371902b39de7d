"""The undercloud's content: image, flavor and network of the deployment, the first nodes, and the stack `overcloud` on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import resources
from typing import Any

from openstack.connection import Connection

from decamp.lab import machines
from decamp.lab.content import MIB, create_image
from decamp.lab.layout import Lab
from decamp.lab.progress import Report, step
from decamp.model.errors import Failed

STACK = "overcloud"
COUNT_PARAMETER = "ComputeCount"
IMAGE = "overcloud-full"
FLAVOR = "compute"
NETWORK = "ctlplane"
RESOURCE_CLASS = "baremetal"
NTP_SERVER = "ntp.lab.example"
"""A parameter of the stack that is not its default: whoever updates the stack must keep it."""
WAIT_SECONDS = 180
LOOK_SECONDS = 0.5


def create(lab: Lab, connection: Connection, report: Report) -> None:
    """With all services of the undercloud up, and none of this there."""
    with step(report, "Enroll and provide the new cloud's first machines"):
        _create_deployment_resources(connection)
        names = [machines.new_machine(number) for number in range(1, lab.settings.new_hosts + 1)]
        nodes = [_enroll(lab, connection, name) for name in names]
        for verb, state in (("manage", "manageable"), ("inspect", "manageable"), ("provide", "available")):
            for node in nodes:
                connection.baremetal.set_node_provision_state(node, verb)
            connection.baremetal.wait_for_nodes_provision_state(nodes, state, timeout=WAIT_SECONDS)
        _wait(f"{len(nodes)} free nodes in Placement", lambda: _free_nodes(connection) >= len(nodes))
        # Nova lists nodes whose host is mapped to a cell, which its scheduler does every few seconds; before that no server can be built
        _wait(f"{len(nodes)} nodes in Nova", lambda: sum(1 for _ in connection.compute.hypervisors(details=False)) >= len(nodes))
    with step(report, f"Create the stack {STACK} with {COUNT_PARAMETER}={lab.settings.new_hosts}"):
        template = (resources.files("decamp.lab") / "templates" / "overcloud.yaml").read_text()
        stack = connection.orchestration.create_stack(
            name=STACK,
            template=template,
            parameters={COUNT_PARAMETER: lab.settings.new_hosts},
            environment={"parameter_defaults": {"NtpServer": NTP_SERVER}},
            timeout_mins=10,
        )
        connection.orchestration.wait_for_status(stack, status="CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=1, wait=WAIT_SECONDS)


def _create_deployment_resources(connection: Connection) -> None:
    create_image(connection, IMAGE, MIB)
    flavor = connection.compute.create_flavor(name=FLAVOR, vcpus=1, ram=1024, disk=10)
    # a bare-metal flavor asks for one node, not for amounts: Ironic's guide "Create flavors for use with the Bare Metal service"
    specs = {"resources:CUSTOM_BAREMETAL": "1", "resources:VCPU": "0", "resources:MEMORY_MB": "0", "resources:DISK_GB": "0"}
    connection.compute.create_flavor_extra_specs(flavor, specs)
    network = connection.network.create_network(name=NETWORK, provider_network_type="flat", provider_physical_network=NETWORK)
    connection.network.create_subnet(name=NETWORK, network_id=network.id, cidr="192.168.24.0/24", ip_version=4)


def _enroll(lab: Lab, connection: Connection, name: str) -> Any:
    shared = machines.shared()
    machine = next(machine for machine in shared.read_all(lab.machines_folder) if machine["name"] == name)
    node = connection.baremetal.create_node(
        name=name,
        driver=machines.PM_TYPE,
        driver_info={"address": machine["bmc_address"]},
        resource_class=RESOURCE_CLASS,
    )
    connection.baremetal.create_port(node_id=node.id, address=machine["mac"])
    return node


def _free_nodes(connection: Connection) -> int:
    free = 0
    for provider in connection.placement.resource_providers():
        for inventory in connection.placement.resource_provider_inventories(provider):
            if inventory.resource_class == "CUSTOM_BAREMETAL" and inventory.reserved < inventory.total:
                free += 1
    return free


def _wait(what: str, holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"The undercloud did not reach this within {seconds:.0f} s: {what}.")
        time.sleep(LOOK_SECONDS)
