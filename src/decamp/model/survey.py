"""The survey: an immutable, complete description of one cloud at one moment."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from decamp.model.amounts import Inventory
from decamp.model.refs import Ref, fingerprint

SCHEMA = "decamp.survey/1"


class Pinned(enum.StrEnum):
    """Why a server cannot be migrated without its owner or a policy."""

    PCI_DEVICE = "pci_device"
    """A passed-through device (SR-IOV port, PCI alias) stays in its host."""
    ACCELERATOR = "accelerator"
    """A vGPU or a Cyborg device stays in its host."""
    CPU_PINNING = "cpu_pinning"
    """Dedicated CPUs: the old cloud's Nova may not recompute them at the target."""
    NUMA = "numa"
    """A NUMA topology or huge pages, with the same difficulty."""
    ENCRYPTED_MEMORY = "encrypted_memory"
    """SEV and its like cannot be migrated."""
    LOCKED = "locked"
    """Locked, by its owner or an admin."""
    TASK_IN_PROGRESS = "task_in_progress"
    """Nova is doing something with it."""
    STATE = "state"
    """A state that neither live nor cold migration accepts: SUSPENDED, RESCUE, ERROR, SHELVED ..."""
    RESIZE_UNCONFIRMED = "resize_unconfirmed"
    """VERIFY_RESIZE: confirm or revert it first."""
    POLICY = "policy"
    """The configuration says never to move it."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A compute host: the compute service and its resource provider, joined by the hypervisor's host name in full."""

    name: str
    provider: str | None
    """UUID of the root resource provider; null where Placement has none for this host."""
    state: str
    """up or down: whether nova-compute reports."""
    status: str
    """enabled or disabled."""
    inventories: dict[str, Inventory]
    zone: str
    aggregates: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    nic_mbps: int | None = None
    max_live_migrations: int = 1
    """How many at a time, in and out; Nova's default for max_concurrent_live_migrations is 1."""
    other_allocations: dict[str, int] = {}
    """Held in Placement by consumers that are no server of this survey: migrations in flight, orphans."""
    disabled_reason: str | None = None

    @property
    def receives(self) -> bool:
        return self.state == "up" and self.status == "enabled"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server as the planning of hosts sees it; what its owner asked for lies in the resource of kind `server`."""

    id: str
    name: str
    project: str
    host: str | None
    """null: unknown (no admin right to see it), or on no host (shelved and offloaded)."""
    status: str
    allocations: dict[str, int]
    migration_bytes: int = 0
    """What a live migration of it moves: memory, and local disk where storage is not shared."""
    zone: str | None = None
    """The availability zone that its user asked for; null: any."""
    traits: tuple[str, ...] = ()
    group: str | None = None
    pinned: Pinned | None = None
    leaves_at: str | None = None

    def placement_fingerprint(self) -> str:
        """Of what a plan to migrate it relies on."""
        return fingerprint(self.id, self.host, self.status, self.allocations)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A server group; policy is one of Nova's: affinity, anti-affinity, soft-affinity, soft-anti-affinity."""

    id: str
    policy: str
    members: tuple[str, ...] = ()
    max_server_per_host: int = 1
    """Rule of anti-affinity, compute 2.64 and later."""


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that a tenant owns, or that tenants' things need."""

    kind: str
    id: str
    name: str = ""
    project: str | None = None
    needs: tuple[Ref, ...] = ()
    """What has to exist in the new cloud before this can."""
    spec: dict[str, Any] = {}
    """What is asked for: copied, mapped, compared. Never a secret."""
    info: dict[str, Any] = {}
    """What is only told: sizes, states, times."""
    fingerprint: str = ""
    """Of what its copy depends on; its kind says what that is."""

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.id)


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = SCHEMA
    cloud: str
    taken_at: str
    """ISO 8601, UTC."""
    project: str | None = None
    """The project that it was limited to, or that a tenant's credentials limit it to; null: all."""
    admin: bool = False
    """Whether it was taken with rights to see every project."""
    incomplete: tuple[str, ...] = ()
    """What could not be read, a sentence each."""
    lacks: tuple[str, ...] = ()
    """Types of services that some kinds are of and that its catalogue has not."""
    hosts: tuple[Host, ...] = ()
    servers: tuple[Server, ...] = ()
    groups: tuple[Group, ...] = ()
    resources: tuple[Resource, ...] = ()

    def by_ref(self) -> dict[Ref, Resource]:
        return {resource.ref: resource for resource in self.resources}
