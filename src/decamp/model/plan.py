"""The plan: what will be done in which order, what will not be done and why, and what it will have cost."""

from __future__ import annotations

import enum
import hashlib
from typing import Any

import msgspec

from decamp.model.refs import Ref

SCHEMA = "decamp.plan/1"


class Verb(enum.StrEnum):
    """Every action's verb. `args` and `changes` of each are described here; `target` is a ref in the old cloud unless it says otherwise."""

    CREATE = "create"
    """Make a copy of the target in the new cloud. args: resource (the Resource, mapped), manner."""
    ADOPT = "adopt"
    """Take an object of the new cloud for the target's copy. args: id, resource, and because: mapping, same_content, same_specs, exists
    (each project has one from the beginning), credentials (they belong to this project), moved_earlier (another run made it), named
    (a project that something is shared with)."""
    TAKE_MEMBER = "take_member"
    """What a stack made in the new cloud is the target's copy: find it by its name in the template, put data into a volume, bring a server
    into the old one's state. args: resource, manner, and member: a `model.members.Member`."""
    STOP_SERVER = "stop_server"
    """Stop the old server, so that its disks are one point in time."""
    LOCK_SERVER = "lock_server"
    """Lock the old, stopped server: its copy has taken over, it waits for `confirm` or `undo`."""
    UNLOCK_SERVER = "unlock_server"
    """Unlock the old server (undo)."""
    START_SERVER = "start_server"
    """Start the old server (undo). args: status, what it was before."""
    RUN_HOOK = "run_hook"
    """Run a command of the owner's (decamp.yaml: hooks) on the machine that applies the plan. If it fails, what was done for the server is
    taken back. args: hook (its moment), command, shell, timeout_seconds, name and project of the server."""
    REMOVE = "remove"
    """Delete an object that has not changed since. args: cloud (old in a confirm, new in an undo), id; and of a stack's server: stack and
    stack_expects, since what that has become is not taken apart. `expects` is mandatory."""

    DISABLE_SERVICE = "disable_service"
    """Cordon: the host's compute service takes no more servers. args: reason, and servers, the ids of those that the plan knows there."""
    ENABLE_SERVICE = "enable_service"
    """Undo the cordon. args: status, disabled_reason and aggregates, what they were before the run."""
    LIVE_MIGRATE = "live_migrate"
    """args: from, to, block_migration, and bytes, what it is expected to move."""
    COLD_MIGRATE = "cold_migrate"
    """Migrate a stopped server and confirm it. args: from, to, bytes."""
    SHELVE = "shelve"
    """Shelve and offload a stopped server: it leaves its host and goes nowhere, its disk becomes an image of the old cloud. args: from."""
    UNSHELVE = "unshelve"
    """Unshelve a server that a run shelved, and stop it, as it was stopped (undo). args: to, the host it came from, where that takes it."""
    PROVE_EMPTY = "prove_empty"
    """No server in any state, no migration in progress, no allocation: proved, else failed."""
    STOP_COMPUTE = "stop_compute"
    """Stop nova-compute on the host, in the way that the configuration says."""
    DELETE_SERVICE = "delete_service"
    """Delete the compute service and prove that its resource provider is gone."""

    ENROLL = "enroll"
    """Make the machine known to Ironic. args: machine."""
    MANAGE = "manage"
    """Ironic checks the BMC: enroll -> manageable."""
    INSPECT = "inspect"
    """Introspect the hardware and compare with what was declared. args: declared."""
    PROVIDE = "provide"
    """Clean the node and make it available."""
    SCALE_OUT = "scale_out"
    """Raise the role's count in the overcloud's stack. args: stack, parameter, from, to."""
    JOIN_HOST = "join_host"
    """Wait until the new machine's compute service is up, mapped, and in Placement with its inventories. args: machine, expected."""
    CANARY = "canary"
    """Boot a server on the new host and delete it. args: image, flavor, network."""


