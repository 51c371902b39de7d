"""What a cloud's operator makes before tenants come: the external network, flavors, a volume type, and the image of the canary."""

from __future__ import annotations

import hashlib

import msgspec
from openstack.connection import Connection

from decamp.lab.layout import CLOUDS, CloudName
from decamp.model.errors import Failed

PUBLIC_NETWORK = "public"
VOLUME_TYPE = "nfs"
CANARY_IMAGE = "canary"
CANARY_FLAVOR = "m1.tiny"
MIB = 2**20


class Flavor(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    extra_specs: dict[str, str] = {}


FLAVORS = {
    CloudName.OLD: (
        Flavor(name="m1.tiny", vcpus=1, memory_mib=512, disk_gib=1),
        Flavor(name="m1.small", vcpus=1, memory_mib=1024, disk_gib=2),
        Flavor(name="m1.medium", vcpus=2, memory_mib=2048, disk_gib=4),
        Flavor(name="m1.large", vcpus=4, memory_mib=4096, disk_gib=8),
    ),
    # another generation of operators, other names: equal specs are what counts
    CloudName.NEW: (
        Flavor(name="m1.tiny", vcpus=1, memory_mib=512, disk_gib=1),
        Flavor(name="general.1", vcpus=1, memory_mib=1024, disk_gib=2),
        Flavor(name="general.2", vcpus=2, memory_mib=2048, disk_gib=4),
    ),
}


def create(cloud: CloudName, connection: Connection) -> None:
    """In the old or the new cloud, with all services up."""
    cidr = CLOUDS[cloud].public_cidr
    network = connection.network.create_network(
        name=PUBLIC_NETWORK,
        is_router_external=True,
        is_shared=False,
        provider_network_type="flat",
        provider_physical_network=PUBLIC_NETWORK,
    )
    connection.network.create_subnet(name=PUBLIC_NETWORK, network_id=network.id, cidr=cidr, ip_version=4, is_dhcp_enabled=False)
    for flavor in FLAVORS[cloud]:
        create_flavor(connection, flavor)
    connection.block_storage.create_type(name=VOLUME_TYPE, extra_specs={"volume_backend_name": VOLUME_TYPE})
    if cloud is CloudName.NEW:
        create_image(connection, CANARY_IMAGE, MIB)


def create_flavor(connection: Connection, flavor: Flavor) -> None:
    made = connection.compute.create_flavor(name=flavor.name, vcpus=flavor.vcpus, ram=flavor.memory_mib, disk=flavor.disk_gib)
    if flavor.extra_specs:
        connection.compute.create_flavor_extra_specs(made, flavor.extra_specs)


def create_image(connection: Connection, name: str, size_bytes: int) -> str:
    """A public raw image with the same pseudorandom bytes each time. Returns its id. Raises Failed where it does not become active."""
    image = connection.image.create_image(
        name,
        data=hashlib.shake_128(name.encode()).digest(size_bytes),
        disk_format="raw",
        container_format="bare",
        visibility="public",
    )
    image = connection.image.get_image(image.id)
    if image.status != "active":
        raise Failed(f"The image {name} is {image.status} after its upload.")
    return image.id
