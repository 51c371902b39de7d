"""Kept states: copies of everything that a lab keeps on disk. The first one, `pristine`, spares later labs all migrations and set-up."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from decamp.lab import databases
from decamp.lab.layout import CLOUDS, CloudName, Lab, Release
from decamp.lab.supervise import Supervisor
from decamp.lab.venvs import lock_text
from decamp.model.errors import BadInput, Failed

PRISTINE = "pristine"
STATEFUL = ("fernet", "credential-keys", "glance", "nova/disks", "cinder/share", "swift/devices")
CLIENT_FILES = ("clouds.yaml", "decamp.yaml", "decamp.sqlite", "decamp.sqlite-wal", "decamp.sqlite-shm")
"""What users of the lab keep in its folder; it speaks of things in the clouds, so it goes with them."""


def exists(lab: Lab, name: str = PRISTINE) -> bool:
    return _marker(lab, name).exists()


def fits(lab: Lab, name: str = PRISTINE) -> bool:
    """Whether a kept state was made with the packages that would run on it now."""
    return exists(lab, name) and _marker(lab, name).read_text() == _packages()


def take(lab: Lab, supervisor: Supervisor, name: str = PRISTINE) -> None:
    """Copy the state of the running lab. MariaDB is held still for that moment: no commits, and no process that writes."""
    temporary = lab.prepared_folder / f".{name}"
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    pid = supervisor.pid(databases.MARIADB)
    if pid is None:
        raise Failed("MariaDB does not run: the lab's state cannot be kept.")
    with databases.commits_held(lab):
        os.kill(pid, signal.SIGSTOP)
        try:
            for part in _parts():
                _copy(lab.folder / part, temporary / part)
        finally:
            os.kill(pid, signal.SIGCONT)
    (temporary / "complete").write_text(_packages())
    target = lab.prepared_folder / name
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)


def restore(lab: Lab, name: str = PRISTINE) -> None:
    """Put a kept state in place of the present one. Nothing of the lab may run. Raises BadInput for one that was never kept."""
    if not exists(lab, name):
        raise BadInput(f"The lab in {lab.folder} has no kept state {name!r}.")
    remove_state(lab)
    for part in _parts():
        _copy(lab.prepared_folder / name / part, lab.folder / part)


def remove_state(lab: Lab) -> None:
    """Forget what the clouds hold. Settings, passwords, logs and kept states stay."""
    for part in [*_parts(), *(str(cloud) for cloud in CloudName)]:
        path = lab.folder / part
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _marker(lab: Lab, name: str) -> Path:
    return lab.prepared_folder / name / "complete"


def _packages() -> str:
    return hashlib.sha256("".join(lock_text(release) for release in Release).encode()).hexdigest()


def _parts() -> list[str]:
    clouds = [
        f"{cloud}/{part}"
        for cloud, layout in CLOUDS.items()
        for part in STATEFUL
        if part.split("/")[0] in {*layout.services, "fernet", "credential-keys"}
    ]
    return ["mariadb", "machines", *clouds, *CLIENT_FILES]


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["/bin/cp", "-a", "--sparse=always", "--reflink=auto", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"Copying {source} to {target} failed: {done.stderr.strip()}")