MIGRATIONS = frozenset({Verb.LIVE_MIGRATE, Verb.COLD_MIGRATE})
"""Verbs that bring a server to another host."""
LEAVES_ITS_HOST = MIGRATIONS | {Verb.SHELVE}
"""Verbs that are there to get a server off its host: done as well where the server is gone."""


class Reason(enum.StrEnum):
    """Why something will not be done. `text` of the refusal says it for this case, and what would help."""

    PCI_DEVICE = "pci_device"
    ACCELERATOR = "accelerator"
    CPU_PINNING = "cpu_pinning"
    NUMA = "numa"
    ENCRYPTED_MEMORY = "encrypted_memory"
    LOCKED = "locked"
    TASK_IN_PROGRESS = "task_in_progress"
    STATE = "state"
    RESIZE_UNCONFIRMED = "resize_unconfirmed"
    POLICY = "policy"

    NO_CAPACITY = "no_capacity"
    """No host that may take it has room, both sides of a migration held."""
    NO_HOST = "no_host"
    """No host satisfies its zone, traits or group, or it is on a host that nobody knows."""
    HOST_DOWN = "host_down"
    """Its host does not report: nothing can be migrated off it."""
    HOST_NOT_FREE = "host_not_free"
    """The host keeps a server that cannot move, so it stays."""
    HOST_UNKNOWN = "host_unknown"
    """No compute host has this name."""
    LEAVING = "leaving"
    """All of its servers leave by themselves soon enough for policy: the host is left to empty itself."""
    SPARE = "spare"
    """Freeing it would eat the capacity that policy keeps for the failure of hosts."""
    NO_INVENTORY = "no_inventory"
    """Placement has no inventory for the host."""
    GROUP_POLICY = "group_policy"
    """Its server group allows no place, or asks for its members to move together."""
    INCOMPLETE = "incomplete"
    """The survey could not read what is needed to decide."""
    MIGRATION_FAILED = "migration_failed"
    """Nova refused or failed to migrate it as often as policy allows."""

    NOT_FOUND = "not_found"
    UNMAPPED = "unmapped"
    """The operator has to map it: external, shared or provider networks, volume types, flavors for tenants."""
    BASE_IMAGE_GONE = "base_image_gone"
    """The image that the server was booted from is no longer there, so that it cannot be recreated."""
    NO_CHECKSUM = "no_checksum"
    UNSUPPORTED = "unsupported"
    """A feature that this version cannot carry: never dropped in silence."""
    CONFLICT = "conflict"
    """An object of that name or address is in the new cloud and differs."""
    QUOTA = "quota"
    """The new cloud's quota does not hold it."""
    UNREADABLE = "unreadable"
    """Credentials without admin right do not show it."""
    ENCRYPTED = "encrypted"
    MULTI_ATTACH = "multi_attach"
    STACK_OWNED = "stack_owned"
    """A Heat stack owns it, and does not move: a later stack delete in the old cloud would take it."""
    NEEDS_REFUSED = "needs_refused"
    """Something that it needs is refused."""

    MACHINE_UNKNOWN = "machine_unknown"
    """No machine of that name in the instackenv file."""
    MACHINE_ENROLLED = "machine_enrolled"
    """A node with its MAC or BMC address exists already."""
    MACHINE_IN_USE = "machine_in_use"
    """Its old compute service still exists: vacate and quiesce it first."""
    NODE_STATE = "node_state"
    """The node is in a provision state from which this cannot be begun."""
    STACK_STATE = "stack_state"
    """A stack is missing, busy or failed."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Ids are deterministic: `verb/kind/id`, a number after it where one target has several."""

    id: str
    verb: Verb
    target: Ref
    args: dict[str, Any] = {}
    after: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    """Names of what no other action may touch meanwhile, such as `host:cmp-001`."""
    expects: str | None = None
    """Fingerprint that the target has to have when the action begins; null: nothing is expected."""
    changes: dict[str, tuple[Any, Any]] = {}
    """Attribute -> (before, after)."""
    why: str = ""
    """For people only."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    ref: Ref
    reason: Reason
    text: str


class MoveGoal(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="move"):
    """What moves: the servers and applications that are named, with all that they need; nothing named: all of the project's resources."""

    project: str
    servers: tuple[str, ...] = ()
    stacks: tuple[str, ...] = ()
    """Heat stacks, with all that they own."""
    tags: tuple[str, ...] = ()
    """Of each, the servers that have it."""
    groups: tuple[str, ...] = ()
    """Server groups, with the servers in them."""
    manner: str = "recreate"
    with_snapshots: bool = False
    """Volumes' snapshots too, each with a volume of its own."""
    prepare: bool = False
    """In place of all that: only what takes an operator, so that the project's members can move the rest by themselves."""

    @property
    def is_whole_project(self) -> bool:
        return not (self.servers or self.stacks or self.tags or self.groups or self.prepare)


