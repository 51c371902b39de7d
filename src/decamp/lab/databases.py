"""The lab's private MariaDB and RabbitMQ: own ports on loopback, own data folders, generated passwords."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from decamp.lab.configuration import database_names
from decamp.lab.layout import CLOUDS, LOOPBACK, CloudName, Lab, write_private
from decamp.lab.supervise import Supervisor
from decamp.model.errors import Bug, Failed

MARIADB = "mariadb"
RABBITMQ = "rabbitmq"
PORT_MAPPER = "epmd"
"""Erlang's; RabbitMQ would start one that nobody stops."""


def data_folder(lab: Lab) -> Path:
    return lab.folder / "mariadb"


def is_initialised(lab: Lab) -> bool:
    return (data_folder(lab) / "initialised").exists()


def initialise(lab: Lab) -> None:
    """Make MariaDB's empty data folder. What an interrupted attempt left is removed first."""
    folder = data_folder(lab)
    if folder.exists():
        shutil.rmtree(folder)
    command = [
        "mariadb-install-db",
        "--no-defaults",
        *_as_root(),
        f"--datadir={folder}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed("mariadb-install-db failed:\n" + "\n".join(done.stdout.splitlines()[-15:]))
    (folder / "initialised").touch()


def start_mariadb(lab: Lab, supervisor: Supervisor) -> None:
    """The statements of the init file run at each start, so passwords and databases are always there."""
    password = lab.passwords.database
    statements = [
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';",
        f"CREATE USER IF NOT EXISTS 'lab'@'{LOOPBACK}';",
        f"ALTER USER 'lab'@'{LOOPBACK}' IDENTIFIED BY '{password}';",
        f"GRANT ALL ON *.* TO 'lab'@'{LOOPBACK}';",
        *(f"CREATE DATABASE IF NOT EXISTS {name} DEFAULT CHARACTER SET utf8mb3;" for cloud in CloudName for name in database_names(cloud)),
    ]
    init_file = lab.folder / "mariadb-init.sql"
    write_private(init_file, "\n".join(statements) + "\n")
    write_private(
        client_options(lab),
        f"[client]\nuser = lab\npassword = {password}\nhost = {LOOPBACK}\nport = {lab.database_port}\nprotocol = tcp\n",
    )
    # a MariaDB that starts deletes every temporary table that it finds in its folder for them: never share /tmp with another server
    scratch = lab.folder / "mariadb-tmp"
    scratch.mkdir(mode=0o700, exist_ok=True)
    arguments = [
        "/usr/sbin/mariadbd", "--no-defaults", *_as_root(), f"--datadir={data_folder(lab)}", f"--init-file={init_file}",
        f"--tmpdir={scratch}",
        f"--socket={data_folder(lab)}/mariadb.sock", f"--pid-file={data_folder(lab)}/mariadb.pid",
        f"--bind-address={LOOPBACK}", f"--port={lab.database_port}", "--skip-name-resolve", "--character-set-server=utf8mb3",
        "--max-connections=1000", "--performance-schema=OFF", "--skip-log-bin", "--sync-binlog=0", "--key-buffer-size=8M",
        "--aria-pagecache-buffer-size=8M", "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=48M",
        # a lab's data need not survive the machine's crash: no fsync, half the time of schema migrations
        "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync",
        # so that a stopped process writes nothing: see prepared.take
        "--innodb-use-native-aio=0",
    ]  # fmt: skip
    supervisor.start(MARIADB, arguments, dict(os.environ))


def client_options(lab: Lab) -> Path:
    """An option file for MariaDB's client programs, so that no password stands on a command line."""
    return lab.folder / "mariadb-client.cnf"


def copy_database(lab: Lab, source: str, target: str) -> None:
    """Replace what is in the database `target` by a copy of `source`."""
    options = f"--defaults-extra-file={client_options(lab)}"
    with subprocess.Popen(
        ["/usr/bin/mariadb-dump", options, "--single-transaction", "--skip-comments", source], stdout=subprocess.PIPE
    ) as dump:
        loaded = subprocess.run(["/usr/bin/mariadb", options, target], stdin=dump.stdout, stderr=subprocess.PIPE, text=True, check=False)
    if dump.returncode or loaded.returncode:
        raise Failed(f"Copying the database {source} to {target} failed: {loaded.stderr.strip()}")


@contextmanager
def commits_held(lab: Lab) -> Iterator[None]:
    """Nothing is committed while this is open: a global read lock, held by a client that waits."""
    client = ["/usr/bin/mariadb", f"--defaults-extra-file={client_options(lab)}", "--batch", "--skip-column-names", "--unbuffered"]
    with subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise Bug("The client of MariaDB was started without pipes.")
        process.stdin.write("FLUSH TABLES WITH READ LOCK;\nSELECT 'held';\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != "held":
            raise Failed("MariaDB did not grant a global read lock.")
        try:
            yield
        finally:
            process.stdin.write("UNLOCK TABLES;\n")
            process.stdin.close()


def start_rabbitmq(lab: Lab, supervisor: Supervisor) -> None:
    """Nothing in RabbitMQ outlives its process: users and virtual hosts come from a definitions file at each start."""
    if supervisor.is_running(RABBITMQ):
        return
    folder = lab.folder / "rabbitmq"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    write_private(folder / "definitions.json", msgspec.json.encode(definitions(lab)))
    settings = {
        "loopback_users": "none",
        "vm_memory_high_watermark.absolute": "512MB",
        "default_user": "lab",
        "default_pass": lab.passwords.messaging,
        "load_definitions": folder / "definitions.json",
    }
    write_private(folder / "rabbitmq.conf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
    (folder / "enabled_plugins").write_text("[].\n")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"decamp-lab-{lab.settings.port_base}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(lab.messaging_port),
        "RABBITMQ_DIST_PORT": str(lab.erlang_distribution_port),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "ERL_EPMD_PORT": str(lab.erlang_mapper_port),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        # two cores are enough for other things to do: one scheduler thread, no busy waiting
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
    }
    mapper = ["/usr/bin/epmd", "-port", str(lab.erlang_mapper_port), "-address", LOOPBACK]
    supervisor.start(PORT_MAPPER, mapper, dict(os.environ))
    supervisor.start(RABBITMQ, ["/usr/lib/rabbitmq/bin/rabbitmq-server"], environment)


def definitions(lab: Lab) -> dict[str, object]:
    """RabbitMQ's definitions document. Salted hash: https://www.rabbitmq.com/docs/passwords#computing-password-hash"""
    salt = secrets.token_bytes(4)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + lab.passwords.messaging.encode()).digest()).decode()
    hosts = [str(cloud) for cloud in CLOUDS]
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [{"name": "lab", "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "administrator"}],
        "vhosts": [{"name": host} for host in hosts],
        "permissions": [{"user": "lab", "vhost": host, **everything} for host in hosts],
    }


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []
