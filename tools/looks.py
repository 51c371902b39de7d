"""How attributes are made comparable between two clouds, for verify.py: as they are, or with names in place of ids, and without marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from openstack.exceptions import NotFoundException

from clouds import Cloud, Facts

MARK = re.compile(r"decamp[-_]")
MARK_SUFFIX = re.compile(r"\s*\[decamp-[0-9a-f]+\]$")
EVERYBODY = "*"

Names = Mapping[str, str]
"""Ids -> what is called so, in words that are the same in both clouds."""
Look = Callable[[Any, Names], Any]
"""What is compared of an attribute's value."""


class Ground(NamedTuple):
    """The project that is looked at."""

    cloud: Cloud
    project: str
    """Its id."""
    hashes: bool
    """Whether every byte of its volumes, images and root disks is read."""
    tenant: Cloud | None = None
    """The same cloud with credentials of the project itself, for what administrators are not shown."""


class Kind(NamedTuple):
    """How things of one kind are found and compared."""

    listed: Callable[[Ground], Iterable[Facts]]
    """As the service shows them, with what it shows elsewhere."""
    looks: Mapping[str, Look]
    """Attribute, as the service calls it -> what is compared of it. One that a cloud doesn't show is left out."""


def each(look: Look, *attributes: str) -> dict[str, Look]:
    return dict.fromkeys(attributes, look)


def same(value: Any, _: Names) -> Any:
    """Nothing is nothing, however a service writes it."""
    return None if value in ("", [], {}) else value


def flag(value: Any, _: Names) -> bool:
    return str(value).lower() == "true"


def number(value: Any, _: Names) -> int | None:
    return None if value is None else int(value)


def plain(value: str | None, _: Names) -> str:
    """A description without its mark."""
    return MARK_SUFFIX.sub("", value or "")


def tags(value: Iterable[str] | None, _: Names) -> list[str]:
    return sorted(tag for tag in value or [] if not MARK.match(tag))


def metadata(value: Facts, _: Names) -> Facts:
    return {key: told for key, told in sorted(value.items()) if not MARK.match(key)}


def named(value: Any, names: Names) -> Any:
    """Of one id or of many, whose order means nothing."""
    return sorted(names.get(one, one) for one in value) if isinstance(value, list) else names.get(value, value) or None


def unordered(value: Iterable[Any] | None, _: Names) -> list[Any]:
    return sorted(value or [], key=by_content)


def by_content(facts: Any) -> str:
    return json.dumps(facts, sort_keys=True)


def known(cloud: Cloud, service: str, path: str, key: str) -> list[Facts]:
    """A listing; empty where the service does not know such things."""
    try:
        return list(cloud.pages(service, path, key))
    except NotFoundException:
        return []
