"""The tenant that is moved: five servers with what one finds around servers. Every mover gets one of its own, equal to the others'."""

from __future__ import annotations

from pathlib import Path

import msgspec

from decamp.lab.content import MIB
from decamp.lab.layout import Lab
from decamp.lab.seed.blueprint import Blueprint, Image, Network, Nic, Patch, Rule, SecurityGroup, Server, State, Tenant, Volume
from decamp.lab.seed.guest_bytes import BLOCK_BYTES
from decamp.lab.seed.guests import volume_file

FLAVOR = "m1.tiny"
MOST_IMAGE_MIB = 1024
"""The flavor's root disk, and the size of the volume that is made of the image."""
WRITTEN_BYTES = 2 * MIB
"""By the guest, on each disk: the rest of a volume was never written."""


def blueprint(names: list[str], hosts: list[str], image_mib: int) -> Blueprint:
    return Blueprint(
        seed=0, images=(), tenants=tuple(_tenant(name, hosts[number:] + hosts[:number], image_mib) for number, name in enumerate(names))
    )


def _tenant(name: str, hosts: list[str], image_mib: int) -> Tenant:
    golden = Image(
        name="golden",
        size_bytes=image_mib * MIB,
        properties={"os_distro": "debian", "hw_firmware_type": "uefi", "hw_machine_type": "q35", "team": "shop"},
    )
    port = Nic(network="front", port="web-1", address="10.77.0.10", security_groups=("web",))
    plain = Server(
        asset="", name="", host="", flavor=FLAVOR, image=golden.name, nics=(Nic(network="front", security_groups=("web",)),), patch=None
    )
    servers = (
        msgspec.structs.replace(plain, name="web-1", nics=(port,), floating=True, group="web", tags=("gold", "shop")),
        msgspec.structs.replace(plain, name="web-2", group="web", tags=("shop",)),
        msgspec.structs.replace(plain, name="app", data_volumes=("data",)),
        msgspec.structs.replace(plain, name="batch", state=State.STOPPED, locked=True),
        msgspec.structs.replace(plain, name="db", image=None, root_volume="root"),
    )
    rules = (
        Rule(protocol="tcp", port=80),
        Rule(protocol="tcp", port=443, cidr="0.0.0.0/0"),
        Rule(protocol="tcp", port=22, cidr="198.18.0.0/24"),
        Rule(protocol="tcp", port=7946, group="web"),
    )
    return Tenant(
        name=name,
        in_new=True,
        image=golden,
        networks=(Network(name="front", cidr="10.77.0.0/24", pool=("10.77.0.50", "10.77.0.199"), gateway=True, dns=("192.0.2.53",)),),
        security_groups=(SecurityGroup(name="web", description="Front ends", rules=rules),),
        server_groups={"web": "anti-affinity"},
        volumes=(_volume("data"), _volume("root", golden.name), _volume("spare")),
        servers=tuple(
            msgspec.structs.replace(
                server,
                asset=f"shop-{number}",
                host=hosts[number % len(hosts)],
                metadata={"role": server.name, "asset": f"shop-{number}"},
                patch=_written(server.name) if server.image else None,
            )
            for number, server in enumerate(servers)
        ),
    )


def _volume(name: str, image: str | None = None) -> Volume:
    return Volume(name=name, size_gib=1, image=image, patch=_written(name), metadata={"backup": "nightly"})


def _written(name: str) -> Patch:
    return Patch(label=f"bench/{name}", amount_bytes=WRITTEN_BYTES)


def written_bytes(lab: Lab, volume_ids: list[str]) -> int:
    """How much of these volumes is anything but zeros, in whole blocks of 64 KiB."""
    return sum(_written_bytes(volume_file(lab, id)) for id in volume_ids)  # noqa: A001


def _written_bytes(path: Path) -> int:
    zeros = bytes(BLOCK_BYTES)
    with path.open("rb") as file:
        return sum(len(block) for block in iter(lambda: file.read(BLOCK_BYTES), b"") if block != zeros[: len(block)])
