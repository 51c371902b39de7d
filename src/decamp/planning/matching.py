"""What a move is decided from: both surveys, the mapping, and what earlier runs made; and how the mapping's words are found in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from decamp.model import mapping as mapping_module
from decamp.model.errors import BadInput
from decamp.model.ledger import Entry
from decamp.model.refs import Ref
from decamp.model.survey import Pinned, Resource, Survey
from decamp.planning import fields


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """All that the decisions are made from."""

    old: Survey
    new: Survey
    mapping: mapping_module.Mapping
    project: Resource
    """The old one that moves."""
    old_by_kind: Mapping[str, tuple[Resource, ...]]
    new_by_kind: Mapping[str, tuple[Resource, ...]]
    pinned: Mapping[str, Pinned | None]
    """Of the old servers."""
    there: frozenset[Ref]
    """All that the new cloud has."""
    addresses: Mapping[tuple[Ref | None, str], Resource]
    """(network, address) -> the new cloud's port that has it."""
    moved: Mapping[Ref, Entry]
    """What earlier runs made, proved, and nobody removed."""
    unproved: Mapping[Ref, Entry]
    """What earlier runs made and did not prove."""

    @property
    def as_operator(self) -> bool:
        """With rights over the whole new cloud: projects, flavors and public images can be made there."""
        return self.new.admin


def match_of(old: Survey, new: Survey, mapping: mapping_module.Mapping, project: Resource, ledger: Iterable[Entry]) -> Match:
    made = [entry for entry in ledger if entry.cloud == old.cloud and entry.new_id and not entry.adopted and not entry.removed_at]
    proved = {entry.ref: entry for entry in sorted(made, key=lambda entry: (entry.verified_at or "", entry.run)) if entry.verified_at}
    return Match(
        old=old,
        new=new,
        mapping=mapping,
        project=project,
        old_by_kind=_by_kind(old.resources),
        new_by_kind=_by_kind(new.resources),
        pinned={server.id: server.pinned for server in old.servers},
        there=frozenset(resource.ref for resource in new.resources),
        addresses={
            (fields.network_of(port), address): port
            for port in sorted(new.resources, key=lambda resource: resource.ref)
            if port.kind == "port"
            for _, address in fields.fixed_addresses(port)
        },
        moved=proved,
        unproved={entry.ref: entry for entry in sorted(made, key=lambda entry: entry.run) if entry.ref not in proved},
    )


def _by_kind(resources: Iterable[Resource]) -> dict[str, tuple[Resource, ...]]:
    kinds: defaultdict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        kinds[resource.kind].append(resource)
    return {kind: tuple(sorted(found, key=lambda resource: resource.id)) for kind, found in kinds.items()}


def mapped(match: Match, resource: Resource) -> Resource | None:
    """What the mapping says stands for it in the new cloud. Raises BadInput if the mapping contradicts what is there."""
    table = _table(match.mapping, resource.kind)
    if resource.id in table:
        key = resource.id
    elif resource.name and resource.name in table:
        key = resource.name
        namesakes = [one.id for one in match.old_by_kind.get(resource.kind, ()) if one.name == key]
        if len(namesakes) > 1:
            raise BadInput(
                f"mapping: {resource.kind}: cloud {match.old.cloud} has several named {key!r}: {', '.join(namesakes)}. Give ids."
            )
    else:
        return None
    return _in_new(match, resource.kind, key, table[key])


def _table(mapping: mapping_module.Mapping, kind: str) -> dict[str, str]:
    """Addresses are asked for, and no object of the new cloud stands for them beforehand."""
    return getattr(mapping, kind) if kind in mapping.__struct_fields__ and kind not in ("zone", "floating_ip") else {}


def _in_new(match: Match, kind: str, key: str, value: str) -> Resource:
    there = match.new_by_kind.get(kind, ())
    found = [one for one in there if one.id == value] or [one for one in there if one.name == value]
    if not found:
        raise BadInput(f"mapping: {kind}: {key!r} -> {value!r}: cloud {match.new.cloud} has no {kind} of that id or name.")
    if len(found) > 1:
        raise BadInput(
            f"mapping: {kind}: {key!r} -> {value!r}: cloud {match.new.cloud} has several of that name: "
            f"{', '.join(one.id for one in found)}. Give the id."
        )
    return found[0]


