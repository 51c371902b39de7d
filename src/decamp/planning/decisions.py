"""For each resource that is to be in the new cloud: whether something there is taken for its copy, a copy is made, or neither can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from decamp.model.errors import BadInput
from decamp.model.members import Member
from decamp.model.plan import Reason, Refusal
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.planning import fields
from decamp.planning.matching import Match, is_foreign, mapped, moved_earlier, stands_for_project, unproved_copy


class Adopt(msgspec.Struct, frozen=True, kw_only=True):
    """`because` is one of those that Verb.ADOPT names."""

    id: str
    because: str
    why: str


class Create(msgspec.Struct, frozen=True, kw_only=True):
    resource: Resource
    """Mapped: as the new cloud is asked for it."""
    changes: dict[str, tuple[Any, Any]] = {}
    why: str = ""
    member: Member | None = None
    """Of a stack, which makes it."""


class Refuse(msgspec.Struct, frozen=True, kw_only=True):
    refusals: tuple[Refusal, ...]


Decision = Adopt | Create | Refuse


def refuse(resource: Resource, reason: Reason, text: str) -> Refuse:
    return Refuse(refusals=(Refusal(ref=resource.ref, reason=reason, text=f"{fields.label(resource)} {text}"),))


SHARED = ("qos_policy", "address_group")
OTHERS_ALLOWED = frozenset({"network", "subnet", "image", "flavor", "project", *SHARED})
"""Kinds of which a project uses others' things without owning them."""


def decide(match: Match, resource: Resource, decided: Mapping[Ref, Decision], member: Member | None = None) -> Decision:
    """`decided` has the decisions on all that it needs; `member`: where the stack that moves has it. Raises BadInput if the mapping cannot
    be used."""
    if resource.kind == "project" and resource.ref != match.project.ref:
        return _other_project(match, resource)
    if resource.kind == "project" and not match.as_operator:
        return _project_of_credentials(match, resource)
    if stands_for := mapped(match, resource):
        return Adopt(id=stands_for.id, because="mapping", why=f"the mapping says that {fields.label(stands_for)} stands for it")
    if earlier := moved_earlier(match, resource):
        return Adopt(id=str(earlier.new_id), because="moved_earlier", why=f"run {earlier.run} made it")
    if entry := unproved_copy(match, resource):
        return refuse(resource, Reason.CONFLICT, f"has a copy that run {entry.run} made and did not prove: resume that run, or undo it.")
    if resource.kind not in OTHERS_ALLOWED and resource.project not in (None, match.project.id):
        return refuse(resource, Reason.UNSUPPORTED, f"belongs to project {resource.project}, which this plan does not move.")
    if resource.kind == "container" and (hindered := _no_place_for(match, resource, decided)):
        return hindered
    if member:
        return Create(resource=resource, why="its stack makes it", member=member)
    by_kind = _BY_KIND.get(resource.kind)
    return by_kind(match, resource, decided) if by_kind else Create(resource=resource)


def new_project_id(match: Match, decided: Mapping[Ref, Decision]) -> str | None:
    """null while it has to be made first."""
    decision = decided.get(match.project.ref)
    return decision.id if isinstance(decision, Adopt) else None


