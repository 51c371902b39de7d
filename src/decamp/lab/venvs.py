"""The Python environments that the lab's services run in: one for each release, shared by all labs of a user."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

from decamp.lab.layout import Release, cache_folder
from decamp.lab.progress import Report, step
from decamp.model.errors import BadInput, Failed

PYTHON_VERSION = "3.11"
"""The one that both releases run on: 2023.1's eventlet does not start on 3.12."""


def lock_text(release: Release) -> str:
    return (resources.files("decamp.lab") / "locks" / f"{release}.txt").read_text()


def venv_folder(release: Release) -> Path:
    """Named after the lock file's content: another set of packages is another folder."""
    digest = hashlib.sha256(f"{PYTHON_VERSION}\n{lock_text(release)}".encode()).hexdigest()[:16]
    return cache_folder() / "venvs" / f"{release}-{digest}"


def is_complete(release: Release) -> bool:
    return (venv_folder(release) / "complete").exists()


def ensure_all(report: Report) -> dict[Release, Path]:
    """Make what is missing, side by side, and return every release's folder."""
    missing = [release for release in Release if not is_complete(release)]
    if missing:
        with step(report, "Install OpenStack"):
            uv, python = find_uv(), find_python()
            with ThreadPoolExecutor(len(missing)) as pool:
                list(pool.map(lambda release: _ensure(release, uv, python, report), missing))
    return {release: venv_folder(release) for release in Release}


def _ensure(release: Release, uv: str, python: str, report: Report) -> None:
    folder = venv_folder(release)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_complete(release):
            return
        with step(report, f"Install OpenStack {release}"):
            if folder.exists():
                shutil.rmtree(folder)
            requirements = folder.parent / f".{folder.name}.txt"
            requirements.write_text(lock_text(release))
            # bytecode halves the start of every service
            environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}}
            _run([uv, "venv", "--quiet", "--python", python, str(folder)], environment)
            install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--no-deps", "--requirement", str(requirements)]
            _run([*install, "--python", str(folder / "bin" / "python")], environment)
            (folder / "complete").touch()


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-15:])
        raise Failed(f"`{' '.join(command[:3])}` for the lab's Python environment ended with {done.returncode}:\n{end}")


def find_python() -> str:
    """A Python of the version that the services need. Raises BadInput where there is none."""
    found = python_found()
    if found is None:
        raise BadInput(f"The lab's services need Python {PYTHON_VERSION}, and there is no python{PYTHON_VERSION} on the PATH: install it.")
    return found


def python_found() -> str | None:
    if sys.version_info[:2] == tuple(int(part) for part in PYTHON_VERSION.split(".")):
        return sys.executable
    return shutil.which(f"python{PYTHON_VERSION}")


def find_uv() -> str:
    """`uv` beside this Python, on the PATH, or in an environment of the lab's own, which is made with pip."""
    beside = Path(sys.executable).parent / "uv"
    own = cache_folder() / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found:
        return found
    if not (own / "bin" / "uv").exists():
        _run([find_python(), "-m", "venv", str(own)], dict(os.environ))
        _run([str(own / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"], dict(os.environ))
    return str(own / "bin" / "uv")
