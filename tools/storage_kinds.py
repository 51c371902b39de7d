"""What a project has in Glance and Cinder, for verify.py, with the SHA-256 of every byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from clouds import Facts, all_images
from digests import STEADY_VOLUME, sha256_of_image, sha256_of_snapshot, sha256_of_volume
from looks import MARK, Ground, Kind, Names, each, flag, metadata, named, plain, same, tags

AT_A_TIME = 4
"""Disks that are read at once."""
STANDARD = {
    *("id", "name", "status", "owner", "visibility", "protected", "checksum", "size", "virtual_size", "created_at", "updated_at", "tags"),
    *("min_disk", "min_ram", "disk_format", "container_format", "os_hash_algo", "os_hash_value", "os_hidden", "file", "self", "schema"),
    *("stores", "direct_url", "location", "locations", "deleted", "deleted_at"),
}
"""Fields of every image; all others are properties."""
BY_NOVA = {
    *("base_image_ref", "boot_roles", "image_location", "image_state", "instance_owner", "instance_uuid", "owner_id"),
    *("owner_project_name", "owner_user_name", "user_id"),
}
"""Properties of a snapshot that name things of its own cloud."""
SIGNATURE = ("img_signature", "img_signature_certificate_uuid", "img_signature_hash_method", "img_signature_key_type")
OTHER_IMAGES = ("kernel_id", "ramdisk_id")
ALL_OTHERS = "*"
OF_THE_IMAGE_ITSELF = frozenset(
    ["image_id", "image_name", "checksum", "size", "min_disk", "min_ram", "disk_format", "container_format", "signature_verified"]
)
OF_THE_SERVICE = {"stores", "self", "file", "schema", "direct_url", "locations", "owner_specified.openstack.object"}
MODE, READ_ONLY = "attached_mode", "readonly"
"""Cinder's own keys among a volume's metadata."""


def with_digests(listed: list[Facts], digest: Callable[[Facts], str | None]) -> Iterator[Facts]:
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield from (one | {"sha256": told} for one, told in zip(listed, pool.map(digest, listed), strict=True))


def images(ground: Ground) -> Iterator[Facts]:
    """Those that the project owns."""
    cloud = ground.cloud

    def digest(image: Facts) -> str | None:
        return sha256_of_image(cloud, image["id"]) if ground.hashes and image["status"] == "active" else None

    yield from with_digests([whole(ground, image) for image in all_images(cloud) if image["owner"] == ground.project], digest)


def whole(ground: Ground, image: Facts) -> Facts:
    shared = image["visibility"] == "shared"
    members = ground.cloud.get("image", f"/images/{image['id']}/members")["members"] if shared else []
    special = {*SIGNATURE, *OTHER_IMAGES}
    others = {name: value for name, value in image.items() if name not in STANDARD | BY_NOVA | special and not name.startswith("os_glance")}
    return {**dict.fromkeys(special), **image, "members": [one["member_id"] for one in members], ALL_OTHERS: others}


def volumes(ground: Ground) -> Iterator[Facts]:
    """A volume tells the name of its type as `volume_type`; its content as `sha256`, and as `fresh_sha256` what a raw image began it with;
    whether it is there for a snapshot as `holds`."""
    cloud = ground.cloud
    held = {snapshot["volume_id"] for snapshot in cinders(ground, "snapshots") if any(map(MARK.match, snapshot["metadata"]))}
    told = [
        {
            **volume,
            "volume_type_id": volume["volume_type"],
            "metadata": {key: value for key, value in volume["metadata"].items() if key not in {MODE, READ_ONLY}},
            "metadata.readonly": volume["metadata"].get(READ_ONLY, False),
            "volume_image_metadata": volume.get("volume_image_metadata", {}),
            "steady": volume["status"] if volume["status"] not in STEADY_VOLUME else True,
            "attached": len(volume["attachments"]),
            "holds": "snapshot" if volume["id"] in held and any(map(MARK.match, volume["metadata"])) else None,
        }
        for volume in cinders(ground, "volumes")
    ]

    def fresh(volume: Facts) -> str | None:
        image = volume["volume_image_metadata"]
        base = image.get("image_id") if ground.hashes and image.get("disk_format") == "raw" else None
        return sha256_of_image(cloud, base, volume["size"]) if base else None

    for volume in with_digests(told, lambda volume: sha256_of_volume(cloud, volume["id"]) if ground.hashes else None):
        yield volume | {"fresh_sha256": fresh(volume)}


def snapshots(ground: Ground) -> Iterator[Facts]:
    cloud = ground.cloud
    listed = cinders(ground, "snapshots")
    yield from with_digests(listed, lambda one: sha256_of_snapshot(cloud, one["id"], one["size"]) if ground.hashes else None)


def cinders(ground: Ground, key: str) -> list[Facts]:
    return list(ground.cloud.pages("block_storage", f"/{key}/detail?all_tenants=1&project_id={ground.project}", key))


def image_metadata(value: Facts, names: Names) -> Facts:
    return {key: told for key, told in metadata(value, names).items() if key not in OF_THE_IMAGE_ITSELF | OF_THE_SERVICE}


KINDS = {
    "image": Kind(
        images,
        {
            **each(same, "name", "disk_format", "container_format", "min_disk", "min_ram", "protected", "size", "os_hidden"),
            **each(same, "visibility", "os_hash_value", *SIGNATURE),
            **each(named, "owner", "members", *OTHER_IMAGES),
            "tags": tags,
            ALL_OTHERS: metadata,
            **each(same, "id", "status", "sha256"),
        },
    ),
    "volume": Kind(
        volumes,
        {
            **each(same, "name", "size"),
            "description": plain,
            "metadata": metadata,
            **each(flag, "bootable", "metadata.readonly"),
            "volume_image_metadata": image_metadata,
            **each(named, "os-vol-tenant-attr:tenant_id", "volume_type_id"),
            **each(same, "sha256", "fresh_sha256", "steady", "attached", "holds"),
        },
    ),
    "volume_snapshot": Kind(
        snapshots,
        {
            **each(same, "name", "size"),
            "description": plain,
            "metadata": metadata,
            "os-extended-snapshot-attributes:project_id": named,
            **each(same, "sha256"),
        },
    ),
}
