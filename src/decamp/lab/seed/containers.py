"""One tenant's containers in the old cloud's object store, with their objects."""

from __future__ import annotations

from urllib.parse import quote

from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from decamp.lab.seed import guest_bytes
from decamp.lab.seed.blueprint import Container, Object, Tenant


def ensure(connection: Connection, tenant: Tenant) -> None:
    for container in tenant.containers:
        headers = {f"X-Container-Meta-{name}": value for name, value in container.metadata.items()}
        raise_from_response(connection.object_store.put(f"/{container.name}", headers=headers))
        there = {one.name for one in connection.object_store.objects(container.name)}
        for one in container.objects:
            if one.name not in there:
                _put(connection, tenant, container, one)


def _put(connection: Connection, tenant: Tenant, container: Container, one: Object) -> None:
    data = guest_bytes.image(f"{tenant.name}/{container.name}/{one.name}", one.size_bytes)
    headers = {f"X-Object-Meta-{name}": value for name, value in one.metadata.items()} | {"Content-Type": one.content_type}
    raise_from_response(connection.object_store.put(f"/{container.name}/{quote(one.name)}", data=data, headers=headers))