MANNERS = ("recreate", "snapshot")


class VacateGoal(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="vacate"):
    hosts: tuple[str, ...] = ()
    count: int | None = None
    max: bool = False
    among: bool = False
    """As many of `hosts` as can be freed; those that stay take servers of the others."""
    keep_stopped: bool = False
    """Stopped servers are not migrated; policy says whether they are shelved or refused."""
    follows: str | None = None
    """The run whose rest this plan takes up; `hosts` are those that it was to free and did not."""
    avoid: dict[str, tuple[str, ...]] = {}
    """Server -> hosts that it is not sent to again, since Nova refused or failed that."""
    shun: dict[str, str] = {}
    """Host -> why nothing is sent there any more: a sentence."""
    stay: dict[str, str] = {}
    """Server -> why its migration is not tried again: a sentence."""

    @property
    def closed(self) -> frozenset[str]:
        """Hosts that nothing is sent to."""
        return frozenset(self.shun) | frozenset(() if self.among else self.hosts)


class ExpandGoal(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="expand"):
    hosts: tuple[str, ...]


class UndoGoal(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="undo"):
    run: str


class ConfirmGoal(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="confirm"):
    run: str


Goal = MoveGoal | VacateGoal | ExpandGoal | UndoGoal | ConfirmGoal


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    freed_hosts: tuple[str, ...] = ()
    freed_hosts_upper_bound: int = 0
    """No plan frees more of the hosts that the goal allows to free."""
    occupied_hosts: int = 0
    occupied_hosts_lower_bound: int = 0
    migrations: int = 0
    servers: int = 0
    """Servers moved to the new cloud."""
    bytes: int = 0
    bytes_lower_bound: int = 0
    seconds: float = 0
    seconds_lower_bound: float = 0
    proved_by: dict[str, str] = {}
    """Figure -> how its bound was proved; what the words mean stands in `planning.outlook`."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = SCHEMA
    id: str = ""
    goal: Goal
    made_from: dict[str, str]
    """Cloud, `mapping`, `policy` -> SHA-256 of what was read."""
    actions: tuple[Action, ...] = ()
    """In one feasible order; every order that `after` permits is."""
    refusals: tuple[Refusal, ...] = ()
    forecast: Forecast = Forecast()

    def sealed(self) -> Plan:
        """The same plan with its id: the first 16 hex digits of the SHA-256 of all the rest."""
        return msgspec.structs.replace(as_read(self), id=content_id(self))


def as_read(plan: Plan) -> Plan:
    """As it comes back from its document, so that 0 and 0.0 or lists and tuples make no difference."""
    return msgspec.json.decode(msgspec.json.encode(plan), type=Plan)


def content_id(plan: Plan) -> str:
    return sealing_id(msgspec.structs.replace(as_read(plan), id=""))


def sealing_id(blank: Any) -> str:
    """Of a plan, or of what its document says, with an empty id."""
    return hashlib.sha256(msgspec.json.encode(blank, order="deterministic")).hexdigest()[:16]
