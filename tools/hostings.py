"""Which servers are on which hosts of a cloud, with all that they hold there, for verify_vacate.py."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from clouds import Cloud, Facts

IN_EVERY_STATE = "/servers/detail?all_tenants=1&deleted=false"
ENDED = frozenset({"completed", "confirmed", "done", "reverted", "cancelled", "error", "failed"})
"""Statuses of a migration record that nobody works on any more (Nova's api-ref, os-migrations)."""
PLACEMENT = {"OpenStack-API-Version": "placement 1.28"}
ATTACHMENTS = "3.27"
"""Block Storage API: from here on attachments can be listed."""


def hosting(cloud: Cloud, disks: Path | None) -> Facts:
    """All of it, at one moment. `disks` is a folder with `HOST/SERVER.disk`, where the lab keeps its guests' bytes."""
    ports, volumes = ports_of(cloud), volumes_of(cloud)
    return {
        "servers": {server["id"]: server_facts(server) for server in cloud.pages("compute", IN_EVERY_STATE, "servers")},
        "ports": ports,
        "volumes": volumes,
        "services": {
            service["host"]: {key: service[key] for key in ("state", "status", "disabled_reason", "zone")}
            for service in cloud.get("compute", "/os-services?binary=nova-compute")["services"]
        },
        "hypervisors": sorted(one["hypervisor_hostname"] for one in cloud.get("compute", "/os-hypervisors/detail")["hypervisors"]),
        "providers": providers_of(cloud),
        "aggregates": {one["name"]: sorted(one["hosts"]) for one in cloud.get("compute", "/os-aggregates")["aggregates"]},
        "agents": sorted([agent["host"], agent["binary"]] for agent in cloud.get("network", "/agents")["agents"]),
        "migrations": {str(one["id"]): migration_facts(one) for one in cloud.pages("compute", "/os-migrations?limit=1000", "migrations")},
        "disks": None if disks is None else disks_in(disks),
    }


def server_facts(server: Facts) -> Facts:
    return {
        "name": server["name"],
        "project": server["tenant_id"],
        "host": server["OS-EXT-SRV-ATTR:host"],
        "status": server["status"],
        "task_state": server["OS-EXT-STS:task_state"],
        "locked": server["locked"],
        "flavor": server["flavor"],
        "image": (server["image"] or {}).get("id"),
        "metadata": server["metadata"],
        "tags": sorted(server.get("tags", [])),
        "key": server["key_name"],
        "addresses": {
            network: sorted([one["addr"], one["OS-EXT-IPS-MAC:mac_addr"]] for one in listed)
            for network, listed in server["addresses"].items()
        },
        "volumes": sorted(one["id"] for one in server["os-extended-volumes:volumes_attached"]),
        "fault": (server.get("fault") or {}).get("message"),
    }


def ports_of(cloud: Cloud) -> dict[str, Facts]:
    """Of servers, with every host that they are bound for: two while a live migration is under way."""
    found = {}
    for port in cloud.get("network", "/ports")["ports"]:
        if port["device_owner"].startswith("compute:"):
            bindings = cloud.get("network", f"/ports/{port['id']}/bindings")["bindings"]
            found[port["id"]] = {
                "server": port["device_id"],
                "mac": port["mac_address"],
                "addresses": sorted(ip["ip_address"] for ip in port["fixed_ips"]),
                "status": port["status"],
                "bound_for": sorted(binding["host"] for binding in bindings),
            }
    return found


def volumes_of(cloud: Cloud) -> dict[str, Facts]:
    attached = defaultdict(list)
    version = {"OpenStack-API-Version": f"volume {ATTACHMENTS}"}
    for attachment in cloud.get("block_storage", "/attachments/detail?all_tenants=1", **version)["attachments"]:
        attached[attachment["volume_id"]].append(attachment["instance"])
    return {
        volume["id"]: {
            "name": volume["name"],
            "status": volume["status"],
            "size": volume["size"],
            "attached_to": sorted(attached[volume["id"]]),
        }
        for volume in cloud.pages("block_storage", "/volumes/detail?all_tenants=1", "volumes")
    }


def providers_of(cloud: Cloud) -> dict[str, Facts]:
    """Provider's name -> consumer -> what it holds."""
    providers = {}
    for provider in cloud.get("placement", "/resource_providers", **PLACEMENT)["resource_providers"]:
        held = cloud.get("placement", f"/resource_providers/{provider['uuid']}/allocations", **PLACEMENT)["allocations"]
        providers[provider["name"]] = {consumer: one["resources"] for consumer, one in held.items()}
    return providers


def migration_facts(migration: Facts) -> Facts:
    keys = ("uuid", "instance_uuid", "migration_type", "status", "source_compute", "dest_compute", "created_at", "updated_at")
    return {key: migration.get(key) for key in keys}


def disks_in(folder: Path) -> dict[str, dict[str, str]]:
    """Server -> host -> SHA-256 of the disk that lies there."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(folder.glob("*/*.disk")):
        with path.open("rb") as disk:
            found[path.stem][path.parent.name] = hashlib.file_digest(disk, "sha256").hexdigest()
    return dict(found)


def refusals_of(cloud: Cloud, server: str, since: str) -> list[str]:
    """What Nova noted as failed of anything that was asked of a server from `since` on."""
    told = []
    for act in cloud.get("compute", f"/servers/{server}/os-instance-actions")["instanceActions"]:
        if act["start_time"] < since:
            continue
        whole: dict[str, Any] = cloud.get("compute", f"/servers/{server}/os-instance-actions/{act['request_id']}")["instanceAction"]
        failed = [event["event"] for event in whole.get("events") or [] if event.get("result") == "Error"]
        if act["message"] or failed:
            told.append(f"{act['action']}: {act['message'] or 'failed'}{' in ' + ', '.join(failed) if failed else ''}")
    return told
