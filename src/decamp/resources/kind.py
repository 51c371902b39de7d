"""The interface of a kind: a module with these functions is one. No base class, no behaviour here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from decamp.clouds import Cloud
from decamp.model.effects import Pace, unpaced
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources.attributes import Attribute
from decamp.resources.carriage import Carriage, InThisProcess


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """The way of one resource from the old cloud to the new."""

    old: Cloud
    """Acting in the project that owns the resource."""
    new: Cloud
    """Acting in the project that its copy will belong to."""
    ids: Mapping[Ref, str]
    """Old ref -> id in the new cloud: every ref in `needs` and in `spec` is in it."""
    admin: Cloud | None = None
    """The new cloud with an operator's own rights, for what a project's members may not ask for; null for a tenant."""
    mark: str
    """Goes into the create call (description, metadata, tag or name, as the API allows)."""
    progress: Callable[[int, int], None]
    """(done, total) in bytes."""
    cancelled: Callable[[], bool]
    pace: Pace = unpaced
    """Asked before bytes go."""
    carriage: Carriage = InThisProcess()
    """Of images."""
    hidden: Callable[[Resource], Mapping[str, str]] = lambda _: {}
    """Values of the parameters that Heat hides of a stack. Raises Refused where one is not known."""


class Kind(Protocol):
    """What the surveys, the planner and the executor know of a kind."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of the module
        """Such as `security_group`: the kind in a ref."""
        ...

    @property
    def ATTRIBUTES(self) -> tuple[Attribute, ...]:  # noqa: N802 - a constant of the module
        """What becomes of each attribute that a service shows."""
        ...

    def export(self, cloud: Cloud, project: str | None) -> Iterable[Resource]:
        """All of the kind that `project` (null: every project; needs admin) has or may use. Fills `needs`."""
        ...

    def read(self, cloud: Cloud, id: str) -> Resource | None:
        """One, in the same form as `export` gives it; null where it is not there."""
        ...

    def find(self, passage: Passage, resource: Resource) -> str | None:
        """The id of a copy with this mark that an earlier attempt made, whole and ready; half-made ones are cleaned up."""
        ...

    def create(self, passage: Passage, resource: Resource) -> str:
        """Make the copy, wait until it is ready, return its id in the new cloud."""
        ...

    def verify(self, passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
        """Differences between what `resource` asks for and what the new cloud has under `id`, a sentence each."""
        ...

    def remove(self, cloud: Cloud, id: str, expects: str) -> None:
        """Delete, and wait until it is gone. Nothing to do where it is gone already. Raises Changed if its fingerprint is not `expects`."""
        ...
