"""Port forwardings: a port of a floating IP that leads to a port of an internal address. The id is `<floating IP>/<forwarding>`.

The mark is a suffix of the description, in the create call.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import calls, neutron
from decamp.resources.attributes import its_own, kept, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.marks import mark_of, unmarked
from decamp.resources.removing import removed
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "port_forwarding"

_SAYS = ("protocol", "external_port", "internal_port", "internal_ip_address")
_RANGES = {"external_port_range": "external_port", "internal_port_range": "internal_port"}

ATTRIBUTES = (
    *its_own("id"),
    *kept("description", *_SAYS),
    *kept(*_RANGES, how="a range of one port is that port"),
    *mapped_as(internal_port_ref="internal_port_id"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Of the project's floating IPs."""
    for address in neutron.owned(cloud, "floating_ip", project):
        if address.get("port_forwardings"):
            for one in calls.listed(cloud, "network", _path(address["id"]), "port_forwardings"):
                yield told(one, address)


def read(cloud: Cloud, id: str) -> Resource | None:
    floating_ip, _, own = id.partition("/")
    address = neutron.got(cloud, "floating_ip", floating_ip)
    one = calls.got(cloud, "network", f"{_path(floating_ip)}/{own}", "port_forwarding") if address and own else None
    return told(one, address) if one and address else None


def told(one: Json, address: Json) -> Resource:
    """A range of more than one port has neither `external_port` nor `internal_port`."""
    port = one["internal_port_id"]
    ranges = {field: None if one.get(single) else one.get(field) for field, single in _RANGES.items()}
    return sealed(
        NAME,
        f"{address['id']}/{one['id']}",
        f"{address['floating_ip_address']} {one['protocol']} {one.get('external_port') or one.get('external_port_range')}",
        address["project_id"],
        [Ref("floating_ip", address["id"]), Ref("port", port)],
        spec={
            "floating_ip": pair("floating_ip", address["id"]),
            "internal_port_ref": pair("port", port),
            "description": unmarked(one.get("description")),
            **{field: one.get(field) for field in _SAYS},
            **ranges,
        },
        info=neutron.unsupported(one),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    floating_ip = mapped(passage.ids, resource.spec["floating_ip"])
    if neutron.got(passage.new, "floating_ip", floating_ip) is None:
        return None
    for one in calls.listed(passage.new, "network", _path(floating_ip), "port_forwardings"):
        if mark_of(one.get("description")) == passage.mark:
            return f"{floating_ip}/{one['id']}"
    return None


def create(passage: Passage, resource: Resource) -> str:
    neutron.refuse_unsupported(resource)
    spec = resource.spec
    floating_ip = mapped(passage.ids, spec["floating_ip"])
    body = {
        "internal_port_id": mapped(passage.ids, spec["internal_port_ref"]),
        "description": neutron.described(resource, passage),
        **neutron.asked(spec, *_SAYS, *_RANGES),
    }
    made = calls.posted(passage.new, "network", _path(floating_ip), {"port_forwarding": body})["port_forwarding"]
    return f"{floating_ip}/{made['id']}"


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return differences(resource, read(passage.new, id), passage.ids)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    floating_ip, _, own = id.partition("/")
    removed(cloud, id, expects, read, "network", f"{_path(floating_ip)}/{own}")


def _path(floating_ip: str) -> str:
    return f"{neutron.path('floating_ip')}/{floating_ip}/port_forwardings"
