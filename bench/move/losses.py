"""What of a tenant is not in the new cloud as it was in the old, by the portraits that tools/verify.py goes by: openstacksdk alone.

Contents are compared where the lab keeps them, as files, which spares the clouds the work.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from decamp.lab.layout import CloudName, Lab

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from clouds import Cloud, all_images
from operator_kinds import KINDS as OF_OPERATORS
from portraits import Portrait, portrait, project_id

Facts = dict[str, Any]
OF_THE_CLOUD = frozenset({"id", "image_id", "image_sha256", "steady", "holds", "made"})
"""What is another in every cloud; the image of a server that was moved with its disk is its own."""


def take(lab: Lab, cloud: CloudName, project: str) -> Portrait:
    """With hashes of all contents. `project` is its name."""
    seen = Cloud(cloud, str(lab.clouds_yaml))
    found = project_id(seen, project)
    if found is None:
        raise RuntimeError(f"{cloud} has no project {project}")
    taken = portrait(seen, found, hashes=False)
    folder = lab.cloud_folder(cloud)
    hashes = {image["id"]: image["os_hash_value"] for image in all_images(seen)}
    volumes = seen.pages("block_storage", f"/volumes/detail?all_tenants=1&project_id={found}", "volumes")
    files = {volume["name"]: folder / "cinder" / "share" / f"volume-{volume['id']}" for volume in volumes}
    for image in taken["image"]:
        image["content"] = hashes[image["id"]]
    for volume in taken["volume"]:
        volume["content"] = _digest([files[volume["name"]]])
    for server in taken["server"]:
        server["root_disk"] = _digest([*folder.glob(f"nova/disks/*/{server['id']}.disk")] if server["image"] else [])
    return taken


def servers(before: Portrait, after: Portrait) -> int:
    """How many of them are there."""
    there = {server["name"] for server in after["server"] if server["status"] != "ERROR"}
    return sum(server["name"] in there for server in before["server"])


def losses(before: Portrait, after: Portrait) -> Counter[str]:
    """What it is -> how many have lost it."""
    lost: Counter[str] = Counter()
    for kind, objects in before.items():
        if kind in OF_OPERATORS:
            continue
        what = kind.replace("_", " ")
        was, there = _by_name(objects), _by_name(after[kind])
        lost[f"whole {what}"] += sum(name not in there for name in was)
        lost[f"whole {what}"] += max(0, _nameless(objects) - _nameless(after[kind]))
        lost.update(f"{what}: {field}" for name in was.keys() & there.keys() for field in _differing(was[name], there[name]))
    return +lost


def _by_name(objects: list[Facts]) -> dict[str, Facts]:
    return {name: one for one in objects if (name := _name(one))}


def _nameless(objects: list[Facts]) -> int:
    return sum(not _name(one) for one in objects)


def _name(one: Facts) -> str:
    return one.get("name") or one.get("stack_name") or one.get("mac_address") or ""


def _differing(was: Facts, now: Facts) -> list[str]:
    """Of what both clouds show."""
    return [field for field in was.keys() & now.keys() if field not in OF_THE_CLOUD and was[field] != now[field]]


def _digest(files: list[Path]) -> list[str]:
    digests: list[str] = []
    for file in files:
        with file.open("rb") as content:
            digests.append(hashlib.file_digest(content, "sha256").hexdigest())
    return digests
