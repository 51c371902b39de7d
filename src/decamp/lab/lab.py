"""A lab's life: up, status, down. Everything here can be interrupted and repeated."""

from __future__ import annotations

import fcntl
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import keystoneauth1.exceptions
import msgspec
import yaml
from openstack.connection import Connection
from openstack.exceptions import SDKException

from decamp.lab import (
    catalogue,
    configuration,
    content,
    databases,
    health,
    layout,
    machines,
    mounts,
    packages,
    prepared,
    schemas,
    undercloud,
    venvs,
)
from decamp.lab.connections import cloud_entry, connect, read_clouds_yaml, write_clouds_yaml
from decamp.lab.layout import CLOUDS, CloudName, Lab, Release, Settings
from decamp.lab.processes import Process, processes, write_plugins
from decamp.lab.processes import start as start_process
from decamp.lab.progress import Report, silent, step
from decamp.lab.supervise import Supervisor
from decamp.model.errors import BadInput, Failed

READY_SECONDS = 300.0
LOOK_SECONDS = 0.25


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    cloud: str
    service: str
    state: str
    """up, down (not running, or not answering) or waiting (answers, but its workers do not)."""
    pid: int | None
    port: int | None
    detail: str = ""


def up(folder: Path, settings: Settings | None = None, *, fresh: bool = False, report: Report = silent) -> Lab:
    """Bring all three clouds up and wait until they work. Does nothing to what works already.

    `settings` are those of a new lab; an existing one keeps its own. `fresh` puts back the pristine clouds first.
    Raises BadInput (packages missing, ports taken), Failed (a service does not start; its log's end is in the message).
    """
    packages.ensure(report)
    environments = venvs.ensure_all(report)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        lab = layout.load(folder) if layout.exists(folder) else layout.create(folder, settings or Settings())
        supervisor = Supervisor(folder)
        ready = prepared.exists(lab)
        if fresh or not ready:
            with step(report, "Stop what runs") if supervisor.names() else _nothing():
                _stop_all(lab, supervisor)
            if fresh and ready:
                with step(report, "Restore the prepared clouds"):
                    prepared.restore(lab)
            else:
                prepared.remove_state(lab)
                machines.create_all(lab)
            write_clouds_yaml(lab, {})
        _start(lab, supervisor, environments, first=not ready, report=report)
        if not ready:
            _fill(lab, report)
            _wait_until_ready(lab, supervisor, environments, report)
            with step(report, "Keep the prepared clouds for later"):
                prepared.take(lab, supervisor)
        _write_client_files(lab)
    return lab


def down(folder: Path, *, purge: bool = False, report: Report = silent) -> None:
    """End everything that `up` started, and undo its mounts. `purge` removes the lab's folder too; the shared environments stay."""
    if not folder.exists() or (not layout.exists(folder) and any(folder.iterdir())):
        raise BadInput(f"There is no lab in {folder}.")
    with _locked(folder):
        if layout.exists(folder):
            with step(report, "Stop the clouds"):
                _stop_all(layout.load(folder), Supervisor(folder))
        mounts.unmount_all(folder)
        if purge:
            with step(report, f"Remove {folder}"):
                shutil.rmtree(folder)


def status(folder: Path) -> list[ServiceStatus]:
    """Of every service, asked now."""
    lab = layout.load(folder)
    supervisor = Supervisor(folder)
    rows = [
        _process_status("lab", "mariadb", supervisor.pid(databases.MARIADB), lab.database_port, health.port_is_open),
        _process_status("lab", "rabbitmq", supervisor.pid(databases.RABBITMQ), lab.messaging_port, health.port_is_open),
    ]
    for cloud in CloudName:
        rows += _cloud_status(lab, cloud, supervisor)
    return rows


def is_up(folder: Path) -> bool:
    return layout.exists(folder) and all(row.state == "up" for row in status(folder))


