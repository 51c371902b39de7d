"""Old clouds to plan on: filled by Nova's way of spreading, then left by servers at random, as an old cloud is that people move away from.

Three kinds of hosts, bought in three years; ten servers a host when the cloud was full. Every placement is one that Nova could have made.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Iterable
from random import Random

import msgspec

from decamp.model.amounts import Inventory
from decamp.model.survey import Group, Host, Pinned, Server, Survey

SERVERS_PER_HOST = 10
MIB, GIB = 2**20, 2**30

ZONES = ("az1", "az2", "az3")
EGRESS = "CUSTOM_EGRESS_MBPS"
"""A class of the operator's own, by `resources:` of the larger flavors."""
AVX512 = "HW_CPU_X86_AVX512F"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    weight: int
    threads: int
    memory_gib: int
    disk_gb: int
    nic_mbps: int
    max_live_migrations: int
    traits: tuple[str, ...]
    """The last is the class of its CPUs: a server whose CPU model is the host's runs on that class or a later one."""


KINDS = (
    Kind(
        weight=40,
        threads=32,
        memory_gib=192,
        disk_gb=480,
        nic_mbps=10_000,
        max_live_migrations=1,
        traits=("HW_CPU_X86_AVX2", "CUSTOM_CPU_HASWELL"),
    ),
    Kind(
        weight=35,
        threads=48,
        memory_gib=256,
        disk_gb=800,
        nic_mbps=10_000,
        max_live_migrations=1,
        traits=("HW_CPU_X86_AVX2", AVX512, "CUSTOM_CPU_HASWELL", "CUSTOM_CPU_SKYLAKE"),
    ),
    Kind(
        weight=25,
        threads=64,
        memory_gib=384,
        disk_gb=960,
        nic_mbps=25_000,
        max_live_migrations=2,
        traits=("HW_CPU_X86_AVX2", AVX512, "CUSTOM_CPU_HASWELL", "CUSTOM_CPU_SKYLAKE", "CUSTOM_CPU_ICELAKE"),
    ),
)


class Flavor(msgspec.Struct, frozen=True, kw_only=True):
    weight: int
    vcpus: int
    memory_gib: int
    disk_gb: int
    egress_mbps: int = 0


FLAVORS = (
    Flavor(weight=14, vcpus=2, memory_gib=4, disk_gb=20),
    Flavor(weight=20, vcpus=4, memory_gib=8, disk_gb=40),
    Flavor(weight=18, vcpus=8, memory_gib=16, disk_gb=80),
    Flavor(weight=12, vcpus=16, memory_gib=32, disk_gb=160, egress_mbps=500),
    Flavor(weight=8, vcpus=16, memory_gib=16, disk_gb=40),
    Flavor(weight=14, vcpus=4, memory_gib=32, disk_gb=80),
    Flavor(weight=8, vcpus=8, memory_gib=64, disk_gb=160, egress_mbps=500),
    Flavor(weight=2, vcpus=16, memory_gib=128, disk_gb=320, egress_mbps=1000),
    Flavor(weight=4, vcpus=8, memory_gib=24, disk_gb=500, egress_mbps=1000),
)

STATUSES = (("ACTIVE", 94), ("SHUTOFF", 5), ("PAUSED", 1))
PINNED = (Pinned.PCI_DEVICE, Pinned.CPU_PINNING, Pinned.NUMA, Pinned.LOCKED)

VOLUME_BACKED, IN_A_ZONE, NEEDS_AVX512, CPU_OF_ITS_HOST, IS_PINNED = 0.6, 0.3, 0.05, 0.4, 0.03
"""Shares of servers. One that boots from a volume has no local disk; the others' whole disk is taken for what a migration moves of it."""

GROUPS = (
    ("anti-affinity", 0.08, (2, 3, 3, 5, 8)),
    ("affinity", 0.004, (2,)),
    ("soft-anti-affinity", 0.04, (3, 5)),
    ("soft-affinity", 0.01, (3,)),
)
"""Policy, the share of servers in such groups, the numbers of members to choose from."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is asked for, before it has a host."""

    flavor: Flavor
    volume_backed: bool
    zone: str | None
    traits: tuple[str, ...]
    group: Group | None


