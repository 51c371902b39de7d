"""Kinds that are found and told, so that a plan refuses them by name: their services' copies are not made by this version."""

from __future__ import annotations

from typing import Any, NoReturn

from decamp.clouds import Cloud
from decamp.model.errors import Refused
from decamp.model.survey import Resource
from decamp.resources.kind import Passage
from decamp.resources.specs import sealed


def told(kind: str, id: str, name: str, project: str | None, why: str, **info: Any) -> Resource:
    """`why` completes "it cannot be carried: ..." with what to do instead."""
    return sealed(kind, id, name, project, (), {"name": name}, info | {"unsupported": [why]})


def find(passage: Passage, resource: Resource) -> None:
    """Nothing makes copies of them."""


def create(passage: Passage, resource: Resource) -> NoReturn:
    raise Refused(f"{resource.kind} {resource.name or resource.id} cannot be carried: {'; '.join(resource.info['unsupported'])}")


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    return (f"{resource.kind} {resource.name or resource.id} has no copy that Decamp made",)


def remove(cloud: Cloud, id: str, expects: str) -> NoReturn:
    raise Refused(f"{cloud.name}: {id} is of a kind that Decamp does not remove")
