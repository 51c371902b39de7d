"""Waits until the lab's processes answer and work, and notices at once when one of them ends instead."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import keystoneauth1.exceptions
from openstack.connection import Connection
from openstack.exceptions import SDKException

from decamp.lab import health
from decamp.lab.connections import connect
from decamp.lab.layout import CloudName, Lab
from decamp.lab.processes import Process
from decamp.lab.progress import Report, step
from decamp.lab.supervise import Supervisor
from decamp.model.errors import Failed

READY_SECONDS = 600.0
LOOK_SECONDS = 0.25


def wait_until_ready(lab: Lab, supervisor: Supervisor, every: Sequence[Process], report: Report) -> None:
    """Raises Failed with the end of the logs where a process ends, or something is still missing after READY_SECONDS."""
    with step(report, "Wait for every service") as note:
        wait_for_apis(lab, supervisor, every, lambda name: note(f"{name} answers"))
        since = _last_start(supervisor, every)
        works: dict[str, Callable[[], str | None]] = {}
        for cloud in CloudName:
            connection = connect(lab, cloud)
            for service, check in health.checks(lab, cloud, since).items():
                works[f"{cloud}-{service}"] = lambda check=check, connection=connection: ask(check, connection)
        _wait_for_all(supervisor, every, works, lambda name: note(f"{name} works"))


def wait_for_apis(lab: Lab, supervisor: Supervisor, every: Sequence[Process], arrived: Callable[[str], None] = lambda _: None) -> None:
    answers = {process.name: (lambda process=process: _silence(lab, process)) for process in every if process.role == "api"}
    _wait_for_all(supervisor, every, answers, arrived)


def wait_for_port(supervisor: Supervisor, name: str, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not health.port_is_open(port):
        if not supervisor.is_running(name) or time.monotonic() > deadline:
            raise Failed(f"{name} does not start. The end of its log:\n{supervisor.tail(name)}")
        time.sleep(LOOK_SECONDS)


def ask(check: health.Check, connection: Connection) -> str | None:
    """What is missing, or what the cloud complained about instead of telling; None where all is well."""
    try:
        return check(connection)
    except (SDKException, keystoneauth1.exceptions.ClientException) as error:
        return str(error)


def _last_start(supervisor: Supervisor, every: Sequence[Process]) -> datetime:
    """When the youngest process was started: what a service reported before may be about a process that is gone."""
    started = [path.stat().st_mtime for process in every if (path := supervisor.record_path(process.name)).exists()]
    return datetime.fromtimestamp(max(started), UTC) - timedelta(seconds=1)


def _silence(lab: Lab, process: Process) -> str | None:
    answers = health.api_answers(lab.port(process.cloud, process.service))
    return None if answers else f"{process.name} does not answer"


def _wait_for_all(
    supervisor: Supervisor, every: Sequence[Process], waited: Mapping[str, Callable[[], str | None]], arrived: Callable[[str], None]
) -> None:
    deadline = time.monotonic() + READY_SECONDS
    left = dict(waited)
    while left:
        for name, missing in list(left.items()):
            what = missing()
            if what is None:
                del left[name]
                arrived(name)
            elif time.monotonic() > deadline:
                tails = "\n".join(supervisor.tail(process.name, process.log) for process in every if process.name.startswith(name))
                raise Failed(f"Not there after {READY_SECONDS:.0f} s: {what}. The ends of the logs:\n{tails}")
        for process in every:
            if not supervisor.is_running(process.name):
                end = supervisor.tail(process.name, process.log)
                raise Failed(f"{process.name} ended while the lab was starting. The end of its log:\n{end}")
        time.sleep(LOOK_SECONDS)
