"""Small projects for tests of moves: their resources as the kinds tell them, with everything at a default but what the test is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from decamp.model.documents import sha256
from decamp.model.ledger import REMOVED_FROM, Entry
from decamp.model.mapping import Mapping
from decamp.model.plan import Action, MoveGoal, Plan, Verb
from decamp.model.refs import Ref, fingerprint
from decamp.model.survey import Resource, Survey
from decamp.planning.move import plan_move

P = "alpha-id"
"""The project that moves; `beta` is another."""

MAPPED = Mapping(network={"public": "public"})


def resource(kind: str, id: str, needs: Iterable[tuple[str, str]] = (), info: dict[str, Any] | None = None, **spec: Any) -> Resource:
    project = spec.pop("project", P)
    name = spec.pop("name", id)
    refs = tuple(sorted(Ref(*need) for need in needs))
    spec = {"name": name, **spec}
    return Resource(
        kind=kind, id=id, name=name, project=project, needs=refs, spec=spec, info=info or {}, fingerprint=fingerprint(kind, id, spec, refs)
    )


def image(id: str = "debian", digest: str | None = "d1", **spec: Any) -> Resource:
    told = {"size": 30 << 20, "status": "active", **spec.pop("info", {})}
    hashed = {"os_hash_algo": "sha512" if digest else None, "os_hash_value": digest}
    defaults = {"project": "admin", "visibility": "public", "disk_format": "qcow2", "container_format": "bare", "properties": {}}
    return resource("image", id, info=told, **{**defaults, **hashed, **spec})


def flavor(id: str = "small", **spec: Any) -> Resource:
    sizes = {"vcpus": 1, "ram_mib": 512, "disk_gib": 5, "ephemeral_gib": 0, "swap_mib": 0}
    needs = [("project", one) for _, one in spec.get("access", [])]
    return resource("flavor", id, needs, **{"project": None, "public": True, "access": [], "extra_specs": {}, **sizes, **spec})


def keypair(id: str = "key", public_key: str = "ssh-ed25519 AAAA", **spec: Any) -> Resource:
    return resource("keypair", id, **{"project": None, "name": id.rpartition("/")[2], "public_key": public_key, **spec})


def network(id: str = "net", **spec: Any) -> Resource:
    return resource("network", id, **{"external": False, "shared": False, **spec})


def external(id: str = "public") -> Resource:
    return network(id, project="admin", external=True)


def subnet(id: str = "sub", network: str = "net", cidr: str = "10.0.0.0/24", **spec: Any) -> Resource:
    return resource("subnet", id, [("network", network)], network=["network", network], cidr=cidr, **spec)


def router(id: str = "router", subnets: Iterable[str] = ("sub",), outside: str | None = "public", **spec: Any) -> Resource:
    needs = [("subnet", one) for one in subnets] + ([("network", outside)] if outside else [])
    return resource("router", id, needs, **spec)


def group(id: str, **spec: Any) -> Resource:
    return resource("security_group", id, **spec)


def rule(id: str, group: str, remote: str | None = None, **spec: Any) -> Resource:
    needs = [("security_group", one) for one in (group, remote) if one]
    says = dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix"))
    return resource(
        "security_group_rule",
        id,
        needs,
        **{
            "name": "",
            "security_group": ["security_group", group],
            "remote_group": ["security_group", remote] if remote else None,
            "direction": "ingress",
            "ethertype": "IPv4",
            **says,
            **spec,
        },
    )


def port(id: str, network: str = "net", subnet: str = "sub", address: str = "10.0.0.5", **spec: Any) -> Resource:
    groups = spec.pop("groups", ["web"])
    needs = [("network", network), ("subnet", subnet), *(("security_group", one) for one in groups)]
    fixed_ips = [{"subnet": ["subnet", subnet], "ip_address": address}]
    return resource("port", id, needs, **{"network": ["network", network], "fixed_ips": fixed_ips, "vnic_type": "normal", **spec})


def volume(id: str, size_gib: int = 1, base: str | None = None, **spec: Any) -> Resource:
    told = {"status": "in-use", **spec.pop("info", {})}
    carried = {"image_metadata": {"image_id": base} if base else {}, "encrypted": False, "multiattach": False}
    return resource("volume", id, info=told, **{"size_gib": size_gib, "volume_type": "fast", **carried, **spec})


def server(
    id: str,
    ports: Iterable[str] = (),
    volumes: Iterable[str] = (),
    *,
    root: str | None = None,
    image: str | None = "debian",
    flavor: str = "small",
    key: str | None = "key",
    group: str | None = None,
    status: str = "ACTIVE",
    **spec: Any,
) -> Resource:
    """Booted from `image`, or from the volume `root` where that is given."""
    image = None if root else image
    attached = [{"volume": ["volume", one], "boot_index": 0 if one == root else None} for one in ([root] if root else []) + list(volumes)]
    needs = [("flavor", flavor), *(("port", one) for one in ports), *(("volume", one["volume"][1]) for one in attached)]
    needs += [(kind, one) for kind, one in (("image", image), ("keypair", key), ("server_group", group)) if one]
    told = {"status": status, "locked": False, "task_state": None, **spec.pop("info", {})}
    return resource(
        "server",
        id,
        needs,
        info=told,
        **{
            "image": ["image", image] if image else None,
            "flavor": ["flavor", flavor],
            "ports": [["port", one] for one in ports],
            "volumes": attached,
            "availability_zone": None,
            **spec,
        },
    )


TYPES = {
    "network": "OS::Neutron::Net",
    "port": "OS::Neutron::Port",
    "security_group": "OS::Neutron::SecurityGroup",
    "server": "OS::Nova::Server",
    "container": "OS::Swift::Container",
    "subnet": "OS::Neutron::Subnet",
    "volume": "OS::Cinder::Volume",
}


def stack(id: str, *members: Resource, names: Iterable[tuple[str, str]] = (), status: str = "CREATE_COMPLETE", **spec: Any) -> Resource:
    """That made `members`, each under the name of its id, and names the rest of what they use as `names` (kind, id or name) says."""
    told = {"status": status, **spec.pop("info", {})}
    made = [{"path": one.id, "type": TYPES[one.kind], "kind": one.kind, "id": one.id} for one in members]
    defaults = {
        "members": made,
        "namings": [list(one) for one in names],
        "hidden": [],
        "definition": "d1",
        "tags": [],
        "timeout_mins": None,
    }
    return resource("stack", id, info=told, **{**defaults, **spec})


def project(id: str = P, name: str = "alpha", **spec: Any) -> Resource:
    return resource("project", id, project=id, name=name, **{"domain": "Default", "enabled": True, "description": "", **spec})


def surroundings() -> list[Resource]:
    """What a server on the network `net` of the project needs, or wants."""
    return [
        project(),
        image(),
        flavor(),
        keypair(),
        network(),
        subnet(),
        external(),
        router(),
        group("web"),
        rule("web-ssh", "web", protocol="tcp", port_range_min=22, port_range_max=22),
    ]


def old(*resources: Resource, admin: bool = False, **fields: Any) -> Survey:
    return _survey("old", {one.ref: one for one in (*surroundings(), *resources)}, admin, None if admin else P, fields)


def new(*resources: Resource, admin: bool = False, **fields: Any) -> Survey:
    """A tenant's new cloud has a project with its default group, an outside network, and the flavor under another id."""
    there = [external(), msgspec.structs.replace(flavor(), id="flavor-new")]
    if not admin:
        there += [group("default-new", name="default", project="new-project")]
    return _survey("new", {one.ref: one for one in (*there, *resources)}, admin, None if admin else "new-project", fields)


