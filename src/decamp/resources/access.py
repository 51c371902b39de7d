"""Access lists of what may be private to some projects: flavors and volume types."""

from __future__ import annotations

from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources.kind import Passage
from decamp.resources.specs import pair


def lacking(passage: Passage, resource: Resource, copy: Resource | None) -> list[str]:
    """The copies, as far as they are known, of projects with access to the old one that have none to its copy."""
    if copy is None or copy.spec["public"]:
        return []
    known = [passage.ids[Ref(*project)] for project in resource.spec["access"] if Ref(*project) in passage.ids]
    return [project for project in known if pair("project", project) not in copy.spec["access"]]


def differences(passage: Passage, resource: Resource, copy: Resource | None) -> tuple[str, ...]:
    """Only an administrator sees access lists."""
    if not passage.new.admin:
        return ()
    what = f"{resource.kind} {resource.name}"
    return tuple(f"{what}: the project {project} has no access to its copy" for project in lacking(passage, resource, copy))
