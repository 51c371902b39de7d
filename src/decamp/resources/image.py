"""Images: all that can be written of them, and their bytes. The mark is a tag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.refs import Ref, fingerprint
from decamp.model.survey import Resource
from decamp.resources import calls, image_copy, image_data, server_reading
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as, owner, refused
from decamp.resources.calls import Json
from decamp.resources.kind import Passage
from decamp.resources.specs import differences, mapped, pair, sealed, unchanged
from decamp.resources.tagging import UNFINISHED, without_marks

NAME = "image"

OF_THE_OLD_CLOUD = frozenset(
    [
        "base_image_ref",
        "instance_uuid",
        "instance_owner",
        "user_id",
        "owner_id",
        "owner_user_name",
        "owner_project_name",
        "boot_roles",
        "image_location",
        "image_state",
    ]
)
"""Properties that Nova writes on a snapshot (nova.compute.utils.create_image) and that name things of the old cloud alone."""

RESERVED = "os_glance"
"""Prefix of properties that Glance keeps to itself and refuses to be given."""

SIGNATURE = frozenset({"img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid"})
"""Properties that make Glance verify the bytes while they come, with a certificate of its own cloud (glance.common.signature_utils)."""

OWNERS_CHOICE = frozenset({"name", "visibility", "members", "protected", "hidden", "tags", "min_disk", "min_ram"})
"""What two images of one content may differ in, and are still the same base."""

OTHER_IMAGES = {"kernel": "kernel_id", "ramdisk": "ramdisk_id"}
"""Fields of the spec -> properties that hold another image's id (images of the formats ami, ari, aki)."""

ATTRIBUTES = (
    *owner("owner"),
    *kept("name", "disk_format", "container_format", "min_disk", "min_ram", "protected", "tags", "size", hidden="os_hidden"),
    *kept("visibility", how="`public` takes an operator: a tenant's copy is private"),
    *kept("os_hash_value", how="where both Glances compute the same; the bytes are hashed on the way in any case"),
    *mapped_as(**OTHER_IMAGES),
    *mapped_as(how="for projects that are moved or were, who accept it anew", members="members"),
    *kept(how="every property that is not in this table, of any name", properties="*"),
    *(
        attribute
        for name in sorted(SIGNATURE)
        for attribute in kept(how="given after the bytes; the certificate has to be brought to the new key manager", properties=name)
    ),
    *its_own("id", "status", "created_at", "updated_at", "deleted", "deleted_at", "self", "file", "schema", "virtual_size"),
    *changed("os_hash_algo", "checksum", how="as the new Glance computes it"),
    *changed("direct_url", "locations", "location", "stores", how="where the new Glance keeps it"),
    *lost(*sorted(OF_THE_OLD_CLOUD), why="names things of the old cloud, where Nova wrote it"),
    *lost(f"{RESERVED}*", why="Glance's own notes, which it lets nobody write"),
    *refused("cinder_encryption_key_id", "cinder_encryption_key_deletion_policy", why="its key stays in the old cloud"),
)
"""Members are a call of their own."""

_NO_PROPERTIES = frozenset(attribute.name for attribute in ATTRIBUTES if attribute.field != "properties")


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """The project's own images, and those that it may use: public, community, shared with it; also hidden ones."""
    owner = project or (None if cloud.admin else cloud.project_id)
    seen: set[str] = set()
    for hidden in ("false", "true"):
        for image in image_data.listed(cloud, os_hidden=hidden, visibility="all", member_status="all"):
            if image["id"] in seen:
                continue
            seen.add(image["id"])
            members = _members(cloud, image, owner)
            if cloud.admin and owner not in (None, image["owner"], *members) and image["visibility"] not in ("public", "community"):
                continue
            yield told(image, members, publishes=cloud.admin)


def read(cloud: Cloud, id: str) -> Resource | None:
    image = image_data.got(cloud, id)
    return told(image, _members(cloud, image, cloud.project_id), publishes=cloud.admin) if image else None


def told(image: Json, members: Iterable[str], *, publishes: bool) -> Resource:
    """`publishes`: whether who reads it may publish images, which is what a copy of a public one takes.

    The fingerprint leaves `protected` out: a removal has to lift it first, and may be cut short then; and members, whom not everybody sees.
    """
    properties = {name: value for name, value in sorted(image.items()) if name not in _NO_PROPERTIES and not name.startswith(RESERVED)}
    others = {field: pair(NAME, image.get(name)) for field, name in OTHER_IMAGES.items()}
    spec: dict[str, Any] = {
        "name": image["name"],
        "disk_format": image["disk_format"],
        "container_format": image["container_format"],
        "min_disk": image["min_disk"],
        "min_ram": image["min_ram"],
        "visibility": image["visibility"],
        "protected": image["protected"],
        "hidden": bool(image.get("os_hidden")),
        "tags": without_marks(image["tags"]),
        "properties": properties,
        **others,
        "os_hash_algo": image.get("os_hash_algo"),
        "os_hash_value": image.get("os_hash_value"),
        "size": image["size"],
        "members": [pair("project", member) for member in sorted(members)],
    }
    info: dict[str, Any] = {
        "status": image["status"],
        "virtual_size": image.get("virtual_size"),
        "checksum": image.get("checksum"),
        "not_carried": _not_carried(image, publishes=publishes),
    }
    unsupported = _unsupported(image)
    if unsupported:
        info["unsupported"] = unsupported
    needs = [Ref(*ref) for ref in others.values() if ref]
    resource = sealed(NAME, image["id"], image["name"] or "", image["owner"], needs, spec, info)
    lasting = {field: value for field, value in spec.items() if field not in ("protected", "members")}
    return msgspec.structs.replace(resource, fingerprint=fingerprint(lasting, resource.needs))


