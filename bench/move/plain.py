"""The least that carries a tenant's disks: the same calls, all disks at once, nothing hashed, proved, remembered or looked after.

    python -m bench.move.plain CLOUDS_YAML OLD NEW

Its time is the bound that others are held against: what the two clouds themselves take for one snapshot or upload, one download, one
upload, and one boot a server. Names, addresses, keys, rules, states and all other attributes are left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import raise_from_response

LOOK_SECONDS = 0.3
CHUNK_BYTES = 2 << 20
AT_A_TIME = 12


def main() -> None:
    clouds_file, old_name, new_name = sys.argv[1:]
    config = OpenStackConfig(config_files=[clouds_file])
    old, new = (Connection(config=config.get_one(cloud=name)) for name in (old_name, new_name))
    network = _network(new)
    flavors = {(flavor.vcpus, flavor.ram, flavor.disk): flavor.id for flavor in new.compute.flavors()}
    servers, volumes = list(old.compute.servers()), list(old.block_storage.volumes())
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(lambda server: _stop(old, server), servers))
        images = [pool.submit(_carry, old, new, one.id, "raw") for one in old.image.images(owner=old.current_project_id, status="active")]
        disks = {server.id: pool.submit(_root_disk, old, new, server) for server in servers if server.image and server.image.id}
        made = {volume.id: pool.submit(_volume, old, new, volume) for volume in volumes}
        boots = [
            pool.submit(
                _boot,
                new,
                server,
                flavors[(server.flavor.vcpus, server.flavor.ram, server.flavor.disk)],
                network,
                disks[server.id].result() if server.id in disks else None,
                [made[one.id].result() for one in server.attached_volumes],
            )
            for server in servers
        ]
        for one in (*boots, *made.values(), *images):
            one.result()


def _network(new: Connection) -> str:
    network: Any = new.network.create_network(name="plain")
    new.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.77.0.0/24")
    return network.id


def _stop(old: Connection, server: Any) -> None:
    if server.status == "ACTIVE":
        old.compute.stop_server(server)
        _until(lambda: old.compute.get_server(server.id).status == "SHUTOFF")


def _root_disk(old: Connection, new: Connection, server: Any) -> str:
    image: Any = old.compute.create_server_image(server, f"plain-{server.id}")
    return _carry(old, new, image.id, "raw")


def _volume(old: Connection, new: Connection, volume: Any) -> str:
    cinder: Any = old.block_storage
    asked = {"image_name": f"plain-{volume.id}", "force": True, "disk_format": "qcow2", "container_format": "bare"}
    response = cinder.post(f"/volumes/{volume.id}/action", json={"os-volume_upload_image": asked})
    raise_from_response(response)
    image = _carry(old, new, response.json()["os-volume_upload_image"]["image_id"], "qcow2")
    made: Any = new.block_storage.create_volume(name=volume.name, size=volume.size, image_id=image, volume_type=volume.volume_type)
    _until(lambda: new.block_storage.get_volume(made.id).status == "available")
    return made.id


def _carry(old: Connection, new: Connection, source: str, disk_format: str) -> str:
    _until(lambda: old.image.get_image(source).status == "active")
    created = new.image.post("/images", json={"name": "plain", "disk_format": disk_format, "container_format": "bare"})
    raise_from_response(created)
    target = created.json()["id"]
    response = old.image.get(f"/images/{source}/file", stream=True)
    raise_from_response(response)
    body: Iterator[bytes] = response.iter_content(CHUNK_BYTES)
    headers = {"Content-Type": "application/octet-stream", "Connection": "close"}
    raise_from_response(new.image.put(f"/images/{target}/file", data=body, headers=headers))
    return target


def _boot(new: Connection, server: Any, flavor: str, network: str, image: str | None, volumes: list[str]) -> None:
    devices = [{"source_type": "volume", "destination_type": "volume", "uuid": id, "boot_index": -1} for id in volumes]  # noqa: A001
    if image:
        devices.insert(0, {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0})
    else:
        devices[0]["boot_index"] = 0
    asked: dict[str, Any] = {"image_id": image} if image else {}
    made: Any = new.compute.create_server(
        name=server.name, flavor_id=flavor, networks=[{"uuid": network}], block_device_mapping=devices, **asked
    )
    _until(lambda: new.compute.get_server(made.id).status == "ACTIVE")


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
