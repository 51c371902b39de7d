"""Specs: what a resource asks for, with refs as `["kind", "id"]` pairs, translated to the new cloud and compared field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from decamp.model.errors import Bug, Changed
from decamp.model.refs import Ref, fingerprint
from decamp.model.survey import Resource


def pair(kind: str, id: str | None) -> list[str] | None:
    """A ref in the form that it has in a spec read from a document; null for no id."""
    return [kind, id] if id else None


def sealed(
    kind: str, id: str, name: str, project: str | None, needs: Iterable[Ref], spec: dict[str, Any], info: dict[str, Any]
) -> Resource:
    """The resource with its fingerprint, which is of its spec and its needs."""
    wanted = tuple(sorted(set(needs)))
    return Resource(kind=kind, id=id, name=name, project=project, needs=wanted, spec=spec, info=info, fingerprint=fingerprint(spec, wanted))


def mapped(ids: Mapping[Ref, str], ref: list[str] | tuple[str, ...]) -> str:
    """The id in the new cloud that stands for a ref of a spec."""
    old = Ref(*ref)
    if old not in ids:
        raise Bug(f"{old} is needed, and no earlier action made or adopted its copy")
    return ids[old]


def translated(ids: Mapping[Ref, str], value: Any) -> Any:
    """`value` with every ref that `ids` knows turned into its ref in the new cloud."""
    match value:
        case [str() as kind, str() as id] if Ref(kind, id) in ids:
            return [kind, ids[Ref(kind, id)]]
        case list() | tuple():
            return [translated(ids, one) for one in value]
        case dict():
            return {field: translated(ids, one) for field, one in value.items()}
        case _:
            return value


def differences(resource: Resource, copy: Resource | None, ids: Mapping[Ref, str], *, but: Iterable[str] = ()) -> tuple[str, ...]:
    """A sentence for each field (none of `but`) in which the copy is not what the resource asks for."""
    what = f"{resource.kind} {resource.name or resource.id}"
    if copy is None:
        return (f"{what}: its copy is not there",)
    told: list[str] = []
    ignored = set(but)
    for field, asked in resource.spec.items():
        if field in ignored:
            continue
        wanted, there = _order_free(translated(ids, asked)), _order_free(copy.spec.get(field))
        if wanted != there and not (_nothing(wanted) and _nothing(there)):
            told.append(f"{what}: {field} should be {_short(translated(ids, asked))} and is {_short(copy.spec.get(field))}")
    return tuple(told)


def unchanged(found: Resource, expects: str, where: str) -> None:
    """Raises Changed if the resource is not as its fingerprint `expects`."""
    if found.fingerprint != expects:
        raise Changed(f"{where}: {found.kind} {found.name or found.id} ({found.id}) has changed since: it will not be removed")


def _order_free(value: Any) -> Any:
    """Lists of refs or of records are sets to the services, and translated ids sort otherwise. Lists of words keep their order."""
    match value:
        case list() | tuple():
            inner = [_order_free(one) for one in value]
            return sorted(inner, key=repr) if all(isinstance(one, list | dict) for one in inner) else inner
        case dict():
            return {field: _order_free(one) for field, one in sorted(value.items())}
        case _:
            return value


def _nothing(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _short(value: Any) -> str:
    text = repr(value) if value is not None else "nothing"
    return text if len(text) <= 200 else f"{text[:197]}..."
