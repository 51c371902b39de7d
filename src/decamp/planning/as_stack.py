"""An application as a Heat template that would create it: what belongs to it is made, what it uses of its cloud are parameters.

Contents of disks are in no template: volumes begin empty, or fresh from the image that they were made of. User data, which may hold
secrets, are hidden parameters.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from decamp.model.errors import BadInput, Bug
from decamp.model.plan import MoveGoal, Plan, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey
from decamp.planning import fields
from decamp.planning.selection import closure, find_project, find_servers

Json = dict[str, Any]

VERSION = "2018-08-31"
"""Of Heat's template language, which both old and new clouds since Rocky know."""

CONSTRAINTS = {
    "flavor": "nova.flavor",
    "image": "glance.image",
    "keypair": "nova.keypair",
    "network": "neutron.network",
    "volume_type": "cinder.vtype",
}
"""Kind of what is a parameter -> the constraint by which Heat checks what is given."""

TOLD_BY_OTHERS = ("project", "security_group_rule", "quota")
"""Kinds that are written with others, or are no application's."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    document: Json
    left_out: tuple[str, ...]
    """What the template does not create, a sentence each."""


def as_stack(old: Survey, plan: Plan) -> Template:
    """Of the servers that the plan of a move was asked for, with all that belongs to them. What the plan found in the new cloud is the
    default of its parameter; of other things it is their name.

    Raises BadInput for what planning a move does not know either, and where there is no server.
    """
    goal = plan.goal
    if not isinstance(goal, MoveGoal):
        raise Bug("a template is written of what moves")
    project = find_project(old, goal.project)
    servers = find_servers(old, project, goal)
    if not servers:
        raise BadInput(f"{fields.label(project)} has no servers, so there is no application to write down.")
    own = closure(old.by_ref(), [one.ref for one in servers], lambda resource: _is_own(resource, project))
    there = {action.target: str(action.args["id"]) for action in plan.actions if action.verb is Verb.ADOPT}
    return _Writer(own.resources, project, there).written(goal)


def _is_own(resource: Resource, project: Resource) -> bool:
    shared = resource.kind == "network" and any(fields.field(resource, name) for name in ("external", "shared"))
    return resource.project == project.id and not shared and not (resource.kind == "network" and fields.physical_network(resource))


class _Writer:
    def __init__(self, found: Mapping[Ref, Resource], project: Resource, there: Mapping[Ref, str]) -> None:
        self._found = found
        self._project = project
        self._there = there
        self._parameters: dict[str, Json] = {}
        self._resources: dict[str, Json] = {}
        self._left_out: list[str] = []
        self._names: dict[Ref, str] = {}
        self._rules: defaultdict[Ref, list[Resource]] = defaultdict(list)
        for one in found.values():
            if one.kind == "security_group_rule" and (group := fields.group_of(one)):
                self._rules[group].append(one)
        for one in self._made():
            self._names[one.ref] = self._free_name(one)

    def written(self, goal: MoveGoal) -> Template:
        for one in self._made():
            self._resources[self._names[one.ref]] = {"type": TYPES[one.kind], "properties": _given(_PROPERTIES[one.kind](self, one))}
            self._add_beside(one)
        for one in self._found.values():
            if _is_own(one, self._project) and one.kind not in (*TYPES, *CONSTRAINTS, *TOLD_BY_OTHERS):
                self._left_out.append(f"{fields.label(one)} is not created by the template.")
        what = ", ".join((*goal.stacks, *goal.tags, *goal.groups, *goal.servers)) or f"project {self._project.name or self._project.id}"
        document: Json = {
            "heat_template_version": VERSION,
            "description": f"Written by decamp plan move --as-stack, of {what}",
            "parameters": dict(sorted(self._parameters.items())),
            "resources": self._resources,
        }
        return Template(document=document, left_out=tuple(sorted(self._left_out)))

    def _made(self) -> list[Resource]:
        """In the order in which people read them."""
        own = [one for one in self._found.values() if one.kind in TYPES and _is_own(one, self._project)]
        own = [one for one in own if not (one.kind == "security_group" and fields.is_default_group(one))]
        own = [one for one in own if one.kind != "subnet" or self._is_made(fields.network_of(one))]
        return sorted(own, key=lambda one: (list(TYPES).index(one.kind), one.name, one.id))

    def _is_made(self, ref: Ref | None) -> bool:
        return ref is not None and ref in self._found and _is_own(self._found[ref], self._project) and ref.kind in TYPES

    def _free_name(self, one: Resource) -> str:
        name = _word(f"{one.kind}_{one.name or 'unnamed'}")
        taken = set(self._names.values())
        return next(other for other in (name, *(f"{name}_{number}" for number in range(2, len(self._found) + 2))) if other not in taken)

    def use(self, ref: Ref | None) -> Any:
        """What stands for it in a property: the resource that makes it, or the parameter that names it."""
        if ref is None:
            return None
        if ref in self._names:
            return {"get_resource": self._names[ref]}
        if ref.kind == "security_group":
            return self._found[ref].name if ref in self._found else ref.id
        one = self._found.get(ref)
        name = _word(f"{ref.kind}_{one.name if one and one.name else ref.id}")
        schema: Json = {"type": "string", "description": f"{ref.kind} {one.name if one else ref.id} of the old cloud"}
        if default := self._there.get(ref) or (one.name if one else None):
            schema["default"] = default
        self._parameters[name] = schema | {"constraints": [{"custom_constraint": CONSTRAINTS[ref.kind]}]}
        return {"get_param": name}

    def ask(self, name: str, schema: Json) -> Json:
        self._parameters[_word(name)] = schema
        return {"get_param": _word(name)}

    def leave_out(self, text: str) -> None:
        self._left_out.append(text)

    def found(self, ref: Ref | None) -> Resource | None:
        return self._found.get(ref) if ref else None

    def makes(self, ref: Ref) -> bool:
        return ref in self._names

    def rules_of(self, group: Resource) -> list[Resource]:
        return sorted(self._rules[group.ref], key=lambda rule: (repr(fields.rule_terms(rule)), rule.id))

    def _add_beside(self, one: Resource) -> None:
        """What a resource is tied to others by."""
        name = self._names[one.ref]
        match one.kind:
            case "router":
                for number, (key, interface) in enumerate(_interfaces(self, one), 1):
                    self._resources[f"{name}_interface_{number}"] = {
                        "type": "OS::Neutron::RouterInterface",
                        "properties": {"router": {"get_resource": name}, key: interface},
                    }
            case "security_group":
                for number, properties in enumerate(_rules_beside(self, one), 1):
                    self._resources[f"{name}_rule_{number}"] = {"type": "OS::Neutron::SecurityGroupRule", "properties": properties}
            case "server":
                before: list[str] = []
                for number, disk in enumerate((disk for disk in fields.disks(one) if not disk.root), 1):
                    properties = {"instance_uuid": {"get_resource": name}, "volume_id": self.use(disk.volume)}
                    attached: Json = {"type": "OS::Cinder::VolumeAttachment", "properties": properties}
                    self._resources[f"{name}_volume_{number}"] = attached | ({"depends_on": before[-1:]} if before else {})
                    before.append(f"{name}_volume_{number}")
            case _:
                pass

    def add_port(self, name: str, network: Ref | None, fixed_ips: list[Json]) -> Json:
        self._resources[name] = {"type": "OS::Neutron::Port", "properties": {"network": self.use(network), "fixed_ips": fixed_ips}}
        return {"get_resource": name}


def _network(writer: _Writer, one: Resource) -> Json:
    return _said(one, "name", "admin_state_up", "port_security_enabled", "dns_domain", "tags")


def _subnet(writer: _Writer, one: Resource) -> Json:
    says = _said(one, "name", "cidr", "ip_version", "enable_dhcp", "allocation_pools", "dns_nameservers", "host_routes")
    says |= _said(one, "ipv6_address_mode", "ipv6_ra_mode", "tags")
    return {"network": writer.use(fields.network_of(one)), **says, "gateway_ip": fields.field(one, "gateway_ip") or ""}


def _router(writer: _Writer, one: Resource) -> Json:
    gateway: Json = fields.field(one, "gateway") or {}
    if fields.field(one, "routes"):
        writer.leave_out(f"{fields.label(one)} has routes, which the template does not set.")
    outside = {"network": writer.use(fields.as_ref(gateway.get("network"))), "enable_snat": gateway.get("enable_snat")} if gateway else None
    return {**_said(one, "name", "admin_state_up", "tags"), "external_gateway_info": _given(outside) if outside else None}


def _interfaces(writer: _Writer, one: Resource) -> Iterator[tuple[str, Any]]:
    """A router has a subnet's gateway address, unless it is asked for another by a port."""
    for interface in fields.field(one, "interfaces") or ():
        subnet = writer.found(fields.as_ref(interface["subnet"]))
        if subnet is None or not writer.makes(subnet.ref):
            writer.leave_out(f"{fields.label(one)} has an interface in a subnet that the template does not make.")
            continue
        if fields.field(subnet, "gateway_ip") == interface["ip_address"]:
            yield "subnet", writer.use(subnet.ref)
        else:
            name = _word(f"port_{one.name or 'router'}_{interface['ip_address']}")
            ips = [{"subnet": writer.use(subnet.ref), "ip_address": interface["ip_address"]}]
            yield "port", writer.add_port(name, fields.network_of(subnet), ips)


