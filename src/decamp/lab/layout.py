"""Where a lab lies and how it is laid out: its folder, its ports, its clouds and the sizes of its machines."""

from __future__ import annotations

import os
import secrets
from enum import StrEnum
from pathlib import Path

import msgspec

from decamp.model.errors import BadInput

LOOPBACK = "127.0.0.1"
DEFAULT_PORT_BASE = 21000
PORTS_USED = 80
"""A lab takes the ports from its base up to base + PORTS_USED - 1."""


class CloudName(StrEnum):
    OLD = "old"
    NEW = "new"
    UNDERCLOUD = "undercloud"


class Release(StrEnum):
    """An OpenStack release, by the name of its lock file in `locks/`."""

    ANTELOPE = "2023.1"
    CURRENT = "2026.2"


class CloudLayout(msgspec.Struct, frozen=True, kw_only=True):
    name: CloudName
    release: Release
    region: str
    services: tuple[str, ...]
    first_port: int
    """Counted from the lab's port base; the n-th service listens on first_port + n."""
    public_cidr: str | None
    """Of the external network `public`, for clouds that have tenants."""


TENANT_CLOUD = ("keystone", "glance", "placement", "nova", "neutron", "cinder", "heat", "swift")
SWIFT_STORAGE = ("account", "container", "object")
"""Swift's servers behind its proxy, on the ports after the proxy's."""
CLOUDS = {
    CloudName.OLD: CloudLayout(
        name=CloudName.OLD,
        release=Release.ANTELOPE,
        region="RegionOld",
        services=TENANT_CLOUD,
        first_port=10,
        public_cidr="203.0.113.0/24",
    ),
    CloudName.NEW: CloudLayout(
        name=CloudName.NEW,
        release=Release.CURRENT,
        region="RegionNew",
        services=TENANT_CLOUD,
        first_port=30,
        public_cidr="198.51.100.0/24",
    ),
    CloudName.UNDERCLOUD: CloudLayout(
        name=CloudName.UNDERCLOUD,
        release=Release.CURRENT,
        region="RegionUnder",
        services=("keystone", "glance", "placement", "nova", "neutron", "heat", "ironic"),
        first_port=50,
        public_cidr=None,
    ),
}


class MachineSize(msgspec.Struct, frozen=True, kw_only=True):
    vcpus: int = 16
    memory_mib: int = 16384
    disk_gib: int = 200


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a lab was made with. Kept in lab.json, so that later commands need only the folder."""

    port_base: int = DEFAULT_PORT_BASE
    old_hosts: int = 6
    new_hosts: int = 2
    machine: MachineSize = MachineSize()


class Passwords(msgspec.Struct, frozen=True, kw_only=True):
    """Generated once for each lab, kept in passwords.json, which only its owner can read."""

    admin: str
    service: str
    database: str
    messaging: str
    metadata: str
    """Shared between neutron and nova."""
    heat_domain: str
    encryption: str
    """Heat's key for what it stores; 32 characters."""


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    folder: Path
    settings: Settings
    passwords: Passwords

    def port(self, cloud: CloudName, service: str) -> int:
        layout = CLOUDS[cloud]
        return self.settings.port_base + layout.first_port + layout.services.index(service)

    def url(self, cloud: CloudName, service: str) -> str:
        return f"http://{LOOPBACK}:{self.port(cloud, service)}"

    def storage_port(self, cloud: CloudName, server: str) -> int:
        """Of one of Swift's servers."""
        return self.port(cloud, "swift") + 1 + SWIFT_STORAGE.index(server)

    @property
    def database_port(self) -> int:
        return self.settings.port_base

    @property
    def messaging_port(self) -> int:
        return self.settings.port_base + 1

    @property
    def erlang_distribution_port(self) -> int:
        return self.settings.port_base + 2

    @property
    def erlang_mapper_port(self) -> int:
        return self.settings.port_base + 3

    def cloud_folder(self, cloud: CloudName) -> Path:
        return self.folder / cloud

    def etc(self, cloud: CloudName) -> Path:
        return self.folder / cloud / "etc"

    @property
    def log_folder(self) -> Path:
        return self.folder / "log"

    @property
    def run_folder(self) -> Path:
        return self.folder / "run"

    @property
    def machines_folder(self) -> Path:
        """One file a simulated machine: see services/lab_machines.py."""
        return self.folder / "machines"

    @property
    def prepared_folder(self) -> Path:
        return self.folder / "prepared"

    @property
    def clouds_yaml(self) -> Path:
        return self.folder / "clouds.yaml"

    @property
    def decamp_yaml(self) -> Path:
        return self.folder / "decamp.yaml"

    @property
    def instackenv(self) -> Path:
        return self.folder / "instackenv.json"


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/decamp`, else `~/.cache/decamp`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "decamp"


def default_folder() -> Path:
    """`$DECAMP_LAB`, else `lab` in the cache folder."""
    named = os.environ.get("DECAMP_LAB")
    return Path(named).absolute() if named else cache_folder() / "lab"


def exists(folder: Path) -> bool:
    return (folder / "lab.json").exists()


def load(folder: Path) -> Lab:
    """The lab in `folder`. Raises BadInput where there is none."""
    try:
        settings = msgspec.json.decode((folder / "lab.json").read_bytes(), type=Settings)
        passwords = msgspec.json.decode((folder / "passwords.json").read_bytes(), type=Passwords)
    except FileNotFoundError as error:
        raise BadInput(f"There is no lab in {folder}: make one with `decamp lab up --dir {folder}`.") from error
    except msgspec.DecodeError as error:
        raise BadInput(
            f"The lab's settings in {folder} cannot be read ({error}): remove the folder with `decamp lab down --purge`."
        ) from error
    return Lab(folder=folder, settings=settings, passwords=passwords)


def create(folder: Path, settings: Settings) -> Lab:
    """A new lab's folder with its settings and fresh passwords."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    passwords = Passwords(
        admin=secrets.token_hex(12),
        service=secrets.token_hex(12),
        database=secrets.token_hex(12),
        messaging=secrets.token_hex(12),
        metadata=secrets.token_hex(12),
        heat_domain=secrets.token_hex(12),
        encryption=secrets.token_hex(16),
    )
    write_private(folder / "passwords.json", msgspec.json.format(msgspec.json.encode(passwords)))
    (folder / "lab.json").write_bytes(msgspec.json.format(msgspec.json.encode(settings)) + b"\n")
    return Lab(folder=folder, settings=settings, passwords=passwords)


def write_private(path: Path, content: bytes | str) -> None:
    """Write a file that only its owner can ever read, in place of what was there, all at once."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
