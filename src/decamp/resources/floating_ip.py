"""Floating IPs: an address of the mapped external network that leads to the copy of the port. The mark is a suffix of the description.

The same address in two clouds at once is an outage. So a copy has a new address, unless the mapping says which one is to be asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import neutron
from decamp.resources.attributes import changed, its_own, kept, mapped_as
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed

NAME = "floating_ip"

ATTRIBUTES = (
    *neutron.OWN,
    *mapped_as(network="floating_network_id", port="port_id", qos_policy="qos_policy_id"),
    *kept("fixed_ip_address", "description", "tags", "dns_name", "dns_domain"),
    *its_own("status", "router_id", "port_details"),
    *changed("floating_ip_address", how="the one that the mapping says, else a new one: a plan tells which"),
    *changed("port_forwardings", how="they are a kind of their own"),
)


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    return (told(address) for address in neutron.owned(cloud, NAME, project))


def read(cloud: Cloud, id: str) -> Resource | None:
    address = neutron.got(cloud, NAME, id)
    return told(address) if address else None


def told(address: Json) -> Resource:
    network, port = pair("network", address["floating_network_id"]), pair("port", address.get("port_id"))
    limits = pair("qos_policy", address.get("qos_policy_id"))
    return sealed(
        NAME,
        address["id"],
        address["floating_ip_address"],
        address["project_id"],
        [Ref(*ref) for ref in (network, port, limits) if ref],
        spec=neutron.common(address)
        | {
            "network": network,
            "port": port,
            "fixed_ip_address": address.get("fixed_ip_address"),
            "dns_name": address.get("dns_name") or "",
            "dns_domain": address.get("dns_domain") or "",
            "qos_policy": limits,
        },
        info={"router": pair("router", address.get("router_id")), "status": address["status"]} | neutron.unsupported(address),
    )


def find(passage: Passage, resource: Resource) -> str | None:
    return neutron.found_and_tagged(passage, resource)


def create(passage: Passage, resource: Resource) -> str:
    """Where the planned spec has an `address`, this very one is asked for, which takes an operator. A router has to lead to the port."""
    neutron.refuse_unsupported(resource)
    spec = resource.spec
    body: Json = {
        "floating_network_id": mapped(passage.ids, spec["network"]),
        "description": neutron.described(resource, passage),
        **neutron.asked(spec, "dns_name", "dns_domain"),
        **neutron.limited(passage, spec),
    }
    if spec.get("address"):
        body["floating_ip_address"] = spec["address"]
    if spec.get("port"):
        body |= {"port_id": mapped(passage.ids, spec["port"]), "fixed_ip_address": spec["fixed_ip_address"]}
    return neutron.created(passage, resource, body, by_admin=bool(spec.get("address")))


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    copy = read(passage.new, id)
    told = differences(resource, copy, passage.ids, but=("address",))
    wanted = resource.spec.get("address")
    return (
        (*told, f"floating_ip {resource.name}: its copy is {copy.name}, and not {wanted}")
        if copy and wanted not in (None, copy.name)
        else told
    )


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Neutron refuses while it has port forwardings."""
    neutron.removed(cloud, NAME, id, expects, read)
