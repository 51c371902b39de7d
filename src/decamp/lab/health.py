"""Whether the lab's services really work: ports that answer, hypervisors that are up, workers that do what the APIs hand them."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from datetime import UTC, datetime

from openstack.connection import Connection

from decamp.lab import machines
from decamp.lab.connections import connect_to_system
from decamp.lab.layout import CLOUDS, DEFAULT_PORT_BASE, LOOPBACK, PORTS_USED, CloudName, Lab
from decamp.model.errors import BadInput

PROBE_SECONDS = 4.0
SERVER_ERROR = 500


def port_is_open(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


def free_port_base() -> int:
    """The first range for a lab, from the default one on in steps of a thousand, in which nobody listens. Raises BadInput without one."""
    for base in range(DEFAULT_PORT_BASE, DEFAULT_PORT_BASE + 10_000, 1000):
        if not any(port_is_open(port) for port in range(base, base + PORTS_USED)):
            return base
    raise BadInput(f"Other programs listen in every range that a lab would take: name one of {PORTS_USED} free ports with --port-base.")


def api_answers(port: int) -> bool:
    """Any answer below 500: most roots answer 300 or 401 to a stranger."""
    client = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_SECONDS)
    try:
        client.request("GET", "/")
        return client.getresponse().status < SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


Check = Callable[[Connection], str | None]
"""None: it works. Else what is missing yet."""


def checks(lab: Lab, cloud: CloudName, since: datetime) -> dict[str, Check]:
    """Service -> what to ask it beyond its API. `since`: reports from before do not count."""
    every: dict[str, Check] = {
        "nova": lambda connection: _computes_are_up(lab, cloud, connection),
        "cinder": lambda connection: _volume_services_are_up(connection, since),
        "heat": _engine_answers,
        "ironic": lambda _: _conductor_has_drivers(lab, cloud),
    }
    return {service: check for service, check in every.items() if service in CLOUDS[cloud].services}


def _computes_are_up(lab: Lab, cloud: CloudName, connection: Connection) -> str | None:
    wanted = {"undercloud-compute"} if cloud is CloudName.UNDERCLOUD else set(machines.running_hosts(lab, cloud))
    started = set(machines.started_hosts(lab, cloud))
    up = {service.host for service in connection.compute.services(binary="nova-compute") if service.state == "up"}
    missing = sorted(wanted - (started & up))
    return f"nova-compute of {', '.join(missing)}" if missing else None


def _volume_services_are_up(connection: Connection, since: datetime) -> str | None:
    up = {
        service.binary
        for service in connection.block_storage.services()
        if service.state == "up" and service.updated_at and datetime.fromisoformat(service.updated_at).replace(tzinfo=UTC) >= since
    }
    missing = sorted({"cinder-scheduler", "cinder-volume"} - up)
    return ", ".join(missing) or None


def _engine_answers(connection: Connection) -> str | None:
    # the API hands this to the engine, and waits a minute for one that is not there yet
    response = connection.orchestration.get("/stacks", params={"limit": 1}, timeout=PROBE_SECONDS, connect_retries=0)
    return None if response.ok else "heat-engine"


def _conductor_has_drivers(lab: Lab, cloud: CloudName) -> str | None:
    names = {driver.name for driver in connect_to_system(lab, cloud).baremetal.drivers()}
    return None if machines.PM_TYPE in names else "ironic's conductor"
