"""What a project has in Heat, for verify.py: stacks by their templates, files and parameters, and by what they made.

Heat's default policy shows an administrator no stacks but those of the own project: they are read with the tenant's credentials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from clouds import Cloud, Facts, all_images
from compute_kinds import flavor_content
from looks import Ground, Kind, Names, by_content, each, named, same, tags

NESTED_DEPTH = 5
"""Heat's own default limit of stacks within stacks."""
SECTIONS = ("parameters", "parameter_defaults")
"""Of an environment; the rest is worded by Heat."""


def stacks(ground: Ground) -> Iterator[Facts]:
    """But for those within others."""
    cloud = ground.tenant
    if cloud is None or not cloud.connection.endpoint_for("orchestration"):
        return
    contents = contents_of(ground.cloud)
    for listed in cloud.pages("orchestration", "/stacks", "stacks"):
        path = f"/stacks/{listed['stack_name']}/{listed['id']}"
        stack = cloud.get("orchestration", path)["stack"]
        template, files, environment = (cloud.get("orchestration", f"{path}/{part}") for part in ("template", "files", "environment"))
        given = {section: environment.get(section) or {} for section in SECTIONS}
        made = cloud.get("orchestration", f"{path}/resources?nested_depth={NESTED_DEPTH}")["resources"]
        yield stack | {
            "parameters.OS::project_id": stack["parameters"]["OS::project_id"],
            "parameters": words({"template": template, "files": files, **given}, contents),
            "complete": stack["stack_status"].endswith("_COMPLETE"),
            "members": sorted([one["resource_name"], one["resource_type"]] for one in made),
            "made": [one["physical_resource_id"] for one in made if one["physical_resource_id"]],
        }


def contents_of(cloud: Cloud) -> dict[str, str]:
    """Images and flavors, by name and by id: what stands for one in the new cloud may be called otherwise."""
    flavors = cloud.pages("compute", "/flavors/detail?is_public=None", "flavors")
    told = {called: by_content(flavor_content(one)) for one in flavors for called in (one["id"], one["name"])}
    return told | {called: one["os_hash_value"] for one in all_images(cloud) if one["os_hash_value"] for called in (one["id"], one["name"])}


def words(value: Any, names: Names) -> Any:
    """A document with everything that it names of its cloud called as in every cloud."""
    match value:
        case str():
            return names.get(value, value)
        case list():
            return [words(one, names) for one in value]
        case dict():
            return {key: words(one, names) for key, one in value.items()}
        case _:
            return value


def digests(value: Facts, names: Names) -> dict[str, str]:
    """Of each document: they may hold passwords."""
    return {part: hashlib.sha256(by_content(words(told, names)).encode()).hexdigest() for part, told in value.items()}


KINDS = {
    "stack": Kind(
        stacks,
        {
            **each(same, "stack_name", "timeout_mins", "complete", "members"),
            "parameters.OS::project_id": named,
            "tags": tags,
            "parameters": digests,
            "made": same,
        },
    )
}
