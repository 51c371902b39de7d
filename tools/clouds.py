"""A cloud as its administrator sees it, for verify.py: its APIs' own answers, its hosts, its servers, its stacks and nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openstack import utils
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import raise_from_response

Facts = dict[str, Any]
NEWEST = "2.96"
"""Compute microversion that is asked for where a cloud has it: the first that shows the zone that a server asked for."""


class Cloud:
    """A cloud as its administrator sees it."""

    def __init__(self, name: str, clouds_file: str | None) -> None:
        self.name = name
        config = OpenStackConfig(config_files=[clouds_file]) if clouds_file else OpenStackConfig()
        self.connection = Connection(config=config.get_one(cloud=name))
        self.compute: Any = self.connection.compute
        self.compute.default_microversion = utils.maximum_supported_microversion(self.compute, NEWEST)
        self.image_digests: dict[tuple[str, int], str | None] = {}
        """(image, GiB that its bytes are filled up to with zeros) -> SHA-256"""

    def get(self, service: str, path: str, **headers: str) -> Any:
        response = getattr(self.connection, service).get(path, headers=headers or None)
        raise_from_response(response)
        return response.json()

    def pages(self, service: str, path: str, key: str) -> Iterator[Facts]:
        """Every object of a listing, page by page (the `..._links` of Nova and Cinder)."""
        while path:
            body = self.get(service, path)
            yield from body[key]
            links = {link["rel"]: link["href"] for link in body.get(f"{key}_links", [])}
            path = "" if "next" not in links else f"{path.split('?')[0]}?{links['next'].partition('?')[2]}"


def all_images(cloud: Cloud) -> Iterator[Facts]:
    """Everybody's, also hidden ones, which Glance lists by themselves."""
    for hidden in ("false", "true"):
        path = f"/images?limit=200&visibility=all&os_hidden={hidden}"
        while path:
            body = cloud.get("image", path)
            yield from body["images"]
            path = body.get("next", "").removeprefix("/v2")


def hosts_of(cloud: Cloud) -> Facts:
    """Compute services, hypervisors and resource providers, with who holds something of each."""
    providers = {}
    for provider in cloud.get("placement", "/resource_providers")["resource_providers"]:
        inventories = cloud.get("placement", f"/resource_providers/{provider['uuid']}/inventories")["inventories"]
        consumers = cloud.get("placement", f"/resource_providers/{provider['uuid']}/allocations")["allocations"]
        providers[provider["name"]] = {
            "inventories": {resource_class: inventory["total"] for resource_class, inventory in inventories.items()},
            "consumers": sorted(consumers),
        }
    return {
        "services": {
            service["host"]: {"state": service["state"], "status": service["status"]}
            for service in cloud.get("compute", "/os-services?binary=nova-compute")["services"]
        },
        "hypervisors": sorted(
            hypervisor["hypervisor_hostname"] for hypervisor in cloud.get("compute", "/os-hypervisors/detail")["hypervisors"]
        ),
        "providers": providers,
    }


def servers_of(cloud: Cloud) -> dict[str, Facts]:
    """Every server of every project, by id."""
    return {
        server["id"]: {
            "name": server["name"],
            "project": server["tenant_id"],
            "status": server["status"],
            "task_state": server["OS-EXT-STS:task_state"],
            "host": server["OS-EXT-SRV-ATTR:host"],
            "locked": server["locked"],
        }
        for server in cloud.pages("compute", "/servers/detail?all_tenants=1", "servers")
    }


def stacks_of(cloud: Cloud) -> Facts:
    """The undercloud's stacks with their parameters."""
    stacks = {}
    for stack in cloud.connection.orchestration.stacks():
        whole = cloud.get("orchestration", f"/stacks/{stack.name}/{stack.id}")["stack"]
        parameters = {name: value for name, value in whole["parameters"].items() if not name.startswith("OS::")}
        stacks[stack.name] = {"status": whole["stack_status"], "parameters": parameters}
    return stacks


def nodes_of(cloud: Cloud) -> dict[str, Facts]:
    return {
        node["name"] or node["uuid"]: {
            "state": node["provision_state"],
            "instance": node["instance_uuid"],
            "maintenance": node["maintenance"],
        }
        for node in cloud.get("baremetal", "/nodes?detail=true", **{"X-OpenStack-Ironic-API-Version": "1.72"})["nodes"]
    }