def _start(lab: Lab, supervisor: Supervisor, environments: dict[Release, Path], *, first: bool, report: Report) -> None:
    lab.log_folder.mkdir(exist_ok=True)
    _refuse_taken_ports(lab, supervisor)
    write_plugins(lab)
    for cloud in CloudName:
        configuration.write_all(lab, cloud, environments[CLOUDS[cloud].release])
    mounts.mount_all(lab)
    with step(report, "MariaDB and RabbitMQ"):
        if not databases.is_initialised(lab):
            databases.initialise(lab)
        databases.start_mariadb(lab, supervisor)
        databases.start_rabbitmq(lab, supervisor)
        _wait_for_port(supervisor, databases.MARIADB, lab.database_port)
    every = [process for cloud in CloudName for process in processes(lab, cloud, environments[CLOUDS[cloud].release])]
    if first:
        schemas.create_all(lab, environments, report)
        keystones = [process for process in every if process.service == "keystone"]
        for process in keystones:
            start_process(lab, supervisor, process)
        for process in keystones:
            with step(report, f"Catalogue of {process.cloud}"):
                _wait_for_all(supervisor, [process], {process.name: lambda process=process: _silence(lab, process)}, lambda _: None)
                catalogue.create(lab, process.cloud)
    for process in every:
        start_process(lab, supervisor, process)
    _wait_until_ready(lab, supervisor, environments, report)


def _wait_until_ready(lab: Lab, supervisor: Supervisor, environments: dict[Release, Path], report: Report) -> None:
    every = [process for cloud in CloudName for process in processes(lab, cloud, environments[CLOUDS[cloud].release])]
    with step(report, "Wait for every service") as note:
        answers = {process.name: (lambda process=process: _silence(lab, process)) for process in every if process.role == "api"}
        _wait_for_all(supervisor, every, answers, lambda name: note(f"{name} answers"))
        works: dict[str, Callable[[], str | None]] = {}
        for cloud in CloudName:
            connection = connect(lab, cloud)
            for service, check in health.checks(lab, cloud, _since(supervisor, every)).items():
                works[f"{cloud}-{service}"] = lambda check=check, connection=connection: _asked(check, connection)
        _wait_for_all(supervisor, every, works, lambda name: note(f"{name} works"))


def _since(supervisor: Supervisor, every: Sequence[Process]) -> datetime:
    """When the youngest of the cloud's processes was started: what was reported before may be about a process that is gone."""
    started = [path.stat().st_mtime for process in every if (path := supervisor.record_path(process.name)).exists()]
    return datetime.fromtimestamp(max(started), UTC) - timedelta(seconds=1)


def _asked(check: health.Check, connection: Connection) -> str | None:
    try:
        return check(connection)
    except (SDKException, keystoneauth1.exceptions.ClientException) as error:
        return str(error)


def _silence(lab: Lab, process: Process) -> str | None:
    answers = health.api_answers(lab.port(process.cloud, process.service))
    return None if answers else f"{process.service} does not answer"


def _wait_for_all(
    supervisor: Supervisor, every: Sequence[Process], waited: Mapping[str, Callable[[], str | None]], arrived: Callable[[str], None]
) -> None:
    """Until nothing is missing any more. Raises Failed as soon as one of the processes ends, whichever it is."""
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
                raise Failed(
                    f"{process.name} ended while it was starting. The end of its log:\n{supervisor.tail(process.name, process.log)}"
                )
        time.sleep(LOOK_SECONDS)