def find(passage: Passage, resource: Resource) -> str | None:
    """Halves are deleted: Glance cannot go on with an upload that was broken off. One that still goes on is left to `create`."""
    there = image_copy.find_finished(passage)
    if there:
        _share(passage, resource, there)
    return there


def create(passage: Passage, resource: Resource) -> str:
    """Raises Refused for an image that cannot be carried; the new image is private until its bytes are proved."""
    if resource.info.get("unsupported"):
        raise Refused(f"image {resource.name or resource.id} cannot be copied: {'; '.join(resource.info['unsupported'])}")
    spec = resource.spec
    body = {name: spec[name] for name in ("name", "disk_format", "container_format", "min_disk", "min_ram", "tags")}
    others = {name: mapped(passage.ids, spec[field]) for field, name in OTHER_IMAGES.items() if spec.get(field)}
    signature = {name: value for name, value in spec["properties"].items() if name in SIGNATURE}
    unsigned = {name: value for name, value in spec["properties"].items() if name not in SIGNATURE}
    made = image_copy.copy_image(
        passage,
        resource.id,
        {**body, "visibility": "private", **unsigned, **others},
        finishing={"visibility": _visibility(passage.new, spec), "protected": spec["protected"], "os_hidden": spec["hidden"], **signature},
    )
    _share(passage, resource, made)
    return made


def _share(passage: Passage, resource: Resource, id: str) -> None:
    """With the copies, as far as they are known, of all projects that it is shared with."""
    there = image_data.got(passage.new, id)
    missing = _sharers(passage, resource) - set(_members(passage.new, there, passage.new.project_id) if there else ())
    for member in sorted(missing):
        calls.posted(passage.new, "image", f"/images/{id}/members", {"member": member})


def _sharers(passage: Passage, resource: Resource) -> set[str]:
    return {passage.ids[Ref(*member)] for member in resource.spec.get("members", ()) if Ref(*member) in passage.ids}


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """A public image's copy by a tenant is private, which `info["not_carried"]` says: that is no difference.

    An image without the run's mark is somebody's that was adopted for its content: its name and its sharing are not ours to compare.
    """
    image = image_data.got(passage.new, id)
    copy = told(image, (), publishes=passage.new.admin) if image else None
    is_ours = image is not None and passage.mark in image["tags"]
    ignored = {"os_hash_algo", "os_hash_value", "members"} | (set() if is_ours else OWNERS_CHOICE)
    if resource.spec.get("visibility") == "public" and not passage.new.admin:
        ignored.add("visibility")
    found = list(differences(resource, copy, passage.ids, but=ignored))
    if copy and image:
        what = f"{resource.kind} {resource.name or resource.id}"
        if image["status"] != "active" or UNFINISHED in image["tags"]:
            found.append(f"{what}: its copy is {image['status']}, and not finished")
        algorithm, digest = resource.spec.get("os_hash_algo"), resource.spec.get("os_hash_value")
        if algorithm and algorithm == image.get("os_hash_algo") and digest != image.get("os_hash_value"):
            found.append(f"{what}: its copy has other content: the {algorithm} differs")
        unshared = _sharers(passage, resource) - set(_members(passage.new, image, passage.new.project_id)) if is_ours else set[str]()
        found += [f"{what}: its copy is not shared with project {project}" for project in sorted(unshared)]
    return tuple(found)


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """Also of a protected image, once it is known to be unchanged. Raises Refused while servers that can be seen run from it: their disks
    may be overlays of it."""
    there = read(cloud, id)
    if there is None:
        return
    unchanged(there, expects, cloud.name)
    everybodys = {"all_tenants": "true"} if cloud.admin else {}
    listed = calls.listed(cloud, "compute", "/servers/detail", "servers", {"image": id, **everybodys})
    servers = [one["name"] for one in listed if one["status"] not in server_reading.GONE]
    if servers:
        raise Refused(f"{cloud.name}: image {there.name or id} is what {', '.join(sorted(servers))} run from: it is not removed")
    if there.spec["protected"]:
        image_data.patch(cloud, id, {"protected": False})
    image_data.delete(cloud, id)


def _visibility(cloud: Cloud, spec: dict[str, Any]) -> str:
    """Only an administrator may publish (Glance's policy publicize_image). `shared` without members is Glance's default, and as private."""
    return "private" if spec["visibility"] == "public" and not cloud.admin else spec["visibility"]


def _members(cloud: Cloud, image: Json, owner: str | None) -> list[str]:
    """Projects that it is shared with: its owner sees all of them, another project only itself."""
    if image["visibility"] != "shared" or not (cloud.admin or image["owner"] == owner):
        return []
    return [member["member_id"] for member in calls.listed(cloud, "image", f"/images/{image['id']}/members", "members")]


def _not_carried(image: Json, *, publishes: bool) -> list[str]:
    told: list[str] = []
    if image.get("img_signature_certificate_uuid"):
        told.append(
            f"the certificate {image['img_signature_certificate_uuid']} that verifies its signature: bring it to the new key manager"
        )
    if image["visibility"] == "public" and not publishes:
        told.append("its being public, because only an administrator may publish: its copy is private")
    dropped = sorted(OF_THE_OLD_CLOUD & image.keys())
    if dropped:
        told.append(f"its properties {', '.join(dropped)}, which name things of the old cloud")
    return told


def _unsupported(image: Json) -> list[str]:
    told: list[str] = []
    if image["status"] != "active":
        told.append(f"it is {image['status']}, and only an active image's bytes can be read")
    elif not image["size"]:
        told.append("it holds no bytes of its own: it is the snapshot of a volume-backed server")
    if image.get("cinder_encryption_key_id"):
        told.append("it is the image of an encrypted volume, whose key stays in the old cloud")
    return told
