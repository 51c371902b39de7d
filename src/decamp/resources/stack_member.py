"""What a stack made by itself, taken for the copies of what the old stack made: found by its name in the template, completed, compared."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from decamp.model.errors import Changed
from decamp.model.members import Member
from decamp.model.survey import Resource
from decamp.resources import container, server, server_reading, stack, volume, volume_filling
from decamp.resources.kind import Passage
from decamp.resources.specs import mapped
from decamp.resources.stack_template import with_ids

LEFT_TO_HEAT: Mapping[str, tuple[str, ...]] = {
    "floating_ip": ("address",),
    "keypair": ("public_key", "fingerprint"),
    "port": ("mac_address", "fixed_ips"),
    "server": ("hostname", "user_data_sha256", "user_data_bytes"),
}
"""Kind -> fields in which a member of the same template may differ: what that does not ask for, the services choose anew; Heat makes
of user data something that names its own cloud."""

_CHOSEN_NAME = re.compile(r".+-[a-z2-7]{12}(-port-\d+)?")
"""A name that Heat chose where the template has none (heat.common.short_id), or that it gave to a port of such a server."""


def found(passage: Passage, resource: Resource, member: Member) -> str:
    """The id in the new cloud. Raises Changed if the new stack has it not."""
    new = passage.new
    made = stack.member_id(new, _stack(passage, member), member.path)
    if member.nic is None:
        return made
    there = server_reading.read(new, made)
    ports = there.spec["ports"] if there else []
    if member.nic >= len(ports):
        raise Changed(f"{new.name}: server {made}, which stack {member.stack} made, has no interface number {member.nic}: {resource.name}")
    return ports[member.nic][1]


def completed(passage: Passage, resource: Resource, member: Member, id: str, *, with_data: bool) -> None:
    """Data put into a volume, objects into a container, a server started, stopped or locked as the old one was. May be done again."""
    match resource.kind:
        case volume.NAME if with_data:
            server_id = stack.member_id(passage.new, _stack(passage, member), member.server) if member.server else None
            volume_filling.fill(passage, resource, id, server_id=server_id, attachment=member.attachment)
        case container.NAME:
            container.fill(passage, resource, id)
        case server.NAME:
            server.finished(passage, resource, id)
        case _:
            pass


def expected(passage: Passage, resource: Resource, member: Member, copy: Resource | None) -> Resource:
    """What the copy has to be. A template may put its stack's id into names and metadata."""
    own = with_ids(resource.spec, {member.stack: _stack(passage, member)})
    return as_made(msgspec.structs.replace(resource, spec=own), copy)


def as_made(resource: Resource, copy: Resource | None) -> Resource:
    """As the old one, but for what the services choose."""
    if copy is None:
        return resource
    fields = list(LEFT_TO_HEAT.get(resource.kind, ()))
    if _CHOSEN_NAME.fullmatch(resource.name) and _CHOSEN_NAME.fullmatch(copy.name):
        fields.append("name")
    chosen = {field: copy.spec[field] for field in fields if field in copy.spec and field in resource.spec}
    return msgspec.structs.replace(resource, spec={**resource.spec, **chosen})


def _stack(passage: Passage, member: Member) -> str:
    return mapped(passage.ids, [stack.NAME, member.stack])