def is_foreign(match: Match, network: Resource) -> bool:
    """Whether the operator made it, so that it is mapped and never cloned: external, shared, of another project, or provider.

    A network on a named physical network is taken for a provider network; Neutron tells that to admins only.
    """
    shared = bool(fields.field(network, "external")) or bool(fields.field(network, "shared"))
    return shared or network.project not in (None, match.project.id) or fields.physical_network(network) is not None


def moved_earlier(match: Match, resource: Resource) -> Entry | None:
    """The entry of its copy, if the new cloud's survey still has that; kinds that are never surveyed are not reused."""
    return _if_there(match, resource, match.moved.get(resource.ref))


def unproved_copy(match: Match, resource: Resource) -> Entry | None:
    """The entry of a copy that is there, and that its run did not verify."""
    return _if_there(match, resource, match.unproved.get(resource.ref))


def _if_there(match: Match, resource: Resource, entry: Entry | None) -> Entry | None:
    return entry if entry and Ref(resource.kind, str(entry.new_id)) in match.there else None


_FROM_OTHERS = {"subnet": "subnet_pool", "subnet_pool": "address_scope"}
"""Kind -> what it was cut from. Where that is another project's and nothing stands for it, it does without: its range stays as it is."""


def _without_others(match: Match, resource: Resource, field: str) -> Resource:
    ref = fields.as_ref(resource.spec.get(field))
    other = next((one for one in match.old_by_kind.get(field, ()) if one.ref == ref), None)
    if ref is None or (other and (other.project == match.project.id or mapped(match, other))):
        return resource
    needs = tuple(need for need in resource.needs if need != ref)
    return msgspec.structs.replace(resource, needs=needs, spec={**resource.spec, field: None})


def _shared_with_known(match: Match, image: Resource) -> Resource:
    known = [ref for ref in fields.members(image) if stands_for_project(match, ref)]
    spec = {**image.spec, "members": [[ref.kind, ref.id] for ref in known]} if "members" in image.spec else image.spec
    return msgspec.structs.replace(image, needs=tuple(sorted({*image.needs, *known})), spec=spec)


def stands_for_project(match: Match, ref: Ref) -> str | None:
    """The id in the new cloud of another project than the one that moves: as the mapping says, or an earlier run made it."""
    other = next((one for one in match.old_by_kind.get("project", ()) if one.ref == ref), None)
    if other is None or not match.as_operator:
        return None
    stand_in, earlier = mapped(match, other), moved_earlier(match, other)
    return stand_in.id if stand_in else earlier.new_id if earlier else None


def _after_its_segments(match: Match, container: Resource) -> Resource:
    """Large objects come after the containers that have their segments; of two that have each other's, neither waits."""
    others = {one.id: one for one in match.old_by_kind.get("container", ())}
    having = {name for name in fields.segments_in(container) if name in others and container.id not in fields.segments_in(others[name])}
    return msgspec.structs.replace(container, needs=tuple(sorted({*container.needs, *(others[name].ref for name in having)})))


def as_seen(match: Match) -> dict[Ref, Resource]:
    """The old cloud's resources, as this project's move sees them."""
    seen = {resource.ref: _seen(match, resource) for resource in match.old.resources}
    seen[match.project.ref] = msgspec.structs.replace(match.project, needs=())
    for server in match.old_by_kind.get("server", ()):
        for flavor in fields.told_flavor(server):
            seen.setdefault(flavor.ref, flavor)
    return seen


def _seen(match: Match, resource: Resource) -> Resource:
    """What belongs to the project needs the project, and so does a user that works there by default. What moves for it drags no other
    project along: a private flavor is opened to this one alone, an image shared with those that the new cloud is known to have. A server
    that has moved needs nothing more."""
    if resource.kind == "server" and moved_earlier(match, resource):
        return msgspec.structs.replace(resource, needs=())
    if resource.kind in ("flavor", "volume_type") and not fields.is_public(resource):
        access = [[match.project.kind, match.project.id]]
        return msgspec.structs.replace(resource, needs=(match.project.ref,), spec={**resource.spec, "access": access})
    if resource.kind == "user" and fields.default_project(resource) == match.project.ref:
        return msgspec.structs.replace(resource, needs=(match.project.ref,))
    if resource.kind == "image":
        resource = _shared_with_known(match, resource)
    if resource.kind == "container":
        resource = _after_its_segments(match, resource)
    if resource.kind in _FROM_OTHERS:
        resource = _without_others(match, resource, _FROM_OTHERS[resource.kind])
    if resource.project == match.project.id and resource.kind != "project":
        return msgspec.structs.replace(resource, needs=tuple(sorted({*resource.needs, match.project.ref})))
    return resource