def _wait_for_port(supervisor: Supervisor, name: str, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not health.port_is_open(port):
        if not supervisor.is_running(name) or time.monotonic() > deadline:
            raise Failed(f"{name} does not start. The end of its log:\n{supervisor.tail(name)}")
        time.sleep(LOOK_SECONDS)


def _fill(lab: Lab, report: Report) -> None:
    for cloud in (CloudName.OLD, CloudName.NEW):
        with step(report, f"Operator's content of {cloud}"):
            content.create(cloud, connect(lab, cloud))
    undercloud.create(lab, connect(lab, CloudName.UNDERCLOUD), report)


def _stop_all(lab: Lab, supervisor: Supervisor) -> None:
    """Services first, while what they say goodbye to is still there."""
    infrastructure = (databases.RABBITMQ, databases.PORT_MAPPER, databases.MARIADB)
    supervisor.stop(name for name in supervisor.names() if name not in infrastructure)
    supervisor.stop(infrastructure)
    mounts.unmount_all(lab.folder)


def _refuse_taken_ports(lab: Lab, supervisor: Supervisor) -> None:
    if supervisor.names():
        return
    base = lab.settings.port_base
    taken = [port for port in range(base, base + layout.PORTS_USED) if health.port_is_open(port)]
    if taken:
        numbers = ", ".join(map(str, taken))
        raise BadInput(f"Another program listens on port {numbers} of {layout.LOOPBACK}: give the lab others with --port-base.")


def _write_client_files(lab: Lab) -> None:
    """clouds.yaml, decamp.yaml and instackenv.json. What others added to the first two stays."""
    entries = {**read_clouds_yaml(lab), **{str(cloud): cloud_entry(lab, cloud) for cloud in CloudName}}
    write_clouds_yaml(lab, entries)
    machines.write_instackenv(lab)
    present: dict[str, Any] = (yaml.safe_load(lab.decamp_yaml.read_text()) or {}) if lab.decamp_yaml.exists() else {}
    stop = [sys.executable, "-m", "decamp.lab.compute_service", "--dir", str(lab.folder), "stop", "{host}"]
    ours = {
        "clouds": {str(cloud): str(cloud) for cloud in CloudName},
        "clouds_file": lab.clouds_yaml.name,
        "state": "sqlite:///decamp.sqlite",
        "stop_compute": {"command": stop},
        "expand": {
            "instackenv": lab.instackenv.name,
            "stack": undercloud.STACK,
            "count_parameter": undercloud.COUNT_PARAMETER,
            "resource_class": undercloud.RESOURCE_CLASS,
            "canary": {"image": content.CANARY_IMAGE, "flavor": content.CANARY_FLAVOR},
        },
    }
    mapping = {"network": {content.PUBLIC_NETWORK: content.PUBLIC_NETWORK}, "volume_type": {content.VOLUME_TYPE: content.VOLUME_TYPE}}
    lab.decamp_yaml.write_text(yaml.safe_dump({"mapping": mapping, **present, **ours}, sort_keys=False))


def _process_status(cloud: str, service: str, pid: int | None, port: int | None, answers: Callable[[int], bool]) -> ServiceStatus:
    detail = "not running" if pid is None else "" if port is None or answers(port) else "does not answer"
    return ServiceStatus(cloud=cloud, service=service, state="down" if detail else "up", pid=pid, port=port, detail=detail)


def _cloud_status(lab: Lab, cloud: CloudName, supervisor: Supervisor) -> list[ServiceStatus]:
    every = processes(lab, cloud, venvs.venv_folder(CLOUDS[cloud].release))
    rows = {
        process.name: _process_status(
            cloud,
            process.name.removeprefix(f"{cloud}-"),
            supervisor.pid(process.name),
            lab.port(cloud, process.service) if process.role == "api" else None,
            health.api_answers,
        )
        for process in every
    }
    if all(row.state == "up" for row in rows.values()):
        connection = connect(lab, cloud)
        for service, check in health.checks(lab, cloud, datetime.now(UTC) - timedelta(seconds=60)).items():
            if missing := _asked(check, connection):
                name = f"{cloud}-{service}"
                rows[name] = msgspec.structs.replace(rows[name], state="waiting", detail=f"missing: {missing}")
        nova = f"{cloud}-nova"
        if rows[nova].state == "up" and cloud is not CloudName.UNDERCLOUD:
            rows[nova] = msgspec.structs.replace(rows[nova], detail=f"{len(machines.started_hosts(lab, cloud))} computes")
    return list(rows.values())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failed(f"Another `decamp lab` works on {folder}: wait until it is done.") from error
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield
