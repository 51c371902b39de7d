"""What all tests share."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

POSTGRESQL_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Path]:
    """The socket folder of a PostgreSQL server of our own, with nothing but that socket, gone after the tests."""
    if not POSTGRESQL_BINARIES:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    binaries = POSTGRESQL_BINARIES[-1]
    # Not below pytest's own folder, into which the user postgres may not look.
    folder = Path(tempfile.mkdtemp(prefix="decamp-pg-", dir="/tmp"))
    folder.chmod(0o755)
    as_user: list[str] = []
    if os.geteuid() == 0:  # initdb refuses root
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data = folder / "data"
    server: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            [*as_user, binaries / "initdb", "-D", data, "-U", "decamp", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        options = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off", "max_connections": "100"}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([*as_user, binaries / "postgres", "-D", data, *arguments], stdout=log, stderr=log, cwd="/")
        _await_server(binaries, folder, server)
        yield folder
    finally:
        if server:
            server.terminate()
            server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: Path) -> Iterator[str]:
    """A new, empty database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    _psql(postgresql_server, f'CREATE DATABASE "{name}"')
    yield f"postgresql://decamp@/{name}?host={postgresql_server}"
    _psql(postgresql_server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _await_server(binaries: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while subprocess.run([binaries / "pg_isready", "-q", "-h", folder], check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.1)


def _psql(folder: Path, statement: str) -> None:
    command = [POSTGRESQL_BINARIES[-1] / "psql", "-q", "-h", folder, "-U", "decamp", "-d", "postgres", "-c", statement]
    subprocess.run(command, check=True, capture_output=True)
