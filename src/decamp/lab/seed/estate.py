"""An old cloud to be vacated, decided from a number alone: many small servers in zones, groups and states, on twice the hosts they need."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec

from decamp.lab.content import FLAVORS, MIB, Flavor
from decamp.lab.layout import CloudName, MachineSize
from decamp.lab.seed.blueprint import Aggregate, Blueprint, Image, Network, Nic, Patch, Server, State, Tenant, Volume
from decamp.model.errors import BadInput

FEWEST_HOSTS = 10
SERVERS_A_HOST = 6
FULLEST = 0.8
"""Share of a host's memory that servers take at most at the beginning."""
TENANT_NAMES = ("aperture", "duff", "monarch", "nakatomi", "sirius")
TRAIT = "CUSTOM_FAST_DISK"
FAST = Flavor(name="f1.small", vcpus=1, memory_mib=1024, disk_gib=2, extra_specs={f"trait:{TRAIT}": "required"})
ORDINARY = {"m1.tiny": 40, "m1.small": 30, "m1.medium": 25, "m1.large": 5}
"""Flavor -> how often."""
MEMORY_MIB = {flavor.name: flavor.memory_mib for flavor in (*FLAVORS[CloudName.OLD], FAST)}
BASE = Image(name="cirros", size_bytes=MIB, properties={"os_distro": "cirros"})
GROUP_SIZE = 4


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is there for a reason; what is left open is drawn."""

    name: str
    flavor: str | None = None
    """Null: an ordinary one is drawn."""
    hosts: Sequence[str] = ()
    """One of these; empty: any."""
    group: str | None = None
    zone: str | None = None
    state: State = State.ACTIVE
    locked: bool = False
    nic: bool = False
    root_volume: str | None = None
    data_volumes: tuple[str, ...] = ()


class _Hosts:
    """Where servers were put, and how much memory is left there."""

    def __init__(self, dice: random.Random, names: Sequence[str]) -> None:
        self._dice = dice
        self._room_mib = dict.fromkeys(names, int(MachineSize().memory_mib * FULLEST))
        self._members: dict[tuple[str, str], list[str]] = {}

    def place(self, tenant: Tenant, wish: Wish) -> str:
        """Draw a host that has room and that the group's policy allows."""
        memory_mib = MEMORY_MIB[wish.flavor or ""]
        policy = tenant.server_groups.get(wish.group or "", "")
        taken = self._members.setdefault((tenant.name, wish.group or ""), [])
        fits = [name for name in wish.hosts or self._room_mib if self._room_mib[name] >= memory_mib]
        if policy == "affinity" and taken:
            fits = taken[:1]
        if policy == "anti-affinity":
            fits = [name for name in fits if name not in taken]
        host = self._dice.choice(fits)
        self._room_mib[host] -= memory_mib
        taken.append(host)
        return host


def draw(seed: int, hosts: Sequence[str]) -> Blueprint:
    """The same for the same number and hosts. Raises BadInput where there are too few hosts."""
    if len(hosts) < FEWEST_HOSTS:
        raise BadInput(f"The old cloud has {len(hosts)} compute hosts up: a cloud to be vacated needs {FEWEST_HOSTS}.")
    names = sorted(hosts)
    half = len(names) // 2
    zones = {"east": names[:half], "west": names[half:]}
    dice = random.Random(f"{seed}/estate")  # noqa: S311 nothing here is a secret
    places = _Hosts(dice, names)
    wishes = _wishes(names, zones)
    ordinary = len(names) * SERVERS_A_HOST - sum(map(len, wishes.values()))
    drawn: list[tuple[Tenant, Wish]] = []
    for index, (name, own) in enumerate(wishes.items()):
        count = ordinary // len(wishes) + (index < ordinary % len(wishes))
        filling = [Wish(name=f"vm-{number}", nic=number == 1) for number in range(1, count + 1)]
        tenant = _empty(seed, name)
        drawn += [(tenant, _decided(dice, wish)) for wish in (*own, *filling)]
    # the choosiest first, while there is room everywhere
    at = {id(wish): places.place(tenant, wish) for tenant, wish in sorted(drawn, key=lambda one: (not one[1].hosts, not one[1].group))}
    tenants: dict[str, Tenant] = {}
    for tenant, wish in drawn:
        so_far = tenants.get(tenant.name, tenant)
        server = _server(seed, dice, so_far, wish, at[id(wish)])
        tenants[tenant.name] = msgspec.structs.replace(so_far, servers=(*so_far.servers, server))
    return Blueprint(
        seed=seed,
        images=(BASE,),
        tenants=tuple(tenants.values()),
        aggregates=(
            *(Aggregate(name=f"zone-{zone}", zone=zone, hosts=tuple(members)) for zone, members in zones.items()),
            Aggregate(name="ssd", hosts=tuple(names[::4]), properties={"ssd": "true"}),
        ),
        traits={TRAIT: tuple(_fast(names))},
        flavors=(FAST,),
    )


