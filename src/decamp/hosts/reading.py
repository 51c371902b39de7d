"""Compute hosts, servers and server groups as the planning of hosts sees them: Nova and Placement, joined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.hosts import api, pinning
from decamp.hosts.placement import Provider, held_by, read_providers
from decamp.model.amounts import subtract, total
from decamp.model.errors import Failed, Refused
from decamp.model.survey import Group, Host, Server

Json = dict[str, Any]

HOST, TASK = "OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state"
"""Attributes of a server: where it is (shown to admins), and what Nova does with it."""

OLDEST = "2.53"
"""Compute API of OpenStack Pike: from here on servers carry their flavor's specs, and hypervisors the ids of their resource providers."""
ZONE_ASKED_FOR = "2.96"
"""Compute API: from here on the zone that a server's user asked for is shown."""
WITHOUT_UPTIME = "2.87"
"""Compute API: from 2.88 on a listing of hypervisors asks each nova-compute for its uptime, and fails while one of them does not answer."""
DELETED = "DELETED"
"""Servers of which Nova takes away what they hold: shown and listed for a moment longer."""
SOFT_DELETED = "SOFT_DELETED"
"""Servers that can still be restored: they hold their host, and are listed only when this status is asked for."""


class Compute(msgspec.Struct, frozen=True, kw_only=True):
    hosts: tuple[Host, ...]
    """By name. Empty for credentials without the admin role."""
    servers: tuple[Server, ...]
    """In every status, by id."""
    groups: tuple[Group, ...]
    incomplete: tuple[str, ...]
    """What could not be read, a sentence each."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A nova-compute with its hypervisor."""

    id: str
    host: str
    state: str
    status: str
    zone: str
    disabled_reason: str | None
    updated_at: str | None
    hypervisor: str | None
    """Its name: the name of the resource provider as well."""
    provider: str | None
    """The hypervisor's id, which is that of the resource provider."""


def read_compute(cloud: Cloud, project: str | None = None) -> Compute:
    """Every host, and the servers and groups of `project` (null: all that the credentials show).

    Without the admin role nothing is asked that needs it: no hosts, and servers without theirs.
    """
    if not cloud.at_least("compute", OLDEST):
        raise Failed(f"{cloud.name}: its compute API ends before {OLDEST} (OpenStack Pike), the oldest that is understood")
    with ThreadPoolExecutor(api.CLIENTS, thread_name_prefix=f"compute-{cloud.name}") as pool:
        services = pool.submit(read_services, cloud) if cloud.admin else None
        aggregates = pool.submit(_aggregates, cloud) if cloud.admin else None
        servers = pool.submit(lambda: tuple(list_servers(cloud, project)))
        groups = pool.submit(lambda: tuple(_groups(cloud, project)))
        vnic_types = pool.submit(_vnic_types, cloud, project)
        images = pool.submit(_images, cloud)
        if services is None or aggregates is None:
            read = _Read(servers.result(), groups.result(), vnic_types.result(), images.result())
            return _as_tenant(cloud, read)
        found = services.result()
        providers = read_providers(cloud, [service.provider for service in found if service.provider])
        read = _Read(servers.result(), groups.result(), vnic_types.result(), images.result())
        return _as_admin(cloud, read, found, providers, aggregates.result())


def read_server(cloud: Cloud, id: str) -> Server | None:
    """One, as far as its placement_fingerprint looks, as `read_compute` gives it to an admin; null where it is not there."""
    server = show_server(cloud, id)
    if server is None:
        return None
    host = server.get(HOST)
    allocations = held_by(cloud, id) if host else {}
    return _server(server, allocations=allocations or pinning.flavor_allocations(server), host=host)


def read_services(cloud: Cloud) -> tuple[Service, ...]:
    """Every nova-compute, by host. Needs the admin role."""
    nodes = nodes_by_host(cloud)
    services = api.get(cloud, "compute", "/os-services", binary="nova-compute")["services"]
    return tuple(_service(service, nodes.get(service["host"], [])) for service in sorted(services, key=lambda one: one["host"]))


def read_service(cloud: Cloud, host: str) -> Service | None:
    """The nova-compute of exactly that host; null where there is none."""
    service = _service_of(cloud, host)
    return None if service is None else _service(service, nodes_by_host(cloud).get(host, []))


def is_down(cloud: Cloud, host: str) -> bool:
    """Whether Nova says that the host's nova-compute does not report, or has none of that host."""
    service = _service_of(cloud, host)
    return service is None or service["state"] == "down"


def _service_of(cloud: Cloud, host: str) -> Json | None:
    services = api.get(cloud, "compute", "/os-services", binary="nova-compute", host=host)["services"]
    return next((service for service in services if service["host"] == host), None)


