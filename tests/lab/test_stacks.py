"""A tenant's Heat stack moves as a stack: made anew by the new Heat, filled with the old volumes' data, taken back, and let go of."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract import EXTERNAL, Ground
from contract_objects import put
from contract_servers import MIB, act_on_volume, image
from desk import Desk
from openstack.connection import Connection
from tenant_application import ground_for_stacks

from decamp.clouds import Cloud
from decamp.lab import Lab
from decamp.resources import image_bytes, image_data
from decamp.resources.object_store import path_of
from decamp.resources.server_reading import user_data_of

pytestmark = pytest.mark.lab

WAIT_SECONDS = 300
NAME = "shop"
SECRET = f"hidden-{secrets.token_hex(8)}"

TEMPLATE: dict[str, Any] = {
    "heat_template_version": "2018-08-31",
    "parameters": {
        "base": {"type": "string", "constraints": [{"custom_constraint": "glance.image"}]},
        "size": {"type": "string", "default": "m1.small"},
        "password": {"type": "string", "hidden": True},
    },
    "resources": {
        "net": {"type": "OS::Neutron::Net", "properties": {"name": "shop-net"}},
        "subnet": {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": "10.88.0.0/24"}},
        "port": {
            "type": "OS::Neutron::Port",
            "properties": {"network": {"get_resource": "net"}, "fixed_ips": [{"subnet": {"get_resource": "subnet"}}]},
        },
        "data": {"type": "OS::Cinder::Volume", "properties": {"size": 1}},
        "box": {"type": "OS::Swift::Container", "properties": {"X-Container-Meta": {"colour": "blue"}}},
        "groups": {"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": {"type": "OS::Neutron::SecurityGroup"}}},
        "web": {
            "type": "OS::Nova::Server",
            "properties": {
                "image": {"get_param": "base"},
                "flavor": {"get_param": "size"},
                "networks": [{"port": {"get_resource": "port"}}],
                "user_data_format": "RAW",
                "user_data": {"str_replace": {"template": "password: $it", "params": {"$it": {"get_param": "password"}}}},
            },
        },
        "attached": {
            "type": "OS::Cinder::VolumeAttachment",
            "properties": {"instance_uuid": {"get_resource": "web"}, "volume_id": {"get_resource": "data"}},
        },
    },
}
PATHS = {"net", "subnet", "port", "data", "groups", "groups/0", "groups/1", "web", "attached", "box"}


@dataclass(frozen=True, kw_only=True)
class Shop:
    here: Ground
    desk: Desk
    stack: str
    """In the old cloud."""
    made: dict[str, str]
    """Name in the template -> id in the old cloud."""
    data: bytes
    """At the beginning of the old volume."""
    plan: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def here(lab: Lab, folder: Path) -> Iterator[Ground]:
    with ground_for_stacks(lab.folder / "clouds.yaml", folder) as here:
        yield here


@pytest.fixture(scope="module")
def desk(lab: Lab, folder: Path, here: Ground) -> Desk:
    return tenant_desk(lab, folder)


@pytest.fixture(scope="module")
def shop(here: Ground, desk: Desk) -> Shop:
    stack = make_stack(here)
    made = members(here.tenant, stack)
    data = secrets.token_bytes(MIB)
    put_data(here, made, data)
    put(here.tenant, made["box"], "report", data)
    put(here.tenant, made["box"], "link", X_Symlink_Target=f"{made['box']}/report")
    desk.run("plan", "move", "--stack", NAME, "-o", "move.json")
    return Shop(here=here, desk=desk, stack=stack, made=made, data=data, plan="move.json")


def make_stack(here: Ground) -> str:
    base = image(here.tenant, secrets.token_bytes(MIB))
    given = {"base": base, "password": SECRET}
    made = here.tenant.orchestration.create_stack(name=NAME, template=TEMPLATE, parameters=given)
    here.tenant.orchestration.wait_for_status(made, "CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=1, wait=WAIT_SECONDS)
    return made.id


def members(connection: Connection, stack: str) -> dict[str, str]:
    """Name in the template -> id; of those in the group by their names there."""
    return {one.name: one.physical_resource_id for one in connection.orchestration.resources(stack)}


def put_data(here: Ground, made: dict[str, str], data: bytes) -> None:
    """Into the stack's volume, as a guest would."""
    compute, volumes = here.tenant.compute, here.tenant.block_storage
    contents = image(here.tenant, data)
    attachments = f"/servers/{made['web']}/os-volume_attachments"
    assert compute.delete(f"{attachments}/{made['data']}").ok
    volumes.wait_for_status(volumes.get_volume(made["data"]), "available", wait=WAIT_SECONDS)
    assert volumes.post(f"/volumes/{made['data']}/action", json={"os-reimage": {"image_id": contents}}, microversion="3.68").ok
    volumes.wait_for_status(volumes.get_volume(made["data"]), "available", wait=WAIT_SECONDS)
    assert compute.post(attachments, json={"volumeAttachment": {"volumeId": made["data"]}}).ok
    volumes.wait_for_status(volumes.get_volume(made["data"]), "in-use", wait=WAIT_SECONDS)
    here.tenant.image.delete_image(contents)


