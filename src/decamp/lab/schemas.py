"""Makes the services' database schemas, and Keystone's and Nova's first rows. Needed once in a lab's life."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from decamp.lab.configuration import DATABASES, database_name, database_url
from decamp.lab.databases import copy_database
from decamp.lab.layout import CLOUDS, CloudName, Lab, Release, write_private
from decamp.lab.processes import SERVICES
from decamp.lab.progress import Report, step
from decamp.model.errors import Failed


def create_all(lab: Lab, venvs: dict[Release, Path], report: Report) -> None:
    """Migrate each release's schemas once, side by side; the undercloud is of the new cloud's release and gets copies."""
    lanes: list[Callable[[], None]] = [
        lambda: _migrate(lab, CloudName.OLD, venvs, ("nova", "cinder", "heat"), report),
        lambda: _migrate(lab, CloudName.OLD, venvs, ("neutron", "keystone", "glance", "placement"), report),
        lambda: _migrate(lab, CloudName.NEW, venvs, ("nova", "cinder", "heat"), report),
        lambda: _migrate(lab, CloudName.NEW, venvs, ("neutron", "keystone", "glance", "placement"), report),
        lambda: _migrate(lab, CloudName.UNDERCLOUD, venvs, ("ironic",), report),
    ]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(lane) for lane in lanes]:
            done.result()
    shared = [service for service in CLOUDS[CloudName.UNDERCLOUD].services if service in CLOUDS[CloudName.NEW].services]
    with step(report, "Copy the new release's schemas to the undercloud"), ThreadPoolExecutor(2) as pool:
        names = [database for service in shared for database in DATABASES[service]]
        list(
            pool.map(
                lambda name: copy_database(lab, database_name(CloudName.NEW, name), database_name(CloudName.UNDERCLOUD, name)),
                names,
            )
        )
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda cloud: _first_rows(lab, cloud, venvs[CLOUDS[cloud].release], report), CloudName))


def _migrate(lab: Lab, cloud: CloudName, venvs: dict[Release, Path], services: tuple[str, ...], report: Report) -> None:
    venv = venvs[CLOUDS[cloud].release]
    etc = lab.etc(cloud)
    neutron = [f"{etc}/neutron/neutron.conf", "--config-file", f"{etc}/neutron/ml2_conf.ini"]
    commands: dict[str, list[list[str]]] = {
        "keystone": [["keystone-manage", "--config-file", f"{etc}/keystone/keystone.conf", "db_sync"]],
        "glance": [["glance-manage", "--config-file", f"{etc}/glance/glance-api.conf", "db_sync"]],
        "placement": [["placement-manage", "--config-file", f"{etc}/placement/placement.conf", "db", "sync"]],
        "nova": [
            _nova_manage(lab, cloud, "api_db", "sync"),
            # cell0 has the schema of a cell, and must be mapped before the cells are migrated
            _nova_manage(lab, cloud, "cell_v2", "map_cell0", "--database_connection", database_url(lab, cloud, "nova_cell0")),
            _nova_manage(lab, cloud, "db", "sync"),
        ],
        "neutron": [["neutron-db-manage", "--config-file", *neutron, "upgrade", "heads"]],
        "cinder": [["cinder-manage", "--config-file", f"{etc}/cinder/cinder.conf", "db", "sync"]],
        "heat": [["heat-manage", "--config-file", f"{etc}/heat/heat.conf", "db_sync"]],
        "ironic": [["ironic-dbsync", "--config-file", f"{etc}/ironic/ironic.conf", "create_schema"]],
    }  # fmt: skip
    for service in services:
        with step(report, f"Database schema of {cloud} {service}"):
            for command in commands[service]:
                _run(lab, venv, command)


def _first_rows(lab: Lab, cloud: CloudName, venv: Path, report: Report) -> None:
    keystone = ["keystone-manage", "--config-file", f"{lab.etc(cloud)}/keystone/keystone.conf"]
    url = f"{lab.url(cloud, 'keystone')}/v3"
    with step(report, f"First rows of {cloud}"):
        for repository in ("fernet", "credential-keys"):
            _write_keys(lab.cloud_folder(cloud) / repository)
        urls = [option for kind in ("public", "internal", "admin") for option in (f"--bootstrap-{kind}-url", url)]
        # the password comes by the environment, where other users cannot read it
        secret = {"OS_BOOTSTRAP_PASSWORD": lab.passwords.admin}
        _run(lab, venv, [*keystone, "bootstrap", "--bootstrap-region-id", CLOUDS[cloud].region, *urls], secret)
        if cloud is CloudName.UNDERCLOUD:
            # its cells' rows are copies of the new cloud's: point them at its own databases
            cell0 = database_url(lab, cloud, "nova_cell0")
            _run(lab, venv, _nova_manage(lab, cloud, "cell_v2", "update_cell", "--cell_uuid", "00000000-0000-0000-0000-000000000000",
                                         "--transport-url", "none:///", "--database_connection", cell0))  # fmt: skip
        _run(lab, venv, _nova_manage(lab, cloud, "cell_v2", "create_cell", "--name", "cell1"))


def _write_keys(repository: Path) -> None:
    """What `keystone-manage fernet_setup` and `credential_setup` leave behind: a primary key, 1, and the next one, 0."""
    repository.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("0", "1"):
        write_private(repository / name, base64.urlsafe_b64encode(secrets.token_bytes(32)))


def _nova_manage(lab: Lab, cloud: CloudName, *arguments: str) -> list[str]:
    return ["nova-manage", "--config-file", f"{lab.etc(cloud)}/nova/nova.conf", *arguments]


def _run(lab: Lab, venv: Path, command: list[str], secret: dict[str, str] | None = None) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
    if command[0] == "placement-manage":
        environment["OS_PLACEMENT_CONFIG_DIR"] = str(Path(command[2]).parent)
    environment |= {"PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1", **(secret or {})}
    environment |= {"PYTHONPATH": f"{SERVICES}:{lab.folder}/plugins", "XDG_CACHE_HOME": str(lab.folder / "cache")}
    done = subprocess.run(
        [str(venv / "bin" / command[0]), *command[1:]],
        env=environment,
        cwd=lab.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    with (lab.log_folder / "schemas.log").open("a") as log:
        log.write(done.stdout)
    if done.returncode:
        raise Failed(f"`{' '.join(command[:1] + command[3:])}` ended with {done.returncode}:\n" + "\n".join(done.stdout.splitlines()[-15:]))
