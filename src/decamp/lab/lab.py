"""A lab's life: up, status, down. Everything here can be interrupted and repeated."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml

from decamp.clouds import translated
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
    readiness,
    schemas,
    undercloud,
    venvs,
)
from decamp.lab.connections import cloud_entry, connect, read_clouds_yaml, write_clouds_yaml
from decamp.lab.layout import CLOUDS, CloudName, Lab, Settings
from decamp.lab.processes import Process, processes, write_plugins
from decamp.lab.processes import start as start_process
from decamp.lab.progress import Report, silent, step
from decamp.lab.supervise import Supervisor
from decamp.model.errors import BadInput, Failed

SERVICE_STOP_SECONDS = 5.0
"""Some wait a minute for requests that nobody makes any more; what they know is in the databases."""
DATABASE_STOP_SECONDS = 120.0
FRESH_REPORT_SECONDS = 60
"""A worker that reported within this counts as up: Nova's and Cinder's default service_down_time."""


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    cloud: str
    service: str
    state: str
    """up, down (not running, or not answering) or waiting (answers, but its workers do not)."""
    pid: int | None
    port: int | None
    detail: str = ""


def up(folder: Path, settings: Settings | None = None, *, restore: str | None = None, report: Report = silent) -> Lab:
    """Bring all three clouds up and wait until they work. Does nothing to what works already.

    `settings` are those of a new lab; an existing one keeps its own. `restore` names a kept state that is put back first; all that was
    made since is lost. Raises BadInput (packages missing, ports taken, no such state) and Failed (a service does not start; the end of its
    log is in the message).
    """
    packages.ensure(report)
    venvs.ensure_all(report)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder), translated(f"the lab in {folder}"):
        lab = layout.load(folder) if layout.exists(folder) else layout.create(folder, settings or Settings())
        supervisor = Supervisor(folder)
        if not prepared.fits(lab) and prepared.exists(lab) and restore != prepared.PRISTINE:
            raise BadInput(
                f"The lab in {folder} was prepared with other packages than this Decamp's. Make it anew with `decamp lab up --fresh`; "
                "what is in its clouds will be lost."
            )
        if not prepared.fits(lab):
            _prepare(lab, supervisor, report)
            return lab
        if restore:
            _stop_all(lab, supervisor, report)
            with step(report, f"Restore the kept state {restore}"):
                prepared.restore(lab, restore)
        _start(lab, supervisor, report)
        _write_client_files(lab)
    return lab


def keep(folder: Path, name: str, *, report: Report = silent) -> None:
    """Copy the state of a running lab, to be restored by `up(restore=name)`."""
    lab = layout.load(folder)
    if not name.isidentifier():
        raise BadInput(f"{name!r} cannot name a kept state: use letters, digits and underscores.")
    with _locked(folder), step(report, f"Keep the lab's state as {name}"):
        prepared.take(lab, Supervisor(folder), name)


def down(folder: Path, *, purge: bool = False, report: Report = silent) -> None:
    """End everything that `up` started, and undo its mounts. `purge` removes the lab's folder too; the shared environments stay."""
    if not layout.exists(folder):
        raise BadInput(f"There is no lab in {folder}.")
    with _locked(folder):
        _stop_all(layout.load(folder), Supervisor(folder), report)
        if purge:
            with step(report, f"Remove {folder}"):
                shutil.rmtree(folder)


def status(folder: Path) -> list[ServiceStatus]:
    """Of every service, asked now."""
    lab = layout.load(folder)
    supervisor = Supervisor(folder)
    rows = [
        _process_status("lab", databases.MARIADB, supervisor.pid(databases.MARIADB), lab.database_port, health.port_is_open),
        _process_status("lab", databases.RABBITMQ, supervisor.pid(databases.RABBITMQ), lab.messaging_port, health.port_is_open),
    ]
    for cloud in CloudName:
        rows += _cloud_status(lab, cloud, supervisor)
    return rows


def is_up(folder: Path) -> bool:
    return layout.exists(folder) and all(row.state == "up" for row in status(folder))


def _processes(lab: Lab) -> list[Process]:
    return [process for cloud in CloudName for process in processes(lab, cloud, venvs.venv_folder(CLOUDS[cloud].release))]


