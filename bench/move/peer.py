"""The peer: openstack-migrate, the former sunbeam-migrate, from a checkout that the user has, with what it needs in a venv of its own.

It is on no package index (asked: PyPI, for openstack-migrate and sunbeam-migrate), so nothing of it is fetched here. It asks for Python
3.12; nothing in it needs that, so that this one runs it, and both tools have the same Python.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bench import venv
from bench.move import measuring
from bench.move.measuring import Taken
from decamp.lab import content
from decamp.lab.connections import connect
from decamp.lab.layout import CloudName, Lab, write_private
from decamp.model.errors import BadInput

PACKAGES = ("openstack_migrate", "sunbeam_migrate")
KINDS = ("security-group", "network", "router", "image", "volume", "instance", "floating-ip")
"""One batch each, in an order in which nothing is missing; what instances need comes along with them."""
LOCK = Path(__file__).parent / "peer.lock"


def package(checkout: Path) -> str:
    """The name of its Python package. Raises BadInput where there is none."""
    found = next((name for name in PACKAGES if (checkout / name / "main.py").exists()), None)
    if found is None:
        raise BadInput(f"{checkout} is no checkout of openstack-migrate or sunbeam-migrate: neither {' nor '.join(PACKAGES)} is in it.")
    return found


def move(lab: Lab, checkout: Path, project: str, folder: Path, log: Path, seconds: float) -> Taken:
    """As the administrator, in its multi-tenant mode: as a tenant it cannot list what a project has, and its routers are refused.

    It is given up after so many `seconds`. What is the operator's own is registered with it before: flavors, volume type and the external
    network, as Decamp's mapping has them.
    """
    name = package(checkout)
    python = str(venv.python("peer", LOCK))
    settings = {
        "cloud_config_file": str(lab.clouds_yaml),
        "source_cloud_name": str(CloudName.OLD),
        "destination_cloud_name": str(CloudName.NEW),
        "database_file": str(folder / "peer.sqlite"),
        "temporary_migration_dir": str(folder / "scratch"),
        "multitenant_mode": True,
        "preserve_volume_type": True,
        "preserve_port_mac_address": True,
        "preserve_port_floating_ip": True,
        "preserve_port_floating_ip_address": False,
        "preserve_router_ip": False,
    }
    write_private(folder / "peer.yaml", yaml.safe_dump(settings))
    command = [python, "-m", f"{name}.main", "--config", str(folder / "peer.yaml")]
    for kind, old, new in _of_the_operator(lab):
        subprocess.run([*command, "register-external", "--resource-type", kind, old, new], check=True, cwd=checkout, capture_output=True)
    taken = Taken()
    for kind in KINDS:
        if taken.wall_seconds >= seconds:
            break
        which = ["--resource-type", kind, "--filter", f"project-id:{project}"]
        asked = ["start-batch", *which, "--include-dependencies", "--include-members"]
        taken += measuring.run(lab, [*command, *asked], checkout, log, seconds=seconds - taken.wall_seconds)
    return taken


def _of_the_operator(lab: Lab) -> Iterator[tuple[str, str, str]]:
    """(kind, id in the old cloud, id in the new)."""
    old, new = connect(lab, CloudName.OLD), connect(lab, CloudName.NEW)
    flavors = {_size(flavor): flavor.id for flavor in new.compute.flavors()}
    for flavor in old.compute.flavors():
        if _size(flavor) in flavors:
            yield "flavor", flavor.id, flavors[_size(flavor)]
    networks = [_only(cloud.network.networks(), content.PUBLIC_NETWORK) for cloud in (old, new)]
    subnets = [next(iter(cloud.network.subnets(network_id=id))).id for cloud, id in zip((old, new), networks, strict=True)]  # noqa: A001
    types = [_only(cloud.block_storage.types(), content.VOLUME_TYPE) for cloud in (old, new)]
    yield "network", networks[0], networks[1]
    yield "subnet", subnets[0], subnets[1]
    yield "volume-type", types[0], types[1]


def _size(flavor: Any) -> tuple[int, int, int]:
    return flavor.vcpus, flavor.ram, flavor.disk


def _only(found: Any, name: str) -> str:
    return next(one.id for one in found if one.name == name)