def _security_group(writer: _Writer, one: Resource) -> Json:
    rules = writer.rules_of(one)
    if not any(fields.field(rule, "direction") == "egress" for rule in rules):
        writer.leave_out(f"{fields.label(one)} lets nothing out, and its copy everything, by the rules that Neutron adds to new groups.")
    inline = [_rule(rule) for rule in rules if fields.remote_group_of(rule) in (None, one.ref)]
    return {**_said(one, "name", "description"), "rules": inline}


def _rule(rule: Resource) -> Json:
    """Without a group: one that names none means its own."""
    says = _said(rule, "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")
    return says | ({"remote_mode": "remote_group_id"} if fields.remote_group_of(rule) else {})


def _rules_beside(writer: _Writer, one: Resource) -> Iterator[Json]:
    """Rules that name another group: groups may name each other."""
    for rule in writer.rules_of(one):
        remote = fields.remote_group_of(rule)
        if remote and remote != one.ref:
            says = _said(rule, "direction", "ethertype", "protocol", "port_range_min", "port_range_max")
            yield {"security_group": writer.use(one.ref), **says, "remote_group": writer.use(remote)}


def _server_group(writer: _Writer, one: Resource) -> Json:
    return {"name": one.name, "policies": [fields.field(one, "policy")]}


def _port(writer: _Writer, one: Resource) -> Json:
    says = _said(one, "name", "admin_state_up", "port_security_enabled", "allowed_address_pairs", "dns_name", "tags")
    groups = [writer.use(fields.as_ref(group)) for group in fields.field(one, "security_groups") or ()]
    addresses = [
        _given({"subnet": writer.use(subnet), "ip_address": None if ":" in address else address})
        for subnet, address in fields.fixed_addresses(one)
        if subnet and writer.makes(subnet)
    ]
    return {"network": writer.use(fields.network_of(one)), "fixed_ips": addresses, "security_groups": groups, **says}


