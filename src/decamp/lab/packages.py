"""The Debian packages that the lab needs: which are missing, and their installation without starting any service of theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decamp.lab import venvs
from decamp.lab.progress import Report, step
from decamp.model.errors import BadInput, Failed

PROGRAMS = {
    "mariadb-server": "/usr/sbin/mariadbd",
    "mariadb-client": "/usr/bin/mariadb-dump",
    "rabbitmq-server": "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "qemu-utils": "/usr/bin/qemu-img",
    # 2023.1's lock file has packages without wheels for this Python
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "libssl-dev": "/usr/include/openssl/crypto.h",
}
"""Package -> a file that it brings."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""invoke-rc.d asks this program before it starts a service; 101 forbids it. See Debian's invoke-rc.d(8)."""


def missing() -> list[str]:
    return [package for package, program in PROGRAMS.items() if not Path(program).exists()] + _python_packages_missing()


def _python_packages_missing() -> list[str]:
    """Debian's Python, where no other of the version that the services need is there, and the headers of the one that is."""
    python = venvs.python_found()
    if python is None:
        return [f"python{venvs.PYTHON_VERSION}-dev"]
    question = "import pathlib, sysconfig; print(pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists())"
    answer = subprocess.run([python, "-c", question], capture_output=True, text=True, check=False).stdout.strip()
    return [] if answer == "True" else [f"python{venvs.PYTHON_VERSION}-dev"]


def ensure(report: Report) -> None:
    """Install what is missing. Raises BadInput with the list where that takes rights that nobody here has."""
    names = missing()
    if not names:
        return
    prefix = root_prefix()
    if prefix is None or shutil.which("apt-get") is None:
        raise BadInput(f"The lab needs Debian packages that are not installed: {' '.join(names)}. Install them as root, then try again.")
    with step(report, f"Install Debian packages: {' '.join(names)}"), services_stay_stopped(prefix):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run([*prefix, "apt-get", "update", "-qq"], environment)
        _run(
            [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends", *names],
            environment,
        )


def root_prefix() -> list[str] | None:
    """What to put before a command so that it runs as root: nothing for root, sudo where it asks no password, else None."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


@contextmanager
def services_stay_stopped(prefix: list[str]) -> Iterator[None]:
    """Keep packages from starting their services while they are installed. What was there before is left as it was."""
    if POLICY.exists():
        yield
        return
    _run([*prefix, "install", "-m", "755", "/dev/stdin", str(POLICY)], dict(os.environ), stdin="#!/bin/sh\nexit 101\n")
    try:
        yield
    finally:
        _run([*prefix, "rm", "-f", str(POLICY)], dict(os.environ))


def _run(command: list[str], environment: dict[str, str], stdin: str = "") -> None:
    done = subprocess.run(command, env=environment, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}:\n" + "\n".join(done.stdout.splitlines()[-15:]))
