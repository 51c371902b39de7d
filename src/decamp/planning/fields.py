"""The fields of the kinds' spec and info that planning relies on, each named here and nowhere else in planning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from decamp.model.refs import Ref
from decamp.model.survey import Resource


def field(resource: Resource, *names: str) -> Any:
    """The first of these fields that says something, asked-for before told."""
    for name in names:
        for fields in (resource.spec, resource.info):
            if fields.get(name) is not None:
                return fields[name]
    return None


def as_ref(value: Any) -> Ref | None:
    """`[kind, id]`, as references stand in a spec."""
    if isinstance(value, Ref):
        return value
    if isinstance(value, (list, tuple)):
        pair = cast(Sequence[Any], value)
        if len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str):
            return Ref(pair[0], pair[1])
    return None


def _items(value: Any) -> tuple[Any, ...]:
    return tuple(cast(Sequence[Any], value)) if isinstance(value, (list, tuple)) else ()


def _table(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def label(resource: Resource) -> str:
    """For sentences: network 'web' (4f0c...)."""
    return f"{resource.kind} {resource.name!r} ({resource.id})" if resource.name else f"{resource.kind} {resource.id}"


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A volume as its server has it."""

    volume: Ref
    root: bool
    """Boot index 0, whatever the device is called."""
    attachment: dict[str, Any] = {}
    """What Nova is asked for beside the volume."""


def disks(server: Resource) -> tuple[Disk, ...]:
    tables = [_table(item) for item in _items(field(server, "volumes"))]
    attachments = [{name: table[name] for name in ("tag", "delete_on_termination") if table.get(name)} for table in tables]
    found = [(as_ref(table.get("volume")), table.get("boot_index"), how) for table, how in zip(tables, attachments, strict=True)]
    return tuple(Disk(volume=volume, root=index == 0, attachment=how) for volume, index, how in found if volume)


def root_volume(server: Resource) -> Ref | None:
    return next((disk.volume for disk in disks(server) if disk.root), None)


def base_image(resource: Resource) -> Ref | None:
    """Of a server or a volume: the image that it was made from, whether or not that is still there."""
    if resource.kind == "volume":
        image = _table(field(resource, "image_metadata")).get("image_id")
        return Ref("image", image) if isinstance(image, str) else None
    return as_ref(resource.spec.get("image"))


def ports(server: Resource) -> tuple[Ref, ...]:
    return tuple(need for need in server.needs if need.kind == "port")


def tags(server: Resource) -> tuple[str, ...]:
    return tuple(str(tag) for tag in _items(field(server, "tags")))


def server_group(server: Resource) -> Ref | None:
    return as_ref(field(server, "server_group"))


def status(server: Resource) -> str:
    return str(field(server, "status") or "").upper()


def fixed_addresses(port: Resource) -> tuple[tuple[Ref | None, str], ...]:
    """(subnet, address) of each fixed IP."""
    tables = [_table(item) for item in _items(field(port, "fixed_ips"))]
    return tuple((as_ref(table.get("subnet")), str(table.get("ip_address"))) for table in tables if table.get("ip_address"))


def unsupported(resource: Resource) -> tuple[str, ...]:
    """What its kind found about it that cannot be carried."""
    return tuple(str(text).rstrip(".") for text in _items(resource.info.get("unsupported")))


def content_hash(image: Resource) -> tuple[str, str] | None:
    algorithm, digest = field(image, "os_hash_algo"), field(image, "os_hash_value")
    return (str(algorithm), str(digest)) if algorithm and digest else None


def boot_properties(image: Resource) -> dict[str, Any]:
    """What decides how a guest of this image boots: formats, and the properties that Nova acts upon."""
    own = _table(field(image, "properties"))
    relevant = {name: value for name, value in own.items() if name.startswith(("hw_", "img_", "os_type", "os_require", "os_secure"))}
    return relevant | {name: field(image, name) for name in ("disk_format", "container_format")}


def flavor_amounts(flavor: Resource) -> dict[str, Any]:
    names = ("vcpus", "ram_mib", "disk_gib", "ephemeral_gib", "swap_mib")
    return {name: int(field(flavor, name) or 0) for name in names} | {"extra_specs": _table(field(flavor, "extra_specs"))}