def _volume(writer: _Writer, one: Resource) -> Json:
    base = fields.base_image(one)
    volume_type = fields.as_ref(fields.field(one, "volume_type"))
    return {
        **_said(one, "name", "description", "metadata"),
        "size": fields.field(one, "size_gib"),
        "volume_type": writer.use(volume_type) if volume_type and writer.found(volume_type) else None,
        "image": writer.use(base) if base and fields.field(one, "bootable") else None,
    }


def _server(writer: _Writer, one: Resource) -> Json:
    image, group = fields.base_image(one), fields.server_group(one)
    root = next((disk for disk in fields.disks(one) if disk.root), None)
    flavor = next((need for need in one.needs if need.kind == "flavor"), None)
    key = next((need for need in one.needs if need.kind == "keypair"), None)
    zone = fields.field(one, "availability_zone")
    ports = [{"port": writer.use(port)} for port in fields.ports(one)]
    return {
        **_said(one, "name", "metadata", "tags", "config_drive"),
        "image": writer.use(image) if image and not root else None,
        "flavor": writer.use(flavor),
        "key_name": writer.use(key),
        "networks": ports or [{"allocate_network": "none"}],
        "scheduler_hints": {"group": writer.use(group)} if group else None,
        "block_device_mapping_v2": [{"volume_id": writer.use(root.volume), "boot_index": 0, **_kept(root)}] if root else None,
        "availability_zone": writer.ask(f"zone_{zone}", {"type": "string", "default": zone}) if zone else None,
        **_user_data(writer, one),
    }


def _kept(root: fields.Disk) -> Json:
    return {"delete_on_termination": bool(root.attachment.get("delete_on_termination"))}


def _user_data(writer: _Writer, one: Resource) -> Json:
    digest = fields.field(one, "user_data_sha256")
    if not digest and "user_data" not in (one.info.get("unreadable") or ()):
        return {}
    told = f"of SHA-256 {digest}" if digest else "which only administrators can read"
    schema = {"type": "string", "hidden": True, "default": "", "description": f"User data of server {one.name}, {told}"}
    return {"user_data": writer.ask(f"user_data_{one.name}", schema), "user_data_format": "RAW"}


def _floating_ip(writer: _Writer, one: Resource) -> Json:
    network = next((need for need in one.needs if need.kind == "network"), None)
    return {"floating_network": writer.use(network), "port_id": writer.use(fields.as_ref(fields.field(one, "port")))}


TYPES = {
    "network": "OS::Neutron::Net",
    "subnet": "OS::Neutron::Subnet",
    "router": "OS::Neutron::Router",
    "security_group": "OS::Neutron::SecurityGroup",
    "port": "OS::Neutron::Port",
    "server_group": "OS::Nova::ServerGroup",
    "volume": "OS::Cinder::Volume",
    "server": "OS::Nova::Server",
    "floating_ip": "OS::Neutron::FloatingIP",
}
"""What is made by a template, in the order in which it is written."""

_PROPERTIES: dict[str, Callable[[_Writer, Resource], Json]] = {
    "network": _network,
    "subnet": _subnet,
    "router": _router,
    "security_group": _security_group,
    "port": _port,
    "server_group": _server_group,
    "volume": _volume,
    "server": _server,
    "floating_ip": _floating_ip,
}


def _said(resource: Resource, *names: str) -> Json:
    return {name: value for name in names if (value := fields.field(resource, name)) is not None}


SAYS_MUCH_EMPTY = ("gateway_ip", "security_groups")
"""Properties of which an empty value is another one than none."""


def _given(properties: Mapping[str, Any]) -> Json:
    """Without what says nothing."""
    return {name: value for name, value in properties.items() if name in SAYS_MUCH_EMPTY or value not in (None, "", [], {})}


def _word(text: str) -> str:
    """A name in a template."""
    return re.sub(r"\W+", "_", text).strip("_").lower()
