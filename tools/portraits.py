"""What a project looks like, for verify.py: all that it has, with names in place of ids, so that two clouds can be compared.

Each kind has a table of its attributes in one of the modules `..._kinds.py`, called as in docs/reference/kinds.md.
"""

from __future__ import annotations

import compute_kinds
import network_kinds
import object_kinds
import operator_kinds
import stack_kinds
import storage_kinds
from clouds import Cloud, Facts, all_images
from looks import Ground, Kind, Names, by_content

Portrait = dict[str, list[Facts]]
"""Kind -> what the project has of it."""

KINDS: dict[str, Kind] = {
    **network_kinds.KINDS,
    **storage_kinds.KINDS,
    **compute_kinds.KINDS,
    **object_kinds.KINDS,
    **stack_kinds.KINDS,
    **operator_kinds.KINDS,
}
OF_STACK = "of_stack"
"""Of what a stack made: that stack's name. Its copy makes it anew, with names and MACs of its own."""


def project_id(cloud: Cloud, name: str) -> str | None:
    found = [project.id for project in cloud.connection.identity.projects(name=name)] or [
        project.id for project in cloud.connection.identity.projects() if project.id == name
    ]
    return found[0] if len(found) == 1 else None


def portrait(cloud: Cloud, project: str, hashes: bool = True, tenant: Cloud | None = None) -> Portrait:
    """`hashes` reads every byte of its volumes, images and root disks. `tenant`: with credentials of the project, for its stacks."""
    ground = Ground(cloud, project, hashes, tenant)
    found = {name: list(kind.listed(ground)) for name, kind in KINDS.items()}
    names = names_of(cloud, project)
    made = {one: stack["stack_name"] for stack in found["stack"] for one in stack["made"]}
    return {
        name: sorted((facts_of(kind, one, names) | of_stack(one, made) for one in found[name]), key=by_content)
        for name, kind in KINDS.items()
    }


def facts_of(kind: Kind, one: Facts, names: Names) -> Facts:
    return {attribute: look(one[attribute], names) for attribute, look in kind.looks.items() if attribute in one}


def of_stack(one: Facts, made: dict[str, str]) -> Facts:
    """Also a rule of a stack's group and a port of a stack's server, which Heat does not list."""
    return next(({OF_STACK: made[one[field]]} for field in ("id", "security_group_id", "device_id") if one.get(field) in made), {})


def names_of(cloud: Cloud, project: str) -> Names:
    """Images are called by their content, which outlives their names."""
    images = {image["id"]: image["os_hash_value"] or image["name"] for image in all_images(cloud)}
    return {**operator_kinds.names_of(cloud), **network_kinds.names_of(cloud, project), **compute_kinds.names_of(cloud, project), **images}