def extra_specs(flavor: Resource) -> dict[str, Any]:
    return _table(field(flavor, "extra_specs"))


def is_public(resource: Resource) -> bool:
    """Of a flavor or a volume type."""
    return field(resource, "public") is not False


def members(resource: Resource) -> tuple[Ref, ...]:
    """The projects that an image is shared with, the users of a group."""
    return tuple(ref for ref in (as_ref(item) for item in _items(field(resource, "members"))) if ref)


def default_project(user: Resource) -> Ref | None:
    return as_ref(field(user, "default_project"))


def person(resource: Resource) -> dict[str, Any]:
    """What tells a user or a group from another of its name: not where it works, nor who is in it."""
    return {name: value for name, value in resource.spec.items() if name not in ("default_project", "members")}


def limits(quota: Resource, service: str) -> dict[str, int]:
    """Name -> the most that there may be; -1: any number. Empty where it cannot be read."""
    return _table(quota.spec.get(service))


def used(quota: Resource, service: str) -> dict[str, int]:
    return _table(_table(quota.info.get("used")).get(service))


USERS_SEE = ("RESKEY:availability_zones", "multiattach", "replication_enabled")
"""Extra specs of a volume type that Cinder shows to everybody (cinder.policies.type_extra_specs: USER_VISIBLE_EXTRA_SPECS)."""


def seen_by_users(volume_type: Resource) -> dict[str, Any]:
    """What a volume type means to its users; the rest is its backend's."""
    return {name: value for name, value in extra_specs(volume_type).items() if name in USERS_SEE}


def flavor_users(flavor: Resource) -> tuple[str, ...]:
    """The ids of the projects that may use a private one."""
    return tuple(ref.id for ref in (as_ref(item) for item in _items(field(flavor, "access"))) if ref)


def told_flavor(server: Resource) -> tuple[Resource, ...]:
    """The flavor that the server was made with, as Nova tells it with the server: it outlives the flavor itself."""
    spec = _table(server.info.get("flavor"))
    ref = as_ref(server.spec.get("flavor"))
    return (Resource(kind=ref.kind, id=ref.id, name=str(spec.get("name") or ""), spec=spec),) if ref and spec else ()


def is_default_group(group: Resource) -> bool:
    return group.name == "default"


def is_offered(image: Resource) -> bool:
    """Whether projects other than its owner may use it. `shared` without members is Glance's default, and as private."""
    return field(image, "visibility") in ("public", "community") or bool(members(image))


def is_protected(image: Resource) -> bool:
    return bool(field(image, "protected"))


def segments_in(container: Resource) -> tuple[str, ...]:
    """The other containers that have segments of its large objects."""
    return tuple(str(name) for name in _items(container.info.get("segments_in")))


def acl(container: Resource, right: str) -> tuple[Any, ...]:
    """`right`: read or write."""
    return _items(container.spec.get(right))


def names_others(entry: Any, project: Ref) -> bool:
    """Whether an entry of it is about users, or about another project than that, whose ids say nothing in another cloud."""
    table = _table(entry)
    return bool(table) and (table.get("user") != "*" or (table.get("project") != "*" and as_ref(table.get("project")) != project))


def not_carried(resource: Resource) -> list[str]:
    """What its kind says that the copy will lack, a sentence each."""
    return [str(text) for text in _items(resource.info.get("not_carried"))]


def network_of(resource: Resource) -> Ref | None:
    """Of a subnet or a port."""
    return as_ref(field(resource, "network"))


def physical_network(network: Resource) -> str | None:
    return _table(field(network, "provider")).get("physical_network")


def group_of(rule: Resource) -> Ref | None:
    return as_ref(field(rule, "security_group"))


def remote_group_of(rule: Resource) -> Ref | None:
    return as_ref(field(rule, "remote_group"))


def peers_of(rule: Resource) -> tuple[Ref, ...]:
    """The groups of ports and of addresses that it lets in or out."""
    found = (as_ref(field(rule, name)) for name in ("remote_group", "remote_address_group"))
    return tuple(ref for ref in found if ref)


def rule_terms(rule: Resource) -> tuple[Any, ...]:
    """What a rule says, its two groups aside. Neutron keeps numbers of protocols as text."""
    names = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")
    return tuple(field(rule, name) for name in names)
