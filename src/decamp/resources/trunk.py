"""Trunks: a parent port that carries the networks of others, each under a VLAN id. The mark is a suffix of the description.

A trunk is there before the server that has its parent port: Neutron takes no port into a trunk that a host has bound already.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from decamp.clouds import Cloud
from decamp.model.refs import Ref, fingerprint
from decamp.model.survey import Resource
from decamp.resources import calls, neutron
from decamp.resources.attributes import its_own, kept, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "trunk"

ATTRIBUTES = (
    *neutron.OWN,
    *its_own("status"),
    *kept("name", "description", "admin_state_up", "tags"),
    *mapped_as(port="port_id"),
    *mapped_as(how="each with its segmentation type and id", sub_ports="sub_ports"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    if neutron.knows(cloud, NAME):
        yield from (told(trunk) for trunk in neutron.owned(cloud, NAME, project))


def read(cloud: Cloud, id: str) -> Resource | None:
    trunk = neutron.got(cloud, NAME, id)
    return told(trunk) if trunk else None


def told(trunk: Json) -> Resource:
    """The fingerprint leaves `admin_state_up` out: a removal has to bring it up first, and may be cut short then."""
    sub_ports = sorted(trunk["sub_ports"], key=lambda one: one["segmentation_id"])
    resource = sealed(
        NAME,
        trunk["id"],
        trunk["name"],
        trunk["project_id"],
        [Ref("port", trunk["port_id"]), *(Ref("port", one["port_id"]) for one in sub_ports)],
        spec=neutron.common(trunk)
        | {
            "port": pair("port", trunk["port_id"]),
            "sub_ports": [
                {
                    "port": pair("port", one["port_id"]),
                    "segmentation_type": one["segmentation_type"],
                    "segmentation_id": one["segmentation_id"],
                }
                for one in sub_ports
            ],
        },
        info={"status": trunk["status"]} | neutron.unsupported(trunk),
    )
    lasting = {field: value for field, value in resource.spec.items() if field != "admin_state_up"}
    return msgspec.structs.replace(resource, fingerprint=fingerprint(lasting, resource.needs))


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found_and_tagged(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    spec = resource.spec
    sub_ports = [
        {"port_id": mapped(passage.ids, one["port"]), **{field: one[field] for field in ("segmentation_type", "segmentation_id")}}
        for one in spec["sub_ports"]
    ]
    body = neutron.body(passage, resource) | {"port_id": mapped(passage.ids, spec["port"]), "sub_ports": sub_ports}
    return neutron.created(passage, resource, body)


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Neutron refuses while a server has the parent port, or while the trunk is down. The ports stay."""
    there = read(cloud, id)
    if there and there.fingerprint == expects and not there.spec["admin_state_up"]:
        calls.put(cloud, "network", f"{neutron.path(NAME)}/{id}", {NAME: {"admin_state_up": True}})
    neutron.removed(cloud, NAME, id, expects, read)
