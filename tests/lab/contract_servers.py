"""The contract's cases with bytes in them: images, volumes, servers."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from typing import IO, Any

from contract import PUBLIC_KEY, Case, Ground, fresh_name, moved_group, moved_network
from contract_networks import CASES as SMALL_CASES
from contract_objects import CASES as OBJECT_CASES
from openstack.connection import Connection

from decamp.model.refs import Ref

MIB = 1024 * 1024

USER_DATA = b"#cloud-config\npassword: not to be told\n"


def image(connection: Connection, data: bytes | IO[bytes], **attributes: Any) -> str:
    """By plain calls: openstacksdk would add properties of its own."""
    body = {"name": fresh_name("image"), "disk_format": "raw", "container_format": "bare", **attributes}
    made = connection.image.post("/images", json=body).json()["id"]
    headers = {"Content-Type": "application/octet-stream", "Connection": "close"}
    assert connection.image.put(f"/images/{made}/file", data=data, headers=headers).status_code == 204
    return made


def volume(connection: Connection, **attributes: Any) -> str:
    made = connection.block_storage.create_volume(name=fresh_name("volume"), size=1, **attributes)
    connection.block_storage.wait_for_status(made, "available", wait=300)
    return made.id


def act_on_volume(connection: Connection, id: str, action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    answer = connection.block_storage.post(f"/volumes/{id}/action", json={action: dict(arguments)})
    assert answer.ok, answer.text
    return answer.json() if answer.content else {}


def small_flavor(here: Ground) -> str:
    """The old cloud's smallest; the new cloud's of the same name stands for it."""
    old = min(here.tenant.compute.flavors(), key=lambda flavor: flavor.ram)
    here.ids[Ref("flavor", old.id)] = here.new_admin.compute.find_flavor(old.name, ignore_missing=False).id
    return old.id


def moved_port(here: Ground, network: str, group: str, **attributes: Any) -> str:
    made = here.tenant.network.create_port(name=fresh_name("port"), network_id=network, security_groups=[group], **attributes).id
    here.move("port", made)
    return made


def boot(here: Ground, **attributes: Any) -> str:
    """As the tenant; running when it returns."""
    hints = {"os:scheduler_hints": attributes.pop("hints")} if "hints" in attributes else {}
    body = {"server": {"name": fresh_name("server"), "flavorRef": small_flavor(here), **attributes}, **hints}
    answer = here.tenant.compute.post("/servers", json=body, microversion="2.90")
    assert answer.ok, answer.text
    made = answer.json()["server"]["id"]
    here.tenant.compute.wait_for_server(here.tenant.compute.get_server(made), wait=300)
    return made


def stop(here: Ground, server: str) -> None:
    here.tenant.compute.stop_server(server)
    here.tenant.compute.wait_for_server(here.tenant.compute.get_server(server), status="SHUTOFF", wait=300)
    # the status comes a moment before Nova is done
    deadline = time.monotonic() + 30
    while here.tenant.compute.get_server(server).task_state and time.monotonic() < deadline:
        time.sleep(0.2)


SHARED_WITH, ITS_COPY = "f" * 32, "e" * 32
"""A project that an image is shared with, and what stands for it. Glance asks nobody whether it is there."""


def _make_image(here: Ground) -> str:
    """Signed after the upload: Glance would verify it, and has no certificate here."""
    made = image(
        here.tenant,
        secrets.token_bytes(5 * MIB + 17),
        min_disk=1,
        min_ram=64,
        tags=["b", "a"],
        hw_firmware_type="uefi",
        os_distro="debian",
        protected=False,
        base_image_ref="of the old cloud",
    )
    signature = {
        "img_signature": "c2lnbmVk",
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
        "img_signature_certificate_uuid": "5d7a2b1e-0000-4000-8000-000000000000",
    }
    changes = [{"op": "add", "path": f"/{name}", "value": value} for name, value in signature.items()]
    assert here.tenant.image.patch(f"/images/{made}", json=changes, headers=PATCH).ok
    assert here.tenant.image.post(f"/images/{made}/members", json={"member": SHARED_WITH}).ok
    here.ids[Ref("project", SHARED_WITH)] = ITS_COPY
    return made


PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def _spoil_image(here: Ground, copy: str) -> str:
    changes = [{"op": "replace", "path": "/hw_firmware_type", "value": "bios"}]
    assert here.new.connection.image.patch(f"/images/{copy}", json=changes, headers=PATCH).ok
    return copy


def data_volume(here: Ground, data: bytes) -> str:
    """With bytes in it, made of an image, and for all that not bootable and with image metadata of its own."""
    base = image(here.tenant, data, hw_disk_bus="scsi", os_distro="debian")
    made = volume(here.tenant, image_id=base, description="data", metadata={"owner": "db"})
    act_on_volume(here.tenant, made, "os-set_bootable", {"bootable": False})
    act_on_volume(here.tenant, made, "os-set_image_metadata", {"metadata": {"hw_scsi_model": "virtio-scsi"}})
    act_on_volume(here.tenant, made, "os-unset_image_metadata", {"key": "os_distro"})
    return made


def _make_volume(here: Ground) -> str:
    made = data_volume(here, secrets.token_bytes(3 * MIB))
    act_on_volume(here.tenant, made, "os-update_readonly_flag", {"readonly": True})
    return made


def _spoil_volume(here: Ground, copy: str) -> str:
    act_on_volume(here.new.connection, copy, "os-unset_image_metadata", {"key": "hw_scsi_model"})
    return copy


def _make_snapshot(here: Ground) -> str:
    """The volume has changed since."""
    data = data_volume(here, secrets.token_bytes(2 * MIB))
    cinder = here.tenant.block_storage
    made = cinder.create_snapshot(volume_id=data, name=fresh_name("snapshot"), description="before", metadata={"day": "monday"})
    cinder.wait_for_status(made, "available", wait=300)
    return made.id


def _spoil_snapshot(here: Ground, copy: str) -> str:
    here.new.connection.block_storage.update_snapshot(copy, description="after")
    return copy


def _make_server(here: Ground) -> str:
    """From an image, with a volume, two interfaces in an order that is not that of their making, and all that can be asked for; stopped
    and locked."""
    base = image(here.tenant, secrets.token_bytes(2 * MIB))
    here.move("image", base)
    data = volume(here.tenant)
    here.move("volume", data)
    network, _ = moved_network(here, "10.81.0.0/24")
    group = moved_group(here)
    second, first = moved_port(here, network, group), moved_port(here, network, group)
    key = here.tenant.compute.create_keypair(name=fresh_name("key"), public_key=PUBLIC_KEY).name
    here.move("keypair", key if here.mode == "tenant" else f"{here.tenant.current_user_id}/{key}")
    spread = here.tenant.compute.create_server_group(name=fresh_name("server-group"), policy="soft-anti-affinity").id
    here.move("server_group", spread)
    user_data = {"user_data": base64.b64encode(USER_DATA).decode()} if here.mode == "operator" else {}
    made = boot(
        here,
        imageRef=base,
        networks=[{"port": first, "tag": "front"}, {"port": second}],
        block_device_mapping_v2=[
            {"uuid": base, "source_type": "image", "destination_type": "local", "boot_index": 0, "delete_on_termination": True},
            {"uuid": data, "source_type": "volume", "destination_type": "volume", "boot_index": -1, "tag": "database"},
        ],
        metadata={"role": "web"},
        tags=["blue", "app:shop"],
        description="a server",
        hostname="shop-1",
        key_name=key,
        config_drive=True,
        hints={"group": spread},
        **user_data,
    )
    stop(here, made)
    lock = {"lock": {"locked_reason": "until the audit"}}
    assert here.tenant.compute.post(f"/servers/{made}/action", json=lock, microversion="2.73").ok
    return made


def _spoil_server(here: Ground, copy: str) -> str:
    compute = here.new.connection.compute
    assert compute.post(f"/servers/{copy}/action", json={"unlock": None}).ok
    assert compute.put(f"/servers/{copy}/metadata", json={"metadata": {"role": "db"}}).ok
    return copy


def _make_volume_type(here: Ground) -> str:
    """One that no backend serves: nothing is made of it."""
    cinder = here.admin.block_storage
    name = fresh_name("type")
    body = {"name": name, "description": "fast", "os-volume-type-access:is_public": False, "extra_specs": {"multiattach": "<is> False"}}
    made = cinder.post("/types", json={"volume_type": body}).json()["volume_type"]["id"]
    here.later.callback(cinder.delete, f"/types/{made}")
    assert cinder.post(f"/types/{made}/action", json={"addProjectAccess": {"project": here.project}}).ok
    return made


def _spoil_volume_type(here: Ground, copy: str) -> str:
    assert here.new_admin.block_storage.delete(f"/types/{copy}/extra_specs/multiattach").ok
    return copy


STACK: dict[str, Any] = {
    "heat_template_version": "2018-08-31",
    "parameters": {"length": {"type": "number", "default": 8}, "network": {"type": "string"}},
    "resources": {
        "word": {"type": "OS::Heat::RandomString", "properties": {"length": {"get_param": "length"}}},
        "port": {"type": "OS::Neutron::Port", "properties": {"network": {"get_param": "network"}}},
    },
}


def _make_stack(here: Ground) -> str:
    network, _ = moved_network(here, "10.66.0.0/24")
    heat = here.tenant.orchestration
    given = {"length": 12, "network": network}
    made = heat.create_stack(name=fresh_name("stack"), template=STACK, parameters=given, tags="blue", timeout_mins=30)
    heat.wait_for_status(made, "CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=1, wait=300)
    return made.id


def _spoil_stack(here: Ground, copy: str) -> str:
    heat = here.new.connection.orchestration
    stack = heat.get_stack(copy)
    assert heat.patch(f"/stacks/{stack.name}/{stack.id}", json={"tags": "green"}).status_code == 202
    heat.wait_for_status(heat.get_stack(copy), "UPDATE_COMPLETE", failures=["UPDATE_FAILED"], interval=1, wait=300)
    return copy


CASES: Mapping[str, Case] = {**SMALL_CASES, **OBJECT_CASES} | {
    case.kind: case
    for case in (
        Case(kind="image", make=_make_image, spoil=_spoil_image, told="hw_firmware_type"),
        Case(kind="volume_type", make=_make_volume_type, spoil=_spoil_volume_type, told="extra_specs", modes=("operator",)),
        Case(kind="volume", make=_make_volume, spoil=_spoil_volume, told="hw_scsi_model"),
        Case(kind="volume_snapshot", make=_make_snapshot, spoil=_spoil_snapshot, told="description", modes=("tenant",), most=3),
        Case(kind="stack", make=_make_stack, spoil=_spoil_stack, told="tags", modes=("tenant",), most=1),
        Case(kind="server", make=_make_server, spoil=_spoil_server, told="metadata"),
    )
}
"""All kinds'."""
