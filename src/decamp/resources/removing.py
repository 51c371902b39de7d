"""How most things are removed: if they are as expected, by one call, and then waited for."""

from __future__ import annotations

from collections.abc import Callable

from decamp.clouds import Cloud
from decamp.model.survey import Resource
from decamp.resources import calls
from decamp.resources.specs import unchanged


def removed(cloud: Cloud, id: str, expects: str, read: Callable[[Cloud, str], Resource | None], service: str, path: str) -> None:
    """Nothing to do where it is gone already. Raises Changed if its fingerprint is not `expects`."""
    there = read(cloud, id)
    if there is None:
        return
    unchanged(there, expects, cloud.name)
    calls.deleted(cloud, service, path)
    calls.gone(f"{cloud.name}: {there.kind} {id}", lambda: read(cloud, id))
