"""The prepared state: a copy of everything that a pristine lab keeps on disk, taken once, so that later labs need no migrations."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from decamp.lab import databases
from decamp.lab.layout import CLOUDS, CloudName, Lab
from decamp.lab.supervise import Supervisor
from decamp.model.errors import Failed

STATEFUL = ("fernet", "credential-keys", "glance", "nova/disks", "cinder/share")


def exists(lab: Lab) -> bool:
    return (lab.prepared_folder / "complete").exists()


def take(lab: Lab, supervisor: Supervisor) -> None:
    """Copy the state of the running lab. MariaDB is held still for that moment: no commits, and no process that writes."""
    temporary = lab.folder / "prepared.partial"
    if temporary.exists():
        shutil.rmtree(temporary)
    pid = supervisor.pid(databases.MARIADB)
    if pid is None:
        raise Failed("MariaDB does not run: the prepared state cannot be taken.")
    with databases.commits_held(lab):
        os.kill(pid, signal.SIGSTOP)
        try:
            for part in _parts():
                _copy(lab.folder / part, temporary / part)
        finally:
            os.kill(pid, signal.SIGCONT)
    (temporary / "complete").touch()
    if lab.prepared_folder.exists():
        shutil.rmtree(lab.prepared_folder)
    temporary.rename(lab.prepared_folder)


def restore(lab: Lab) -> None:
    """Put the prepared state in place of the present one. Nothing of the lab may run."""
    remove_state(lab)
    for part in _parts():
        _copy(lab.prepared_folder / part, lab.folder / part)


def remove_state(lab: Lab) -> None:
    """Forget what the clouds hold. Settings, passwords and the prepared state stay."""
    for part in [*_parts(), *(str(cloud) for cloud in CloudName)]:
        if (lab.folder / part).exists():
            shutil.rmtree(lab.folder / part)


def _parts() -> list[str]:
    clouds = [
        f"{cloud}/{part}"
        for cloud, layout in CLOUDS.items()
        for part in STATEFUL
        if part.split("/")[0] in {*layout.services, "fernet", "credential-keys"}
    ]
    return ["mariadb", "machines", *clouds]


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["/bin/cp", "-a", "--sparse=always", "--reflink=auto", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"Copying {source} to {target} failed: {done.stderr.strip()}")