def tenant_desk(lab: Lab, folder: Path) -> Desk:
    desk = Desk(lab, folder)
    desk.clouds = {"clouds": {}}
    for file in folder.glob("contract-tenant-*.yaml"):
        desk.clouds["clouds"] |= yaml.safe_load(file.read_text())["clouds"]
    desk.settings = {
        "clouds_file": "clouds.yaml",
        "state": f"sqlite:///{folder}/state.sqlite",
        "mapping": {"network": {EXTERNAL: EXTERNAL}},
        "hidden_parameters": "hidden.yaml",
    }
    give(folder, {})
    desk.write()
    return desk


def give(folder: Path, values: dict[str, Any]) -> None:
    file = folder / "hidden.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(values))


def run_of(desk: Desk) -> str:
    """The latest."""
    out, _ = desk.run("runs", "-f", "json")
    return json.loads(out)[0]["Run"]


def application_credential(connection: Connection, auth_url: str) -> dict[str, Any]:
    """What an entry of clouds.yaml has in place of a password."""
    made = connection.identity.create_application_credential(connection.current_user_id, "stacks", unrestricted=True)
    auth = {"auth_url": auth_url, "application_credential_id": made.id, "application_credential_secret": made.secret}
    return {"auth_type": "v3applicationcredential", "auth": auth}


def user_data(admin: Connection, server: str) -> bytes | None:
    return user_data_of(admin.compute.get(f"/servers/{server}", microversion="2.90").json()["server"])


def bytes_of(cloud: Cloud, volume: str, length: int) -> bytes:
    """Of a volume's beginning, by way of an image."""
    request = {"image_name": "to look at", "disk_format": "raw", "container_format": "bare", "force": True}
    upload = act_on_volume(cloud.connection, volume, "os-volume_upload_image", request)["os-volume_upload_image"]["image_id"]
    there = image_data.wait_active(cloud, upload, timeout_seconds=WAIT_SECONDS, cancelled=lambda: False)
    return next(image_bytes.read_bytes(cloud, there))[:length]


def test_what_heat_hides_is_asked_for_before_anything_is_done(shop: Shop) -> None:
    out, told = shop.desk.run("apply", shop.plan, "--yes", status=3)
    assert "password" in told
    assert SECRET not in out + told + (shop.desk.path / shop.plan).read_text()
    assert list(shop.here.new.connection.orchestration.stacks()) == []


def test_a_stack_moves_through_the_death_of_its_process_and_an_undo_takes_it_back(shop: Shop) -> None:
    here, desk, new = shop.here, shop.desk, shop.here.new.connection
    give(desk.path, {NAME: {"password": SECRET}})
    begun = desk.start("apply", shop.plan, "--yes")
    deadline = time.monotonic() + WAIT_SECONDS
    while not list(new.orchestration.stacks()) and time.monotonic() < deadline:
        time.sleep(0.2)
    begun.kill()
    begun.communicate()
    run = run_of(desk)
    desk.run("resume", run, "--yes")

    [stack] = list(new.orchestration.stacks())
    made = members(new, stack.id)
    assert stack.status == "CREATE_COMPLETE"
    assert made.keys() == members(here.tenant, shop.stack).keys()
    server = new.compute.get_server(made["web"])
    assert server.status == "ACTIVE"
    assert [one.volume_id for one in new.compute.volume_attachments(server)] == [made["data"]]
    assert [one.id for one in new.network.ports(device_id=server.id)] == [made["port"]]
    assert user_data(here.new_admin, server.id) == f"password: {SECRET}".encode()
    assert bytes_of(here.new, made["data"], len(shop.data)) == shop.data

    assert made["box"] != shop.made["box"]
    assert new.object_store.get(path_of(made["box"], "link")).content == shop.data

    old = here.tenant.compute.get_server(shop.made["web"])
    assert old.status == "SHUTOFF"
    assert here.tenant.orchestration.get_stack(shop.stack).status == "CREATE_COMPLETE"
    for file in desk.path.glob("state.sqlite*"):
        assert SECRET.encode() not in file.read_bytes(), file

    desk.run("undo", run, "--yes")
    assert list(new.orchestration.stacks()) == []
    assert list(new.compute.servers()) == []
    assert list(new.block_storage.volumes()) == []
    assert list(new.object_store.containers()) == []
    assert [one.name for one in new.network.networks(project_id=here.new.project_id)] == []
    assert here.tenant.compute.get_server(shop.made["web"]).status == "ACTIVE"