def show_server(cloud: Cloud, id: str) -> Json | None:
    """Null where it is not there, or about to be not."""
    answer = api.look(cloud, "compute", f"/servers/{id}")
    return answer["server"] if answer and answer["server"]["status"] != DELETED else None


def list_servers(cloud: Cloud, project: str | None = None, **filters: str) -> Iterator[Json]:
    """In detail, in every status, the soft-deleted ones (which Nova hides) included for admins."""
    if cloud.admin:
        filters = {**filters, "all_tenants": "1"} | ({"project_id": project} if project else {})
        yield from api.pages(cloud, "compute", "/servers/detail", "servers", **filters, status=SOFT_DELETED)
    yield from api.pages(cloud, "compute", "/servers/detail", "servers", **filters)


def aggregates_of(cloud: Cloud, host: str) -> list[Json]:
    """Id and name of each aggregate that the host is a member of, by name."""
    everything = api.get(cloud, "compute", "/os-aggregates")["aggregates"]
    return sorted(({"id": one["id"], "name": one["name"]} for one in everything if host in one["hosts"]), key=lambda one: one["name"])


class _Read(msgspec.Struct, frozen=True):
    servers: tuple[Json, ...]
    groups: tuple[Group, ...]
    vnic_types: Mapping[str, frozenset[str]] | None
    images: Mapping[str, Json] | None

    def group_of(self) -> dict[str, str]:
        return {member: group.id for group in self.groups for member in group.members}

    def image_of(self, server: Json) -> Json:
        return (self.images or {}).get((server.get("image") or {}).get("id", ""), {})

    def untold(self, cloud: Cloud) -> list[str]:
        return [
            f"{cloud.name}: {what} could not be read: {effect}"
            for known, what, effect in (
                (self.vnic_types, "the types of ports", "servers with a device of their host are not recognised by them"),
                (self.images, "properties of images", "what images ask of a host is not known"),
            )
            if known is None
        ]


def _as_tenant(cloud: Cloud, read: _Read) -> Compute:
    group_of = read.group_of()
    servers = [
        _server(
            server,
            allocations=pinning.flavor_allocations(server),
            host=None,
            image=read.image_of(server),
            vnic_types=(read.vnic_types or {}).get(server["id"], frozenset()),
            group=group_of.get(server["id"]),
            zone=server.get("pinned_availability_zone"),
        )
        for server in read.servers
    ]
    untold = (f"{cloud.name}: hosts and the places of servers are shown to admins only", *read.untold(cloud))
    return Compute(hosts=(), servers=_sorted(servers), groups=read.groups, incomplete=untold)


def _as_admin(
    cloud: Cloud,
    read: _Read,
    services: Iterable[Service],
    providers: Mapping[str, Provider],
    aggregates: Mapping[str, tuple[str, ...]],
) -> Compute:
    services = tuple(services)
    untold = read.untold(cloud)
    zones_asked_for = cloud.at_least("compute", ZONE_ASKED_FOR)
    several_zones = len({service.zone for service in services}) > 1
    if several_zones and not zones_asked_for:
        untold.append(
            f"{cloud.name}: its compute API ends before {ZONE_ASKED_FOR}, so that it does not say which zone a server's user asked for: "
            "each server is taken to have asked for the zone that it is in"
        )
    held: dict[str, dict[str, int]] = {}
    for provider in providers.values():
        for consumer, amounts in provider.held.items():
            held[consumer] = total((held.get(consumer, {}), amounts))
    group_of = read.group_of()
    servers = []
    for server in read.servers:
        zone = server.get("pinned_availability_zone") if zones_asked_for else server.get("OS-EXT-AZ:availability_zone")
        servers.append(
            _server(
                server,
                allocations=held.get(server["id"]) or pinning.flavor_allocations(server),
                host=server.get(HOST),
                image=read.image_of(server),
                vnic_types=(read.vnic_types or {}).get(server["id"], frozenset()),
                group=group_of.get(server["id"]),
                zone=zone if zones_asked_for or several_zones else None,
            )
        )
    on: dict[str, list[Server]] = defaultdict(list)
    for server in servers:
        if server.host:
            on[server.host].append(server)
    hosts = tuple(_host(service, providers.get(service.provider or ""), aggregates, on[service.host]) for service in services)
    untold += [f"{cloud.name}: Placement has no resource provider for host {host.name}" for host in hosts if host.provider is None]
    return Compute(hosts=hosts, servers=_sorted(servers), groups=read.groups, incomplete=tuple(untold))