def _project(match: Match, project: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    if not project.name:
        return refuse(project, Reason.UNREADABLE, "is not shown to these credentials, so it cannot be made anew: map it.")
    namesakes = [one for one in match.new_by_kind.get("project", ()) if one.name == project.name and _domain(one) == _domain(project)]
    if not namesakes:
        return Create(resource=project)
    if namesakes[0].spec == project.spec:
        return Adopt(id=namesakes[0].id, because="same_specs", why="it has the same name, and nothing differs")
    return refuse(
        project,
        Reason.CONFLICT,
        f"has a namesake in cloud {match.new.cloud} ({namesakes[0].id}) that differs: map it if that is where it should go.",
    )


def _person(match: Match, one: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    """A user or a group. One of the same name in the same domain is the same person, if nothing differs."""
    if not match.as_operator:
        return refuse(one, Reason.UNMAPPED, "can be made by an admin only.")
    there = match.new_by_kind.get(one.kind, ())
    namesake = next((other for other in there if other.name == one.name and _domain(other) == _domain(one)), None)
    if namesake is None:
        return Create(resource=one)
    if fields.person(namesake) == fields.person(one) and _has_members(one, namesake, decided):
        return Adopt(id=namesake.id, because="same_specs", why="it has the same name, and nothing differs")
    return refuse(
        one,
        Reason.CONFLICT,
        f"has a namesake in cloud {match.new.cloud} ({namesake.id}) that differs: say under `mapping: {one.kind}:` if that one is meant.",
    )


def _has_members(group: Resource, other: Resource, decided: Mapping[Ref, Decision]) -> bool:
    decisions = [decided.get(member) for member in fields.members(group)]
    wanted = {decision.id for decision in decisions if isinstance(decision, Adopt)}
    return len(wanted) == len(decisions) and wanted == {member.id for member in fields.members(other)}


def _quota(match: Match, quota: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    project = new_project_id(match, decided)
    if project is None:
        return Create(resource=quota)
    return Adopt(id=project, because="exists", why="each project has one from the beginning, and its limits are the new cloud's")


def _other_project(match: Match, project: Resource) -> Decision:
    """One that something is shared with."""
    if stand_in := stands_for_project(match, project.ref):
        return Adopt(id=stand_in, because="named", why="something of the moving project is shared with it")
    return refuse(
        project, Reason.UNMAPPED, "is not moved by this plan: move it first, or say under `mapping: project:` what stands for it."
    )


def _domain(project: Resource) -> Any:
    return fields.field(project, "domain", "domain_id")


def _project_of_credentials(match: Match, project: Resource) -> Decision:
    if not match.new.project:
        raise BadInput(f"The survey of cloud {match.new.cloud} was taken without admin right and names no project: survey it anew.")
    new = next((one for one in match.new_by_kind.get("project", ()) if one.id == match.new.project), None)
    wanted = match.mapping.project.get(project.id) or match.mapping.project.get(project.name)
    if wanted and wanted != match.new.project and not (new is None or wanted == new.name):
        raise BadInput(
            f"mapping: project: {project.name or project.id!r} -> {wanted!r}: the credentials of cloud {match.new.cloud} are those of "
            f"project {match.new.project}."
        )
    return Adopt(id=match.new.project, because="credentials", why=f"cloud {match.new.cloud}'s credentials are this project's")


def _network(match: Match, network: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    if not is_foreign(match, network):
        return Create(resource=network)
    if fields.field(network, "external"):
        what = "is external"
    elif fields.field(network, "shared"):
        what = "is shared"
    elif network.project not in (None, match.project.id):
        what = f"belongs to project {network.project}"
    else:
        what = f"is a provider network on {fields.physical_network(network)}"
    return refuse(
        network,
        Reason.UNMAPPED,
        f"{what}, so it is not cloned: say under `mapping: network:` which network of cloud {match.new.cloud} stands for it.",
    )


def _subnet(match: Match, subnet: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    network = fields.network_of(subnet)
    decision = decided.get(network) if network else None
    if not isinstance(decision, Adopt) or decision.because == "moved_earlier":
        return Create(resource=subnet)
    cidr = fields.field(subnet, "cidr")
    there = [one for one in match.new_by_kind.get("subnet", ()) if fields.network_of(one) == Ref("network", decision.id)]
    equal = [one for one in there if fields.field(one, "cidr") == cidr]
    if len(equal) == 1:
        return Adopt(id=equal[0].id, because="mapping", why=f"its network is mapped to {decision.id}, where this subnet has {cidr} too")
    return refuse(
        subnet,
        Reason.UNMAPPED,
        f"is {cidr} in a network that is mapped to {decision.id}, where {'several subnets have' if equal else 'no subnet has'} this "
        "range: say under `mapping: subnet:` which one stands for it.",
    )


def _port(match: Match, port: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    network = fields.network_of(port)
    decision = decided.get(network) if network else None
    if isinstance(decision, Adopt):
        for _, address in fields.fixed_addresses(port):
            if other := match.addresses.get((Ref("network", decision.id), address)):
                return refuse(port, Reason.CONFLICT, f"has {address}, which {fields.label(other)} of cloud {match.new.cloud} has.")
    return Create(resource=port)


def _security_group(match: Match, group: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    if not fields.is_default_group(group):
        return Create(resource=group)
    project = new_project_id(match, decided)
    there = [one for one in match.new_by_kind.get("security_group", ()) if fields.is_default_group(one) and one.project == project]
    if project and there:
        return Adopt(id=there[0].id, because="exists", why="each project has one default security group from the beginning")
    return Create(resource=group, why="the project is born with it: it is taken, and emptied before its rules are made")


def _rule(match: Match, rule: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    group = fields.group_of(rule)
    decision = decided.get(group) if group else None
    if not isinstance(decision, Adopt):
        return Create(resource=rule)
    peers = [(peer.kind, decided.get(peer)) for peer in fields.peers_of(rule)]
    there = tuple(Ref(kind, peer.id) for kind, peer in peers if isinstance(peer, Adopt))
    if len(there) < len(peers):
        return Create(resource=rule)
    for other in rules_of(match.new_by_kind.get("security_group_rule", ()), decision.id):
        if (fields.rule_terms(other), fields.peers_of(other)) == (fields.rule_terms(rule), there):
            return Adopt(id=other.id, because="same_specs", why="the group has this very rule already")
    return Create(resource=rule)


def rules_of(rules: Iterable[Resource], group_id: str) -> list[Resource]:
    return [rule for rule in rules if fields.group_of(rule) == Ref("security_group", group_id)]


def surplus_rules(match: Match, decided: Mapping[Ref, Decision]) -> tuple[Refusal, ...]:
    """Adopted security groups that let more through than the old ones did: said, because nothing of the new cloud is taken away."""
    said: list[Refusal] = []
    for ref, decision in sorted(decided.items()):
        if ref.kind != "security_group" or not isinstance(decision, Adopt) or decision.because == "moved_earlier":
            continue
        kept = {one.id for rule, one in decided.items() if rule.kind == "security_group_rule" and isinstance(one, Adopt)}
        surplus = [rule for rule in rules_of(match.new_by_kind.get("security_group_rule", ()), decision.id) if rule.id not in kept]
        if surplus:
            rules = "; ".join(_rule_in_words(rule) for rule in surplus)
            text = (
                f"{ref.kind} {decision.id} of cloud {match.new.cloud} is taken for {ref}, and has rules that the old one has not: {rules}. "
                "They are left alone: delete them there if they should not be."
            )
            said.append(Refusal(ref=ref, reason=Reason.CONFLICT, text=text))
    return tuple(said)


def _rule_in_words(rule: Resource) -> str:
    direction, ethertype, protocol, lowest, highest, prefix = fields.rule_terms(rule)
    ports = "" if lowest is None and highest is None else f" {lowest}" if lowest == highest else f" {lowest}-{highest}"
    remote = fields.remote_group_of(rule)
    peer = prefix or (f"group {remote.id}" if remote else "anywhere")
    return f"{direction} {ethertype} {protocol or 'any protocol'}{ports} {'from' if direction == 'ingress' else 'to'} {peer}"


def _keypair(match: Match, keypair: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    """Copies belong to the acting user, whose keypairs have their names for ids."""
    namesakes = [one for one in match.new_by_kind.get("keypair", ()) if one.id == keypair.name]
    if not namesakes:
        return Create(resource=keypair)
    key, other = (fields.field(one, "public_key", "fingerprint") for one in (keypair, namesakes[0]))
    if key and key == other:
        return Adopt(id=namesakes[0].id, because="same_content", why="it is the same key")
    return refuse(
        keypair,
        Reason.CONFLICT,
        f"has a namesake in cloud {match.new.cloud} with another key: rename or delete that one, or say under `mapping: keypair:` "
        "which keypair to use.",
    )


def _flavor(match: Match, flavor: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    amounts = fields.flavor_amounts(flavor)
    equal = [one for one in match.new_by_kind.get("flavor", ()) if fields.flavor_amounts(one) == amounts]
    usable = [one for one in equal if _is_usable(match, flavor, one, new_project_id(match, decided))]
    best = min(usable, key=lambda one: (one.name != flavor.name, one.name, one.id), default=None)
    if best:
        return Adopt(id=best.id, because="same_specs", why=f"{fields.label(best)} has equal amounts and extra specs")
    namesake = next((one for one in match.new_by_kind.get("flavor", ()) if one.name == flavor.name), None)
    if match.as_operator and namesake is None:
        return Create(resource=flavor)
    shown = ", ".join(f"{name} {value}" for name, value in amounts.items() if value)
    if match.as_operator and namesake:
        what = "is private to other projects" if namesake in equal else "differs"
        text = f"has a namesake in cloud {match.new.cloud} ({namesake.id}) that {what}: say under `mapping: flavor:` which one to use."
        return refuse(flavor, Reason.CONFLICT, text)
    text = f"has no equal in cloud {match.new.cloud} ({shown}), and only an admin can make one: say under `mapping: flavor:` which to use."
    return refuse(flavor, Reason.UNMAPPED, text)


def _is_usable(match: Match, old: Resource, new: Resource, project: str | None) -> bool:
    """Tenants see only what they may use. An operator gives the project access to a private one in place of a private one alone."""
    is_open = fields.is_public(new) or (project is not None and project in fields.flavor_users(new))
    return not match.as_operator or is_open or not fields.is_public(old)


def _image(match: Match, image: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    content = fields.content_hash(image)
    equal = [
        one
        for one in match.new_by_kind.get("image", ())
        if content and fields.content_hash(one) == content and fields.boot_properties(one) == fields.boot_properties(image)
    ]
    best = min(equal, key=lambda one: (one.name != image.name, fields.field(one, "visibility") != "public", one.id), default=None)
    if best:
        return Adopt(id=best.id, because="same_content", why=f"{fields.label(best)} has the same bytes ({' '.join(content or ())[:24]}...)")
    is_own = image.project == match.project.id
    changes = _members_left_out(match, image)
    if match.as_operator or (is_own and fields.field(image, "visibility") != "public"):
        return Create(resource=image if is_own else msgspec.structs.replace(image, project=None), changes=changes)
    visibility = fields.field(image, "visibility")
    return Create(
        resource=msgspec.structs.replace(image, project=match.project.id, spec={**image.spec, "visibility": "private"}),
        changes=changes | ({"visibility": (visibility, "private")} if visibility != "private" else {}),
        why="only an admin may publish it; its bytes are carried once, for all servers that use it",
    )


def _members_left_out(match: Match, image: Resource) -> dict[str, tuple[Any, Any]]:
    before = next((one for one in match.old_by_kind.get("image", ()) if one.ref == image.ref), image)
    names = [[member.id for member in fields.members(one)] for one in (before, image)]
    return {"members": (names[0], names[1])} if names[0] != names[1] else {}


OBJECT_STORE = "object-store"
RIGHTS = ("read", "write")
"""What a container's ACLs are about."""


def _no_place_for(match: Match, container: Resource, decided: Mapping[Ref, Decision]) -> Refuse | None:
    """Heat too would take the one that has its name."""
    if OBJECT_STORE in match.new.lacks:
        return refuse(
            container,
            Reason.UNSUPPORTED,
            f"is of an object store, and cloud {match.new.cloud} has none: copy its objects to where they can be.",
        )
    project = new_project_id(match, decided)
    namesake = next((one for one in match.new_by_kind.get("container", ()) if one.id == container.id and one.project == project), None)
    if namesake:
        half = fields.field(namesake, "unfinished") is not None
        what = "a half copy, which a run began: resume that, or delete it" if half else "a container of this name: delete it, or give it up"
        return refuse(container, Reason.CONFLICT, f"has its place in cloud {match.new.cloud} taken by {what}.")
    return None


def _container(match: Match, container: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    """Whoever its ACLs name of other projects, by ids of the old cloud, is left out."""
    rights = {right: [one for one in fields.acl(container, right) if not fields.names_others(one, match.project.ref)] for right in RIGHTS}
    changes: dict[str, tuple[Any, Any]] = {
        right: (list(fields.acl(container, right)), kept) for right, kept in rights.items() if len(kept) < len(fields.acl(container, right))
    }
    asked = msgspec.structs.replace(container, spec={**container.spec, **rights})
    made = _renamed(match, asked, {"storage_policy": match.mapping.storage_policy})
    return msgspec.structs.replace(made, changes={**made.changes, **changes})


def _volume(match: Match, volume: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    return _renamed(match, volume, {"availability_zone": match.mapping.zone})


BACKEND = "volume_backend_name"
"""Extra spec by which a type names the backend of its cloud."""


def _volume_type(match: Match, volume_type: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    namesake = next((one for one in match.new_by_kind.get("volume_type", ()) if one.name == volume_type.name), None)
    if namesake and fields.seen_by_users(namesake) == fields.seen_by_users(volume_type):
        return Adopt(id=namesake.id, because="same_specs", why="it has the same name, and is the same to its users")
    how = "say under `mapping: volume_type:` which one to use."
    if namesake:
        return refuse(volume_type, Reason.CONFLICT, f"has a namesake in cloud {match.new.cloud} ({namesake.id}) that differs: {how}")
    if not match.as_operator:
        return refuse(volume_type, Reason.UNMAPPED, f"has no equal in cloud {match.new.cloud}, and only an admin can make one: {how}")
    if backend := fields.extra_specs(volume_type).get(BACKEND):
        return refuse(volume_type, Reason.UNMAPPED, f"is of the backend {backend!r} of cloud {match.old.cloud}: {how}")
    return Create(resource=volume_type)


def _shared(match: Match, resource: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    """What a project may use without owning it."""
    how = f"say under `mapping: {resource.kind}:` which one of cloud {match.new.cloud} stands for it."
    if resource.project not in (None, match.project.id):
        return refuse(resource, Reason.UNMAPPED, f"belongs to project {resource.project}, so it is not cloned: {how}")
    if resource.kind == "qos_policy" and not match.as_operator:
        return refuse(resource, Reason.UNMAPPED, f"can be made by an admin only: {how}")
    return Create(resource=resource)


def _floating_ip(match: Match, address: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    old = address.name
    wanted = match.mapping.floating_ip.get(old)
    if wanted is None:
        return Create(resource=address, changes={"address": (old, "a new one, which the new cloud gives it")})
    if taken := next((one for one in match.new_by_kind.get("floating_ip", ()) if one.name == wanted), None):
        return refuse(
            address, Reason.CONFLICT, f"is to be {wanted}, which {fields.label(taken)} of cloud {match.new.cloud} is: release it."
        )
    if wanted == old:
        why = f"is to be the same in cloud {match.new.cloud}, and the same address in both clouds at once is an outage"
        return refuse(address, Reason.CONFLICT, f"{why}: release it in cloud {match.old.cloud} when its server has moved, then ask for it.")
    asked = msgspec.structs.replace(address, spec={**address.spec, "address": wanted})
    return Create(resource=asked, changes={"address": (old, wanted)})


def _stack(match: Match, stack: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    project = new_project_id(match, decided)
    namesakes = [one for one in match.new_by_kind.get("stack", ()) if one.name == stack.name and one.project == project]
    if not namesakes:
        return Create(resource=stack, why="made anew from its template; what it makes takes over from what the old one made")
    text = f"has a namesake in cloud {match.new.cloud} ({namesakes[0].id}), and a project has one stack of a name: delete that one first."
    return refuse(stack, Reason.CONFLICT, text)


def _server(match: Match, server: Resource, decided: Mapping[Ref, Decision]) -> Decision:
    zone = fields.field(server, "availability_zone")
    zones = {host.zone for host in match.new.hosts}
    if zone and zone not in match.mapping.zone and zones and zone not in zones:
        return refuse(
            server,
            Reason.UNMAPPED,
            f"asked for zone {zone}, which cloud {match.new.cloud} has not ({', '.join(sorted(zones))}): say under `mapping: zone:` "
            "which one stands for it.",
        )
    return _renamed(match, server, {"availability_zone": match.mapping.zone})


def _renamed(match: Match, resource: Resource, tables: Mapping[str, Mapping[str, str]]) -> Create:
    """With what has names only (volume types, zones) called as in the new cloud."""
    changes: dict[str, tuple[Any, Any]] = {}
    for name, table in tables.items():
        value = fields.field(resource, name)
        if isinstance(value, str) and table.get(value, value) != value:
            changes[name] = (value, table[value])
    spec = {**resource.spec, **{name: after for name, (_, after) in changes.items()}}
    return Create(resource=msgspec.structs.replace(resource, spec=spec), changes=changes)


_BY_KIND: dict[str, Callable[[Match, Resource, Mapping[Ref, Decision]], Decision]] = {
    "project": _project,
    "user": _person,
    "group": _person,
    "quota": _quota,
    "network": _network,
    "subnet": _subnet,
    "port": _port,
    "security_group": _security_group,
    "security_group_rule": _rule,
    "keypair": _keypair,
    "flavor": _flavor,
    "image": _image,
    "volume_type": _volume_type,
    **dict.fromkeys(SHARED, _shared),
    "floating_ip": _floating_ip,
    "volume": _volume,
    "container": _container,
    "stack": _stack,
    "server": _server,
}
"""Kinds that are not here are created as they are."""