def _fast(names: Sequence[str]) -> list[str]:
    return [name for number, name in enumerate(names) if number % 4 < 2]


def _wishes(names: Sequence[str], zones: Mapping[str, Sequence[str]]) -> dict[str, list[Wish]]:
    """Tenant -> servers that are not just any. What no plan may move is together on few hosts, as it is where operators see to it."""

    def several(name: str, count: int, **more: object) -> list[Wish]:
        return [Wish(name=f"{name}-{number}", **more) for number in range(1, count + 1)]  # type: ignore[arg-type]

    stuck, pets, pair = names[3], names[-4], names[7]
    return {
        "aperture": [
            *several("web", GROUP_SIZE, flavor="m1.small", group="web", nic=True),
            *several("api", GROUP_SIZE, flavor="m1.small", group="api"),
        ],
        "duff": [
            *several("spread", GROUP_SIZE, group="spread"),
            *several("near", GROUP_SIZE, group="near"),
            *several("pair", 2, group="pair", hosts=[pair]),
        ],
        "monarch": [
            Wish(name="db", flavor="m1.medium", root_volume="db-root", nic=True),
            Wish(name="files", flavor="m1.small", data_volumes=("files-data",)),
            *several("fast", 8, flavor=FAST.name, hosts=_fast(names)),
        ],
        "nakatomi": [
            *(wish for zone, members in zones.items() for wish in several(zone, 6, zone=zone, hosts=members)),
            *several("locked", 2, locked=True, hosts=[pets]),
        ],
        "sirius": [
            *several("stopped", 12, state=State.STOPPED),
            *several("paused", 3, state=State.PAUSED),
            *several("suspended", 2, state=State.SUSPENDED, hosts=[stuck]),
            *several("shelved", 2, state=State.SHELVED),
            Wish(name="broken", state=State.BROKEN, hosts=[stuck]),
        ],
    }


def _empty(seed: int, name: str) -> Tenant:
    """A tenant before its servers."""
    site = 100 + TENANT_NAMES.index(name)
    network = Network(name="lan", cidr=f"10.{site}.0.0/24", pool=(f"10.{site}.0.50", f"10.{site}.0.199"), gateway=False)
    groups = {
        "aperture": {"web": "anti-affinity", "api": "anti-affinity"},
        "duff": {"spread": "soft-anti-affinity", "near": "soft-affinity", "pair": "affinity"},
    }
    volumes = (
        Volume(name="db-root", size_gib=1, image=BASE.name, patch=Patch(label=f"{seed}/{name}/db-root", amount_bytes=MIB)),
        Volume(name="files-data", size_gib=1, patch=Patch(label=f"{seed}/{name}/files-data", amount_bytes=MIB)),
    )
    return Tenant(
        name=name,
        in_new=False,
        image=Image(name=f"{name}-golden", size_bytes=MIB, properties={"team": name}),
        networks=(network,),
        security_groups=(),
        server_groups=groups.get(name, {}),
        volumes=volumes if name == "monarch" else (),
        servers=(),
    )


def _decided(dice: random.Random, wish: Wish) -> Wish:
    return wish if wish.flavor else msgspec.structs.replace(wish, flavor=dice.choices([*ORDINARY], [*ORDINARY.values()])[0])


def _server(seed: int, dice: random.Random, tenant: Tenant, wish: Wish, host: str) -> Server:
    asset = f"{tenant.name}-{len(tenant.servers):03d}"
    image = None if wish.root_volume else dice.choice((BASE.name, tenant.image.name))
    return Server(
        asset=asset,
        name=wish.name,
        host=host,
        flavor=wish.flavor or "",
        image=image,
        root_volume=wish.root_volume,
        data_volumes=wish.data_volumes,
        nics=(Nic(network="lan", security_groups=("default",)),) if wish.nic else (),
        group=wish.group,
        metadata={"role": wish.name.rpartition("-")[0] or wish.name, "asset": asset},
        zone=wish.zone,
        state=wish.state,
        locked=wish.locked,
        patch=Patch(label=f"{seed}/estate/{asset}", amount_bytes=MIB // 4) if image else None,
    )