def _host(service: Service, provider: Provider | None, aggregates: Mapping[str, tuple[str, ...]], servers: list[Server]) -> Host:
    # what Placement counts as used, less what the servers of this survey hold: the two together are never less than what is used
    used = total(provider.held.values()) if provider else {}
    others = subtract(used, total(server.allocations for server in servers))
    return Host(
        name=service.host,
        provider=provider.id if provider else None,
        state=service.state,
        status=service.status,
        inventories=dict(sorted(provider.inventories.items())) if provider else {},
        zone=service.zone,
        aggregates=aggregates.get(service.host, ()),
        traits=provider.traits if provider else (),
        other_allocations={name: amount for name, amount in sorted(others.items()) if amount > 0},
        disabled_reason=service.disabled_reason,
    )


def _server(
    server: Json,
    *,
    allocations: Mapping[str, int],
    host: str | None,
    image: Json | None = None,
    vnic_types: frozenset[str] = frozenset(),
    group: str | None = None,
    zone: str | None = None,
) -> Server:
    image = image or {}
    return Server(
        id=server["id"],
        name=server["name"],
        project=server["tenant_id"],
        host=host,
        status=server["status"],
        allocations=dict(sorted(allocations.items())),
        migration_bytes=pinning.migration_bytes(server),
        zone=zone,
        traits=pinning.required_traits(server, image),
        group=group,
        pinned=pinning.pinned(server, image, vnic_types),
    )


def _sorted(servers: Iterable[Server]) -> tuple[Server, ...]:
    """By id, each once: one that changed its status between two pages is listed twice."""
    return tuple(server for _, server in sorted({server.id: server for server in servers}.items()))


def _service(service: Json, nodes: list[Json]) -> Service:
    # a bare-metal service has many nodes: it is no host that servers could be migrated to or from
    node = nodes[0] if len(nodes) == 1 else None
    return Service(
        id=str(service["id"]),
        host=service["host"],
        state=service["state"],
        status=service["status"],
        zone=service["zone"],
        disabled_reason=service.get("disabled_reason"),
        updated_at=service.get("updated_at"),
        hypervisor=node["hypervisor_hostname"] if node else None,
        provider=str(node["id"]) if node else None,
    )


def nodes_by_host(cloud: Cloud) -> dict[str, list[Json]]:
    """Service's host -> its hypervisors. Nova can filter them by pattern only, which matches neighbours."""
    nodes: dict[str, list[Json]] = defaultdict(list)
    version = WITHOUT_UPTIME if cloud.at_least("compute", WITHOUT_UPTIME) else None
    for node in api.pages(cloud, "compute", "/os-hypervisors/detail", "hypervisors", microversion=version):
        nodes[node["service"]["host"]].append(node)
    return nodes


def _aggregates(cloud: Cloud) -> dict[str, tuple[str, ...]]:
    """Host -> names of the aggregates that it is a member of."""
    names: dict[str, list[str]] = defaultdict(list)
    for aggregate in api.get(cloud, "compute", "/os-aggregates")["aggregates"]:
        for host in aggregate["hosts"]:
            names[host].append(aggregate["name"])
    return {host: tuple(sorted(members)) for host, members in names.items()}


def _groups(cloud: Cloud, project: str | None) -> Iterator[Group]:
    """The API pages by offset here, and only here."""
    scope = {"all_projects": "true"} if cloud.admin else {}
    offset = 0
    while True:
        groups = api.get(cloud, "compute", "/os-server-groups", **scope, limit=api.PAGE, offset=offset)["server_groups"]
        for group in groups:
            if project in {None, group.get("project_id")}:
                yield _group(group)
        if not groups:
            return
        offset += len(groups)


def _group(group: Json) -> Group:
    """2.64 brought `policy` and `rules`; before, there is a list of one policy."""
    return Group(
        id=group["id"],
        policy=group.get("policy") or group["policies"][0],
        members=tuple(sorted(group["members"])),
        max_server_per_host=int((group.get("rules") or {}).get("max_server_per_host", 1)),
    )


def _vnic_types(cloud: Cloud, project: str | None) -> dict[str, frozenset[str]] | None:
    """Server -> types of its ports other than the normal one; null where the cloud does not tell."""
    scope = {"project_id": project} if project and cloud.admin else {}
    found: dict[str, set[str]] = defaultdict(set)
    try:
        for port in api.pages(cloud, "network", "/ports", "ports", fields=["id", "device_id", "binding:vnic_type"], **scope):
            if port.get("device_id") and port.get("binding:vnic_type", "normal") != "normal":
                found[port["device_id"]].add(port["binding:vnic_type"])
    except Refused:
        return None
    return {server: frozenset(types) for server, types in found.items()}


def _images(cloud: Cloud) -> dict[str, Json] | None:
    """Image -> its properties: in Glance's answers they stand beside the attributes. Null where they are not shown."""
    try:
        return {image["id"]: image for image in api.pages(cloud, "image", "/images", "images")}
    except Refused:
        return None