def _prepare(lab: Lab, supervisor: Supervisor, report: Report) -> None:
    """From nothing to the pristine clouds, running, and a copy of them. What an interrupted attempt left is removed first."""
    _stop_all(lab, supervisor, report)
    prepared.remove_state(lab)
    machines.create_all(lab)
    _start_infrastructure(lab, supervisor, report)
    schemas.create_all(lab, {layout.release: venvs.venv_folder(layout.release) for layout in CLOUDS.values()}, report)
    keystones = [process for process in _processes(lab) if process.service == "keystone"]
    for process in keystones:
        start_process(lab, supervisor, process)
    with step(report, "Users and catalogues"):
        readiness.wait_for_apis(lab, supervisor, keystones)
        for process in keystones:
            catalogue.create(lab, process.cloud)
    _start(lab, supervisor, report)
    for cloud in (CloudName.OLD, CloudName.NEW):
        with step(report, f"Operator's content of {cloud}"):
            content.create(cloud, connect(lab, cloud))
    undercloud.create(lab, connect(lab, CloudName.UNDERCLOUD), report)
    # now with the compute hosts that the undercloud deployed
    readiness.wait_until_ready(lab, supervisor, _processes(lab), report)
    _write_client_files(lab)
    with step(report, "Keep the pristine clouds for later"):
        prepared.take(lab, supervisor)


def _start_infrastructure(lab: Lab, supervisor: Supervisor, report: Report) -> None:
    lab.log_folder.mkdir(exist_ok=True)
    _refuse_taken_ports(lab, supervisor)
    write_plugins(lab)
    for cloud in CloudName:
        configuration.write_all(lab, cloud, venvs.venv_folder(CLOUDS[cloud].release))
    mounts.mount_all(lab)
    with step(report, "MariaDB and RabbitMQ"):
        if not databases.is_initialised(lab):
            databases.initialise(lab)
        databases.start_mariadb(lab, supervisor)
        databases.start_rabbitmq(lab, supervisor)
        readiness.wait_for_port(supervisor, databases.MARIADB, lab.database_port)


def _start(lab: Lab, supervisor: Supervisor, report: Report) -> None:
    _start_infrastructure(lab, supervisor, report)
    every = _processes(lab)
    for process in every:
        start_process(lab, supervisor, process)
    readiness.wait_until_ready(lab, supervisor, every, report)


def _stop_all(lab: Lab, supervisor: Supervisor, report: Report) -> None:
    """Services first, while what they say goodbye to is still there."""
    names = supervisor.names()
    if names:
        infrastructure = (databases.RABBITMQ, databases.PORT_MAPPER, databases.MARIADB)
        with step(report, "Stop the clouds"):
            supervisor.stop((name for name in names if name not in infrastructure), seconds=SERVICE_STOP_SECONDS)
            supervisor.stop(infrastructure, seconds=DATABASE_STOP_SECONDS)
    mounts.unmount_all(lab.folder)


def _refuse_taken_ports(lab: Lab, supervisor: Supervisor) -> None:
    wanted = {databases.MARIADB: lab.database_port, databases.RABBITMQ: lab.messaging_port}
    wanted |= {process.name: lab.port(process.cloud, process.service) for process in _processes(lab) if process.role == "api"}
    taken = [port for name, port in wanted.items() if not supervisor.is_running(name) and health.port_is_open(port)]
    if taken:
        numbers = ", ".join(map(str, taken))
        raise BadInput(
            f"Another program listens on port {numbers} of {layout.LOOPBACK}: end it, or remove this lab with "
            "`decamp lab down --purge` and make one with another --port-base."
        )


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
    rows = {
        process.name: _process_status(
            cloud,
            process.name.removeprefix(f"{cloud}-"),
            supervisor.pid(process.name),
            lab.port(cloud, process.service) if process.role == "api" else None,
            health.api_answers,
        )
        for process in _processes(lab)
        if process.cloud is cloud
    }
    if all(row.state == "up" for row in rows.values()):
        connection = connect(lab, cloud)
        for service, check in health.checks(lab, cloud, datetime.now(UTC) - timedelta(seconds=FRESH_REPORT_SECONDS)).items():
            if missing := readiness.ask(check, connection):
                name = f"{cloud}-{service}"
                rows[name] = msgspec.structs.replace(rows[name], state="waiting", detail=f"missing: {missing}")
        nova = f"{cloud}-nova"
        if rows[nova].state == "up" and cloud is not CloudName.UNDERCLOUD:
            rows[nova] = msgspec.structs.replace(rows[nova], detail=f"{len(machines.started_hosts(lab, cloud))} compute hosts")
    return list(rows.values())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failed(f"Another `decamp lab` works on {folder}: wait until it is done.") from error
        yield