def instance(hosts: int, *, remaining: float, constraints: bool, seed: int) -> Survey:
    """A survey of that many hosts, on which the share `remaining` of the servers that filled it is left. Equal arguments, equal surveys.

    Without `constraints` there are no zones, traits, groups or pinned servers: only room counts.
    """
    random = Random(f"{hosts} {remaining} {constraints} {seed}")  # noqa: S311
    spread = _Spread([_host(number, random, constraints) for number in range(hosts)])
    servers: list[Server] = []
    waiting: list[Wish] = []
    while len(servers) < hosts * SERVERS_PER_HOST and spread.misses < 200:
        waiting = waiting or _wishes(random, constraints)
        wish = waiting.pop()
        if host := spread.place(wish):
            servers.append(_server(len(servers), wish, host, random, constraints))
    left = sorted(random.sample(range(len(servers)), round(remaining * len(servers))))
    servers = [servers[number] for number in left]
    return Survey(
        cloud="old",
        taken_at="2026-11-25T00:00:00Z",
        admin=True,
        hosts=tuple(spread.hosts),
        servers=tuple(servers),
        groups=_groups_left(spread.groups.values(), servers),
    )


def _host(number: int, random: Random, constraints: bool) -> Host:
    kind = random.choices(KINDS, [kind.weight for kind in KINDS])[0]
    return Host(
        name=f"cmp-{number:05d}",
        provider=_uuid(random),
        state="up",
        status="enabled",
        inventories={
            "VCPU": Inventory(total=kind.threads, allocation_ratio=2.0),
            "MEMORY_MB": Inventory(total=kind.memory_gib * 1024, reserved=8192),
            "DISK_GB": Inventory(total=kind.disk_gb, reserved=20),
            EGRESS: Inventory(total=kind.nic_mbps, reserved=1000),
        },
        zone=ZONES[number % len(ZONES)] if constraints else "nova",
        traits=kind.traits if constraints else (),
        nic_mbps=kind.nic_mbps,
        max_live_migrations=kind.max_live_migrations,
    )


def _wishes(random: Random, constraints: bool) -> list[Wish]:
    """One server, or as many as a group has members: these are alike, as the nodes of one application are."""
    flavor = random.choices(FLAVORS, [flavor.weight for flavor in FLAVORS])[0]
    group = _new_group(random) if constraints else None
    wish = Wish(
        flavor=flavor,
        volume_backed=random.random() < VOLUME_BACKED,
        zone=random.choice(ZONES) if constraints and random.random() < IN_A_ZONE else None,
        traits=(AVX512,) if constraints and random.random() < NEEDS_AVX512 else (),
        group=None if group is None else group[0],
    )
    return [wish] * (1 if group is None else group[1])


def _new_group(random: Random) -> tuple[Group, int] | None:
    for policy, share, sizes in GROUPS:
        if random.random() < share * len(sizes) / sum(sizes):
            return Group(id=_uuid(random), policy=policy), random.choice(sizes)
    return None


def _server(number: int, wish: Wish, host: Host, random: Random, constraints: bool) -> Server:
    flavor = wish.flavor
    local_bytes = 0 if wish.volume_backed else flavor.disk_gb * GIB
    needs_cpu = constraints and random.random() < CPU_OF_ITS_HOST
    is_pinned = constraints and random.random() < IS_PINNED
    return Server(
        id=_uuid(random),
        name=f"server-{number:06d}",
        project=f"project-{random.randrange(200):03d}",
        host=host.name,
        status=random.choices([status for status, _ in STATUSES], [weight for _, weight in STATUSES])[0],
        allocations=_ALLOCATIONS[flavor, wish.volume_backed],
        migration_bytes=flavor.memory_gib * GIB + local_bytes,
        zone=wish.zone,
        traits=tuple(sorted({*wish.traits, host.traits[-1]})) if needs_cpu else wish.traits,
        group=wish.group and wish.group.id,
        pinned=random.choice(PINNED) if is_pinned else None,
    )


def _allocations(flavor: Flavor, volume_backed: bool) -> dict[str, int]:
    amounts = {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.memory_gib * 1024, "DISK_GB": 0 if volume_backed else flavor.disk_gb}
    return {name: amount for name, amount in {**amounts, EGRESS: flavor.egress_mbps}.items() if amount}


