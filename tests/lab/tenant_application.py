"""A tenant with one application in the old cloud, as tests of whole moves need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from contract import EXTERNAL, Ground, clear_objects, ground
from contract_objects import put
from contract_servers import image

from decamp.clouds import Cloud
from decamp.model.refs import Ref
from decamp.resources import KINDS
from decamp.resources.performing import OUTSIDE_PROJECTS

WAIT_SECONDS = 180


def configured(folder: Path) -> Path:
    """decamp.yaml of the tenant whose credentials the ground wrote here."""
    clouds: dict[str, Any] = {}
    for file in folder.glob("contract-tenant-*.yaml"):
        clouds |= yaml.safe_load(file.read_text())["clouds"]
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    mapping = {"network": {EXTERNAL: EXTERNAL}}
    file = folder / "decamp.yaml"
    file.write_text(yaml.safe_dump({"clouds_file": "clouds.yaml", "state": "sqlite:///state/decamp.sqlite", "mapping": mapping}))
    return file


def with_application_credentials(here: Ground, folder: Path, clouds: tuple[str, ...] = ("old", "new")) -> dict[str, Any]:
    """clouds.yaml of the same tenant, with an application credential in these clouds in place of his password."""
    configured(folder)
    whole = yaml.safe_load((folder / "clouds.yaml").read_text())
    for name in clouds:
        connection = {"old": here.tenant, "new": here.new.connection}[name]
        made = connection.identity.create_application_credential(connection.current_user_id, "decamp", unrestricted=True)
        whole["clouds"][name] |= {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": whole["clouds"][name]["auth"]["auth_url"],
                "application_credential_id": made.id,
                "application_credential_secret": made.secret,
            },
        }
    return whole


@contextmanager
def ground_for_stacks(clouds_file: Path, folder: Path) -> Iterator[Ground]:
    """A tenant's, whose stacks are deleted first: Heat deletes what they made, but for containers with something in them."""
    with ground(clouds_file, folder, "tenant") as here:
        yield here
        for connection in (here.tenant, here.new.connection):
            clear_objects(connection)
            for one in list(connection.orchestration.stacks()):
                connection.orchestration.delete_stack(one)
                connection.orchestration.wait_for_delete(one, wait=WAIT_SECONDS)


def an_application(here: Ground) -> str:
    """A network, a group that speaks to itself, a port with an address of its own, a volume, an image, a container with an object; and a
    server, of which its id."""
    put(here.tenant, "crash-container")
    put(here.tenant, "crash-container", "object", b"of some bytes")
    network, compute, volumes = here.tenant.network, here.tenant.compute, here.tenant.block_storage
    net = network.create_network(name="crash-net")
    subnet = network.create_subnet(name="crash-subnet", network_id=net.id, ip_version=4, cidr="10.77.0.0/24")
    group = network.create_security_group(name="crash-group")
    network.create_security_group_rule(security_group_id=group.id, direction="ingress", remote_group_id=group.id, ethertype="IPv4")
    address = {"subnet_id": subnet.id, "ip_address": "10.77.0.77"}
    port = network.create_port(name="crash-port", network_id=net.id, security_groups=[group.id], fixed_ips=[address])
    volume = volumes.create_volume(name="crash-volume", size=1)
    volumes.wait_for_status(volume, "available", wait=WAIT_SECONDS)
    base = image(here.tenant, bytes(range(256)) * 4096)
    flavor = compute.find_flavor("m1.small", ignore_missing=False)
    server = compute.create_server(name="crash-server", image_id=base, flavor_id=flavor.id, networks=[{"port": port.id}])
    server = compute.wait_for_server(server, wait=WAIT_SECONDS)
    compute.create_volume_attachment(server, volume_id=volume.id)
    volumes.wait_for_status(volumes.get_volume(volume.id), "in-use", wait=WAIT_SECONDS)
    return server.id


def belongings(here: Ground) -> set[Ref]:
    """All that the tenant has in the new cloud, but the default security group that every project is born with."""
    return owned(here.new)


def owned(inside: Cloud) -> set[Ref]:
    """By the project that is acted in."""
    mine = inside.project_id
    things = (thing for name, kind in KINDS.items() if name not in OUTSIDE_PROJECTS for thing in kind.export(inside, mine))
    return {thing.ref for thing in things if thing.project == mine}
