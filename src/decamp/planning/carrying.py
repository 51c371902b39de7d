"""What this version cannot carry from cloud to cloud, each with its reason and what would help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from decamp.model.plan import Reason, Refusal
from decamp.model.refs import Ref
from decamp.model.survey import Pinned, Resource
from decamp.planning import fields

WAYS_OUT = {
    "PAUSED": "unpause it",
    "SUSPENDED": "resume it",
    "RESCUE": "unrescue it",
    "SHELVED": "unshelve it",
    "SHELVED_OFFLOADED": "unshelve it",
    "VERIFY_RESIZE": "confirm or revert the resize",
    "ERROR": "repair or delete it",
}
"""From a state of Nova's back to ACTIVE or SHUTOFF, the two in which a server's disks can be brought to one point in time."""


def hindrances(
    resource: Resource, pinned: Mapping[str, Pinned | None], resources: Mapping[Ref, Resource], *, as_admin: bool
) -> tuple[Refusal, ...]:
    """All of them, for one resource by itself; also what its kind says of it in `info["unsupported"]`, a sentence each.

    `as_admin`: of the old cloud, where an administrator may stop what is locked.
    """
    found: Iterator[tuple[Reason, str]]
    match resource.kind:
        case "server":
            found = _of_server(resource, pinned.get(resource.id), resources, as_admin=as_admin)
        case "volume":
            found = _of_volume(resource)
        case "port":
            found = _of_port(resource)
        case _:
            found = iter(())
    told = [(reason, f"{fields.label(resource)} {text}") for reason, text in found]
    if resource.kind != "volume" or not told:  # what its kind says of a volume is what was found just now
        told += [(Reason.UNSUPPORTED, f"{fields.label(resource)} cannot be carried: {text}.") for text in fields.unsupported(resource)]
    return tuple(Refusal(ref=resource.ref, reason=reason, text=text) for reason, text in told)


def _of_server(
    server: Resource, pinned: Pinned | None, resources: Mapping[Ref, Resource], *, as_admin: bool
) -> Iterator[tuple[Reason, str]]:
    status = fields.status(server)
    if status == "VERIFY_RESIZE":
        yield Reason.RESIZE_UNCONFIRMED, f"has an unconfirmed resize: {WAYS_OUT[status]} first."
    elif status not in ("ACTIVE", "SHUTOFF"):
        way_out = f": {WAYS_OUT[status]} first" if status in WAYS_OUT else ""
        yield Reason.STATE, f"is {status or 'in an unknown state'}; only ACTIVE and SHUTOFF servers are moved{way_out}."
    if task := fields.field(server, "task_state"):
        yield Reason.TASK_IN_PROGRESS, f"is busy in the old cloud ({task}): wait until that is done."
    if fields.field(server, "locked") and status == "ACTIVE" and not as_admin:
        yield Reason.LOCKED, "is locked, and only an administrator can stop it so: unlock it, or stop it, first."
    if stack := fields.field(server, "stack"):
        yield Reason.STACK_OWNED, f"belongs to Heat stack {stack}, and moves with it: --stack {stack}, in the manner recreate."
    flavor = next((resources[need] for need in server.needs if need.kind == "flavor" and need in resources), None)
    specs = fields.extra_specs(flavor) if flavor else {}
    if pinned is Pinned.PCI_DEVICE or "pci_passthrough:alias" in specs:
        yield Reason.PCI_DEVICE, "has a passed-through PCI device, which this version cannot ask for in the new cloud."
    if pinned is Pinned.ACCELERATOR or any(name == "accel:device_profile" or name.startswith("resources:VGPU") for name in specs):
        yield Reason.ACCELERATOR, "has an accelerator, which this version cannot ask for in the new cloud."


def _of_volume(volume: Resource) -> Iterator[tuple[Reason, str]]:
    if fields.field(volume, "encrypted"):
        yield Reason.ENCRYPTED, "is encrypted: its key stays in the old cloud, so its data is not carried."
    if fields.field(volume, "multiattach"):
        yield Reason.MULTI_ATTACH, "can be attached to several servers at once, which this version does not carry."
    status = fields.status(volume)
    if status and status not in ("AVAILABLE", "IN-USE"):
        yield Reason.STATE, f"is {status.lower()}; only available and in-use volumes are moved."


def _of_port(port: Resource) -> Iterator[tuple[Reason, str]]:
    vnic_type = fields.field(port, "vnic_type") or "normal"
    if vnic_type != "normal":
        yield Reason.UNSUPPORTED, f"has VNIC type {vnic_type}, which depends on the old cloud's hardware: only normal ones are moved."