def test_an_application_credential_makes_no_stack_and_a_confirm_deletes_the_old_one_alone(shop: Shop) -> None:
    here, desk, new = shop.here, shop.desk, shop.here.new.connection
    give(desk.path, {NAME: {"password": SECRET}})
    desk.run("plan", "move", "--stack", NAME, "-o", "again.json")
    with_password = dict(desk.clouds["clouds"]["new"])
    desk.clouds["clouds"]["new"] |= application_credential(new, with_password["auth"]["auth_url"])
    desk.write()
    _, told = desk.run("apply", "again.json", "--yes", status=3)
    assert "Use a password in the entry new of clouds.yaml, then resume" in " ".join(told.split())
    desk.clouds["clouds"]["new"] = with_password
    desk.write()
    desk.run("resume", run_of(desk), "--yes")
    desk.run("confirm", run_of(desk), "--yes")

    assert list(here.tenant.orchestration.stacks()) == []
    assert list(here.tenant.compute.servers()) == []
    assert list(here.tenant.block_storage.volumes()) == []
    assert list(here.tenant.object_store.containers()) == []
    assert list(here.tenant.network.networks(project_id=here.project)) == []
    [stack] = list(new.orchestration.stacks())
    made = members(new, stack.id)
    assert stack.status == "CREATE_COMPLETE"
    assert new.compute.get_server(made["web"]).status == "ACTIVE"
    assert bytes_of(here.new, made["data"], len(shop.data)) == shop.data


def test_an_application_written_as_a_template_is_created_from_it(here: Ground, desk: Desk) -> None:
    base, data = secrets.token_bytes(MIB), f"#!/bin/sh\necho {secrets.token_hex(4)}\n"
    make_application(here, image(here.tenant, base, name="template-base"))
    image(here.new.connection, base, name="template-base")

    _, told = desk.run("plan", "move", "--server", "template-db", "--as-stack", "app.yaml")

    assert "app.yaml" in told
    template = yaml.safe_load((desk.path / "app.yaml").read_text())
    heat, new = here.new.connection.orchestration, here.new.connection
    stack = heat.create_stack(name="template", template=template, parameters={"user_data_template_db": data})
    heat.wait_for_status(stack, "CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=1, wait=WAIT_SECONDS)
    made = members(new, stack.id)
    server = new.compute.get_server(made["server_template_db"])
    assert server.status == "ACTIVE"
    assert user_data(here.new_admin, server.id) == data.encode()
    assert [one.volume_id for one in new.compute.volume_attachments(server)] == [made["volume_template_data"]]
    port = new.network.get_port(made["port_template_port"])
    assert (port.device_id, [one["ip_address"] for one in port.fixed_ips]) == (server.id, ["10.91.0.9"])
    assert port.security_group_ids == [made["security_group_template_group"]]
    rules = [(one.direction, one.protocol, one.port_range_min) for one in new.network.security_group_rules(project_id=here.new.project_id)]
    assert ("ingress", "tcp", 443) in rules
    [address] = new.network.ips(project_id=here.new.project_id)
    assert address.port_id == port.id


def make_application(here: Ground, base: str) -> None:
    """A server on a port with an address of its own, a group, a volume, a router to the outside, and an address there."""
    network, compute, volumes = here.tenant.network, here.tenant.compute, here.tenant.block_storage
    outside = network.find_network(EXTERNAL, ignore_missing=False)
    net = network.create_network(name="template-net")
    subnet = network.create_subnet(name="template-subnet", network_id=net.id, ip_version=4, cidr="10.91.0.0/24")
    router = network.create_router(name="template-router", external_gateway_info={"network_id": outside.id})
    network.add_interface_to_router(router, subnet=subnet)
    group = network.create_security_group(name="template-group")
    rule = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}
    network.create_security_group_rule(security_group_id=group.id, **rule)
    address = {"subnet_id": subnet.id, "ip_address": "10.91.0.9"}
    port = network.create_port(name="template-port", network_id=net.id, security_groups=[group.id], fixed_ips=[address])
    volume = volumes.create_volume(name="template-data", size=1)
    volumes.wait_for_status(volume, "available", wait=WAIT_SECONDS)
    flavor = compute.find_flavor("m1.small", ignore_missing=False)
    server = compute.create_server(name="template-db", image_id=base, flavor_id=flavor.id, networks=[{"port": port.id}])
    server = compute.wait_for_server(server, wait=WAIT_SECONDS)
    compute.create_volume_attachment(server, volume_id=volume.id)
    network.create_ip(floating_network_id=outside.id, port_id=port.id)
