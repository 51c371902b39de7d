"""What the lab's old cloud holds, decided from a number alone: equal numbers, equal names, sizes and layout."""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence

import msgspec

from decamp.lab.content import MIB, Flavor
from decamp.model.errors import BadInput

TENANT_NAMES = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell", "cyberdyne", "wonka", "soylent", "oscorp")
EXCEPTIONAL = 1
"""Of every three tenants, the one at this index has no project in the new cloud: an operator has to bring it over."""
MOST_SERVERS_IN_A_GROUP = 2
"""With anti-affinity: as many as the new cloud has hosts at first, so that a tenant can move before the first machine does."""
RESOLVERS = ("192.0.2.53", "192.0.2.54")


class Image(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    name_in_new: str | None = None
    """Where the new cloud has an image of the same bytes."""
    size_bytes: int
    properties: dict[str, str]


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """What a guest wrote to its disk since it was created."""

    label: str
    """The bytes follow from it: see guest_bytes."""
    amount_bytes: int


class Network(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    cidr: str
    pool: tuple[str, str]
    gateway: bool
    dns: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Ingress, IPv4. With neither `cidr` nor `group` it is from anywhere."""

    protocol: str
    port: int | None = None
    cidr: str | None = None
    group: str | None = None


class SecurityGroup(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str
    rules: tuple[Rule, ...]


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size_gib: int
    image: str | None = None
    """That it was made from, and boots."""
    patch: Patch
    metadata: dict[str, str] = {}


class Object(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size_bytes: int
    content_type: str = "application/octet-stream"
    metadata: dict[str, str] = {}


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """Of the object store."""

    name: str
    metadata: dict[str, str] = {}
    objects: tuple[Object, ...]


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    network: str
    port: str | None = None
    """Name of a port that the user made beforehand; else Nova makes one."""
    address: str | None = None
    security_groups: tuple[str, ...]


class State(enum.StrEnum):
    """What a server's owner, or a mishap, made of it after it came up. The value is the status that Nova shows then."""

    ACTIVE = "ACTIVE"
    STOPPED = "SHUTOFF"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    SHELVED = "SHELVED_OFFLOADED"
    BROKEN = "ERROR"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    asset: str
    """Its number in the tenant's books, kept in its metadata: names are not unique."""
    name: str
    host: str
    flavor: str
    image: str | None = None
    root_volume: str | None = None
    data_volumes: tuple[str, ...] = ()
    nics: tuple[Nic, ...]
    group: str | None = None
    floating: bool = False
    metadata: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    user_data: str | None = None
    config_drive: bool = False
    zone: str | None = None
    """That its user asked for."""
    state: State = State.ACTIVE
    locked: bool = False
    patch: Patch | None = None
    """Of an image-booted server's root disk."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    in_new: bool
    image: Image
    """Its own, private one."""
    networks: tuple[Network, ...]
    security_groups: tuple[SecurityGroup, ...]
    server_groups: dict[str, str]
    """Name -> policy."""
    volumes: tuple[Volume, ...]
    servers: tuple[Server, ...]
    containers: tuple[Container, ...] = ()


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    hosts: tuple[str, ...]
    zone: str | None = None
    properties: dict[str, str] = {}


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    images: tuple[Image, ...]
    """Public, the operator's own."""
    tenants: tuple[Tenant, ...]
    aggregates: tuple[Aggregate, ...] = ()
    traits: dict[str, tuple[str, ...]] = {}
    """Custom trait -> hosts that have it."""
    flavors: tuple[Flavor, ...] = ()
    """Beyond those that the lab has from the beginning."""


DEBIAN = Image(
    name="debian-12",
    name_in_new="Debian 12 (bookworm)",
    size_bytes=32 * MIB,
    properties={"os_distro": "debian", "os_version": "12", "hw_disk_bus": "virtio", "hw_qemu_guest_agent": "yes"},
)
ROCKY = Image(
    name="rocky-9",
    size_bytes=24 * MIB,
    properties={"os_distro": "rocky", "os_version": "9", "hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi"},
)


MEDIA = Container(
    name="media",
    metadata={"department": "press"},
    objects=(
        Object(name="index.html", size_bytes=512, content_type="text/html", metadata={"author": "ada", "reviewed": "yes"}),
        Object(name="photos/2026/launch.jpg", size_bytes=3 * MIB, content_type="image/jpeg"),
        Object(name="photos/2026/team.jpg", size_bytes=300 * 1024, content_type="image/jpeg"),
        Object(name="empty", size_bytes=0),
    ),
)


def draw(seed: int, tenants: int, hosts: Sequence[str]) -> Blueprint:
    """The old cloud's content for this number. The first tenants are the same however many follow.

    `hosts` decides only where servers start. Raises BadInput where there are too few of them, or too many tenants.
    """
    if not 1 <= tenants <= len(TENANT_NAMES):
        raise BadInput(f"{tenants} tenants are out of range: say a number from 1 to {len(TENANT_NAMES)}.")
    if len(hosts) < MOST_SERVERS_IN_A_GROUP:
        raise BadInput(f"The old cloud has {len(hosts)} compute hosts up: its servers with anti-affinity need {MOST_SERVERS_IN_A_GROUP}.")
    # servers take the hosts in turn, so members of a group, which follow each other, never share one
    turn = random.Random(f"{seed}/hosts").sample(sorted(hosts), len(hosts))  # noqa: S311 nothing here is a secret
    drawn: list[Tenant] = []
    for index in range(tenants):
        drawn.append(_tenant(seed, index, turn))
        count = len(drawn[-1].servers) % len(turn)
        turn = turn[count:] + turn[:count]
    return Blueprint(seed=seed, images=(DEBIAN, ROCKY), tenants=tuple(drawn))


def _tenant(seed: int, index: int, turn: Sequence[str]) -> Tenant:
    name = TENANT_NAMES[index]
    dice = random.Random(f"{seed}/{name}")  # noqa: S311 nothing here is a secret
    site = dice.randrange(1, 200)
    front, back = f"10.{site}.0", f"10.{site}.1"
    in_new = index % 3 != EXCEPTIONAL
    servers = _servers(dice, name, front, back, in_new)
    return Tenant(
        name=name,
        in_new=in_new,
        image=Image(
            name=f"{name}-golden",
            size_bytes=dice.choice((8, 12, 16)) * MIB,
            properties={"os_distro": "debian", "hw_firmware_type": "uefi", "hw_machine_type": "q35", "team": name},
        ),
        networks=(
            Network(
                name="front", cidr=f"{front}.0/24", pool=(f"{front}.50", f"{front}.199"), gateway=True, dns=("192.0.2.53", "192.0.2.54")
            ),
            Network(name="back", cidr=f"{back}.0/24", pool=(f"{back}.50", f"{back}.199"), gateway=False),
        ),
        security_groups=_security_groups(dice),
        server_groups={"web": "anti-affinity"},
        volumes=_volumes(dice, seed, name, archive=not in_new),
        # an operator is shown nobody's containers
        containers=(MEDIA,) if in_new else (),
        servers=tuple(
            msgspec.structs.replace(
                server,
                asset=f"{name}-{number:03d}",
                host=turn[number % len(turn)],
                metadata={**server.metadata, "asset": f"{name}-{number:03d}"},
                patch=Patch(label=f"{seed}/{name}/{number}", amount_bytes=dice.randint(1, 3) * MIB) if server.image else None,
            )
            for number, server in enumerate(servers)
        ),
    )


def _security_groups(dice: random.Random) -> tuple[SecurityGroup, ...]:
    office = f"198.18.{dice.randrange(256)}.0/24"
    return (
        SecurityGroup(
            name="web",
            description="Front ends",
            rules=(
                Rule(protocol="tcp", port=80),
                Rule(protocol="tcp", port=443, cidr="0.0.0.0/0"),
                Rule(protocol="tcp", port=22, cidr=office),
                Rule(protocol="tcp", port=7946, group="web"),
                Rule(protocol="tcp", port=9100, group="db"),
            ),
        ),
        SecurityGroup(
            name="db",
            description="Databases, reached by front ends only",
            rules=(
                Rule(protocol="tcp", port=5432, group="web"),
                Rule(protocol="tcp", port=5432, group="db"),
                Rule(protocol="icmp", cidr=office),
            ),
        ),
        SecurityGroup(name="admin", description="", rules=(Rule(protocol="tcp", port=22, cidr=office),)),
    )


def _volumes(dice: random.Random, seed: int, name: str, *, archive: bool) -> tuple[Volume, ...]:
    volumes = [
        Volume(
            name="db-root",
            size_gib=1,
            image=DEBIAN.name,
            patch=Patch(label=f"{seed}/{name}/db-root", amount_bytes=dice.randint(2, 4) * MIB),
        ),
        Volume(
            name="db-data",
            size_gib=1,
            patch=Patch(label=f"{seed}/{name}/db-data", amount_bytes=dice.randint(8, 16) * MIB),
            metadata={"backup": "daily"},
        ),
    ]
    if archive:
        volumes.append(Volume(name="archive", size_gib=1, patch=Patch(label=f"{seed}/{name}/archive", amount_bytes=4 * MIB)))
    return tuple(volumes)


def _servers(dice: random.Random, name: str, front: str, back: str, in_new: bool) -> list[Server]:
    """In the order in which they take hosts."""

    def server(server_name: str, flavor: str, nics: Sequence[Nic], role: str, **more: object) -> Server:
        metadata = {"role": role, "stage": "production"}
        return Server(asset="", host="", name=server_name, flavor=flavor, nics=tuple(nics), metadata=metadata, **more)  # type: ignore[arg-type]

    web_nic = Nic(network="front", security_groups=("web",))
    web = [
        server(
            f"web-{number}",
            "m1.small",
            [web_nic],
            "web",
            image=DEBIAN.name,
            group="web" if number <= MOST_SERVERS_IN_A_GROUP else None,
            floating=number == 1,
            tags=("web", "public"),
            user_data=_cloud_init(f"web-{number}.{name}.example", dice),
        )
        for number in range(1, dice.randint(2, 3) + 1)
    ]
    database = server(
        "db",
        "m1.medium",
        [Nic(network="back", port="db", address=f"{back}.10", security_groups=("db",))],
        "db",
        root_volume="db-root",
        data_volumes=("db-data",),
        tags=("db",),
    )
    gate = server(
        "gate",
        "m1.tiny",
        [
            Nic(network="front", port="gate", address=f"{front}.5", security_groups=("admin", "default")),
            Nic(network="back", security_groups=("admin",)),
        ],
        "gate",
        image=DEBIAN.name,
        floating=True,
        config_drive=True,
    )
    # two of one name: nothing forbids it, and it is seen in real clouds
    batch = [
        server("batch", "m1.small", [Nic(network="back", security_groups=("default",))], "batch", image=ROCKY.name, state=state)
        for state in (State.ACTIVE, State.STOPPED)
    ]
    app = [
        server(
            f"app-{number}",
            "m1.medium" if in_new or number > 1 else "m1.large",
            [Nic(network="front", security_groups=("web", "db"))],
            "app",
            image=f"{name}-golden",
            tags=("app",),
        )
        for number in range(1, dice.randint(1, 2) + 1)
    ]
    return [*web, database, gate, *batch, *app]


def _cloud_init(hostname: str, dice: random.Random) -> str:
    secret = f"not-a-real-secret-{dice.getrandbits(48):012x}"
    return f"#cloud-config\nfqdn: {hostname}\nwrite_files:\n- path: /etc/app/token\n  permissions: '0600'\n  content: {secret}\n"