def _survey(cloud: str, resources: dict[Ref, Resource], admin: bool, project: str | None, fields: dict[str, Any]) -> Survey:
    defaults = {"taken_at": "2026-11-23T00:00:00Z", "admin": admin, "project": project, "resources": tuple(resources.values())}
    return Survey(cloud=cloud, **{**defaults, **fields})


def without(survey: Survey, *refs: tuple[str, str]) -> Survey:
    gone = {Ref(*ref) for ref in refs}
    return msgspec.structs.replace(survey, resources=tuple(one for one in survey.resources if one.ref not in gone))


def move(
    before: Survey,
    there: Survey | None = None,
    *servers: str,
    manner: str = "recreate",
    mapping: Mapping = MAPPED,
    ledger: Iterable[Entry] = (),
    project: str = P,
    **chosen: Any,
) -> Plan:
    there = there or new(admin=before.admin)
    goal = MoveGoal(project=project, servers=servers, manner=manner, **chosen)
    made_from = {"old": sha256(before), "new": sha256(there), "mapping": sha256(mapping)}
    return plan_move(before, there, mapping, goal=goal, made_from=made_from, ledger=tuple(ledger))


def did(plan: Plan, run: str = "run-1", *, but: Iterable[str] = ()) -> tuple[Entry, ...]:
    """The ledger of a run that did all of the plan, `but` for some of its actions."""
    return tuple(_entry(action, run) for action in plan.actions if action.id not in set(but))


def _entry(action: Action, run: str) -> Entry:
    copy = f"{action.target.id}-copy"
    made = {Verb.CREATE: copy, Verb.TAKE_MEMBER: copy, Verb.ADOPT: action.args.get("id")}.get(action.verb)
    facts = {"status": "ACTIVE", "locked": False} if action.verb in {Verb.STOP_SERVER, Verb.LOCK_SERVER} else {}
    if action.verb is Verb.REMOVE:
        facts = {REMOVED_FROM: action.args["cloud"]}
    return Entry(
        run=run,
        action=action.id,
        cloud="old",
        ref=action.target,
        new_id=made,
        adopted=action.verb is Verb.ADOPT,
        fingerprint=f"fingerprint-of-{made}" if made else None,
        facts=facts,
        made_at="2026-11-23T01:00:00Z",
        verified_at="2026-11-23T01:00:01Z",
    )


def action(plan: Plan, id: str) -> Action:
    return next(one for one in plan.actions if one.id == id)


def ids(plan: Plan) -> list[str]:
    return [one.id for one in plan.actions]


def comes_after(plan: Plan, later: str, earlier: str) -> bool:
    """In every order that the plan permits."""
    by_id = {one.id: one for one in plan.actions}
    waiting, seen = [later], set[str]()
    while waiting:
        for before in by_id[waiting.pop()].after:
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    return earlier in seen


def refusals(plan: Plan) -> set[tuple[str, str, str]]:
    return {(refusal.ref.kind, refusal.ref.id, refusal.reason.value) for refusal in plan.refusals}