_ALLOCATIONS = {(flavor, backed): _allocations(flavor, backed) for flavor in FLAVORS for backed in (True, False)}


def _groups_left(groups: Iterable[Group], servers: Iterable[Server]) -> tuple[Group, ...]:
    members: dict[str, list[str]] = {}
    for server in servers:
        if server.group is not None:
            members.setdefault(server.group, []).append(server.id)
    return tuple(msgspec.structs.replace(group, members=tuple(members[group.id])) for group in groups if group.id in members)


def _uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class _Spread:
    """Nova's scheduler with its defaults: of the hosts that pass the filters, the one with the most free of memory, CPUs and disk.

    (nova/scheduler/weights: ram, cpu and disk, each divided by the largest, with multiplier 1.) Hosts that are alike to the filters of
    zones and traits lie in one heap for each demand. Nothing leaves while the cloud fills: a host that is too full for a demand leaves
    that heap for good, and one that has become fuller sinks when it is looked at.
    """

    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = hosts
        self.free = [{name: inventory.usable() for name, inventory in host.inventories.items()} for host in hosts]
        self.largest = {name: max((free[name] for free in self.free), default=1) for name in ("MEMORY_MB", "VCPU", "DISK_GB")}
        self.weights = [self._weight(number) for number in range(len(hosts))]
        self.groups: dict[str, Group] = {}
        self.members: dict[str, list[int]] = {}
        self.misses = 0
        self.alike: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for number, host in enumerate(hosts):
            self.alike.setdefault((host.zone, host.traits), []).append(number)
        self.heaps: dict[tuple[str, tuple[str, ...], Flavor, bool], list[tuple[float, int]]] = {}

    def place(self, wish: Wish) -> Host | None:
        found = self._beside_its_group(wish) or self._candidates(wish)
        self.misses = 0 if found else self.misses + 1
        if not found:
            return None
        number = min(found, key=lambda one: (self.weights[one], one))
        for name, amount in _ALLOCATIONS[wish.flavor, wish.volume_backed].items():
            self.free[number][name] -= amount
        self.weights[number] = self._weight(number)
        if wish.group:
            self.groups[wish.group.id] = wish.group
            self.members.setdefault(wish.group.id, []).append(number)
        return self.hosts[number]

    def _beside_its_group(self, wish: Wish) -> list[int]:
        if wish.group is None or wish.group.policy not in {"affinity", "soft-affinity"}:
            return []
        return [number for number in self.members.get(wish.group.id, ()) if self._has_room(number, wish)]

    def _candidates(self, wish: Wish) -> list[int]:
        if wish.group is not None and wish.group.policy == "affinity" and wish.group.id in self.members:
            return []
        found = (
            self._best(zone, traits, wish) for zone, traits in self.alike if wish.zone in {None, zone} and set(wish.traits) <= set(traits)
        )
        return [number for number in found if number is not None]

    def _best(self, zone: str, traits: tuple[str, ...], wish: Wish) -> int | None:
        key = (zone, traits, wish.flavor, wish.volume_backed)
        if key not in self.heaps:
            self.heaps[key] = sorted((self.weights[number], number) for number in self.alike[zone, traits])
        heap, apart = self.heaps[key], list[tuple[float, int]]()
        members = self.members.get(wish.group.id, ()) if wish.group and wish.group.policy.endswith("anti-affinity") else ()
        while heap:
            weight, number = heap[0]
            if weight != self.weights[number]:
                heapq.heapreplace(heap, (self.weights[number], number))
            elif not self._has_room(number, wish):
                heapq.heappop(heap)
            elif number in members:
                apart.append(heapq.heappop(heap))
            else:
                break
        found = heap[0][1] if heap else None
        for one in apart:
            heapq.heappush(heap, one)
        return found

    def _has_room(self, number: int, wish: Wish) -> bool:
        free = self.free[number]
        return all(amount <= free[name] for name, amount in _ALLOCATIONS[wish.flavor, wish.volume_backed].items())

    def _weight(self, number: int) -> float:
        free = self.free[number]
        return -sum(free[name] / largest for name, largest in self.largest.items())
