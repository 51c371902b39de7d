"""What becomes of each attribute that a service shows: declared by the kinds, printed by tools/kinds.py, tried on real answers."""

from __future__ import annotations

import enum

import msgspec


class Fate(enum.StrEnum):
    """What the copy has of an attribute."""

    KEPT = "kept"
    """The same value. Every verification compares it."""
    MAPPED = "mapped"
    """What stands in the new cloud for the one that it names. Every verification compares it."""
    CHANGED = "changed"
    """Another value, as the table says."""
    LOST = "lost"
    """Nothing, for the reason that the table gives. A plan says so where it has a value."""
    REFUSED = "refused"
    """A resource that has it is refused, with a reason, until it has it no more."""


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """As the service calls it."""
    fate: Fate
    field: str | None = None
    """The field of the spec that holds it, if it is kept or mapped; null for the owner, which is the resource's project."""
    how: str = ""


def kept(*names: str, how: str = "", **fields: str) -> tuple[Attribute, ...]:
    """`fields`: name of the field of the spec = name of the attribute, where they differ."""
    return tuple(
        Attribute(name=name, fate=Fate.KEPT, field=field, how=how) for field, name in [*((name, name) for name in names), *fields.items()]
    )


def mapped_as(how: str = "", **fields: str) -> tuple[Attribute, ...]:
    """Field of the spec = attribute."""
    return tuple(Attribute(name=name, fate=Fate.MAPPED, field=field, how=how) for field, name in fields.items())


def owner(*names: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(name=name, fate=Fate.MAPPED, how="the copy's project") for name in names)


def changed(*names: str, how: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(name=name, fate=Fate.CHANGED, how=how) for name in names)


def lost(*names: str, why: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(name=name, fate=Fate.LOST, how=why) for name in names)


def refused(*names: str, why: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(name=name, fate=Fate.REFUSED, how=why) for name in names)


def its_own(*names: str) -> tuple[Attribute, ...]:
    """Identity, times and states, which each object has of its own."""
    return changed(*names, how="the copy's own")
