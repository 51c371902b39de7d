"""What the contract of kinds is tried on: a project in each cloud, one thing of each kind in the old one, and ways to spoil a copy."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from openstack.connection import Connection

from decamp.clouds import Cloud, connect
from decamp.lab.content import VOLUME_TYPE
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import KINDS, Passage
from decamp.resources.object_store import path_of
from decamp.resources.performing import OUTSIDE_PROJECTS

EXTERNAL = "public"
"""The lab's external network, of this name in both clouds."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where things are made: as the tenant, by plain openstacksdk; and the passage that its resources take."""

    mode: str
    """tenant: both clouds with a tenant's credentials; operator: with an admin's."""
    old: Cloud
    new: Cloud
    above: Cloud
    """The new cloud for what belongs to no project, and for removals: an admin's own credentials for an operator."""
    tenant: Connection
    """In the old cloud, with no admin right."""
    admin: Connection
    """In the old cloud."""
    new_admin: Connection
    project: str
    """In the old cloud."""
    ids: dict[Ref, str] = field(default_factory=dict)
    copies: dict[Ref, str] = field(default_factory=dict)
    marks: dict[Ref, str] = field(default_factory=dict)
    """Of those copies."""
    later: ExitStack = field(default_factory=ExitStack)
    """Deletes what belongs to no project."""

    def acting(self, kind: str) -> Cloud:
        """In the new cloud."""
        return self.above if kind in OUTSIDE_PROJECTS else self.new

    def export(self, kind: str) -> list[Resource]:
        """Of the old cloud."""
        return list(KINDS[kind].export(self.old, None if kind in OUTSIDE_PROJECTS else self.project))

    def passage(self, kind: str, mark: str | None = None) -> Passage:
        return Passage(
            old=self.old,
            new=self.acting(kind),
            ids=self.ids,
            admin=self.above if self.mode == "operator" else None,
            mark=mark or fresh_mark(),
            progress=lambda done, total: None,
            cancelled=lambda: False,
        )

    def read(self, kind: str, id: str) -> Resource:
        """Of the old cloud."""
        found = KINDS[kind].read(self.old, id)
        assert found is not None
        return found

    def copy_of(self, resource: Resource) -> str:
        """One copy of it, for all that is asked of copies without changing them."""
        if resource.ref not in self.marks:
            self.marks[resource.ref] = fresh_mark()
            self.copies[resource.ref] = KINDS[resource.kind].create(self.passage(resource.kind, self.marks[resource.ref]), resource)
        return self.copies[resource.ref]

    def move(self, kind: str, id: str) -> str:
        """Copied, and known from now on."""
        resource = self.read(kind, id)
        self.ids[resource.ref] = KINDS[kind].create(self.passage(kind), resource)
        if kind == "keypair":
            self.later.callback(self.new.connection.compute.delete_keypair, self.ids[resource.ref])
        return self.ids[resource.ref]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind. What `make` needs it makes and moves itself."""

    kind: str
    make: Callable[[Ground], str]
    """In the old cloud, its id."""
    spoil: Callable[[Ground, str], str]
    """Given the copy's id: change a field of it, or, where the API changes none, replace it; the id of what stands there then."""
    told: str
    """The field that `verify` has to name afterwards."""
    modes: tuple[str, ...] = ("tenant", "operator")
    """Operators' passages of what here is tenants' alone are tried as a whole in test_performing."""
    most: int | None = None
    """A crash is tried after each of the writes in `create`; of a kind whose copies take long, after so many of the first."""
    markless: bool = False
    """Whether an equal object without the mark counts as found, because the API leaves no place for a mark."""


def fresh_mark() -> str:
    return f"decamp-{secrets.token_hex(8)}"


def fresh_name(kind: str) -> str:
    return f"contract-{kind}-{secrets.token_hex(4)}"


@contextmanager
def ground(clouds_file: Path, folder: Path, mode: str) -> Iterator[Ground]:
    """A tenant of its own in both clouds; everything of it is gone afterwards."""
    admins = {name: connect(name, clouds_file) for name in ("old", "new")}
    tenants = {name: _tenant(admins[name], clouds_file, folder) for name in admins}
    inside = tenants["new"].project_id
    here = Ground(
        mode=mode,
        old=tenants["old"] if mode == "tenant" else admins["old"],
        new=tenants["new"] if mode == "tenant" else admins["new"].as_project(_admitted(admins["new"], inside)),
        above=tenants["new"] if mode == "tenant" else admins["new"],
        tenant=tenants["old"].connection,
        admin=admins["old"].connection,
        new_admin=admins["new"].connection,
        project=tenants["old"].project_id,
    )
    external = [connection.network.find_network(EXTERNAL, ignore_missing=False).id for connection in (here.admin, here.new_admin)]
    types = [
        next(one.id for one in connection.block_storage.types() if one.name == VOLUME_TYPE) for connection in (here.admin, here.new_admin)
    ]
    here.ids.update(
        {Ref("project", here.project): inside, Ref("network", external[0]): external[1], Ref("volume_type", types[0]): types[1]}
    )
    try:
        yield here
    finally:
        here.later.close()
        for name, tenant in tenants.items():
            clear(admins[name], tenant)


def _tenant(admin: Cloud, clouds_file: Path, folder: Path) -> Cloud:
    identity = admin.connection.identity
    name, password = fresh_name("tenant"), secrets.token_hex(12)
    project = identity.create_project(name=name, domain_id="default")
    user = identity.create_user(name=name, password=password, domain_id="default", default_project_id=project.id)
    identity.assign_project_role_to_user(project, user, identity.find_role("member", ignore_missing=False))
    entry = yaml.safe_load(clouds_file.read_text())["clouds"][admin.name]
    auth = {"username": name, "password": password, "project_id": project.id, "user_domain_id": "default"}
    entry["auth"] = {"auth_url": entry["auth"]["auth_url"], **auth}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"clouds": {admin.name: entry}}))
    return connect(admin.name, file)


def _admitted(admin: Cloud, project: str) -> str:
    """The project, in which the acting user has a role now, as the kind `project` gives it."""
    KINDS["project"].admit(admin, project)  # type: ignore[attr-defined]
    return project


def clear(admin: Cloud, tenant: Cloud) -> None:
    """All that the tenant has, its project and its user."""
    clear_project(admin, tenant)
    admin.connection.identity.delete_user(tenant.user_id)
    admin.connection.identity.delete_project(tenant.project_id)


def clear_project(admin: Cloud, inside: Cloud) -> None:
    """In the order in which things let go of each other. `inside`: acting in the project."""
    mine, own, all_of = inside.project_id, inside.connection, admin.connection
    servers = list(all_of.compute.servers(all_projects=True, project_id=mine))
    for server in servers:
        all_of.compute.delete_server(server)
    for server in servers:
        all_of.compute.wait_for_delete(server, wait=300)
    for snapshot in list(own.block_storage.snapshots()):
        own.block_storage.delete_snapshot(snapshot)
        own.block_storage.wait_for_delete(snapshot, wait=300)
    for volume in list(own.block_storage.volumes()):
        all_of.block_storage.delete_volume(volume, force=True)
    for image in list(own.image.images(owner=mine)):
        all_of.image.delete_image(image)
    for server_group in list(own.compute.server_groups()):
        own.compute.delete_server_group(server_group)
    clear_objects(own)
    for container in list(own.object_store.containers()):
        own.object_store.delete(path_of(container.name))
    _clear_networks(all_of, mine)


def clear_objects(own: Connection) -> None:
    """What is in the project's containers."""
    for container in list(own.object_store.containers()):
        for one in list(own.object_store.objects(container)):
            own.object_store.delete(path_of(container.name, one.name))


BEFORE_ROUTERS = (("ips", "ip"), ("rbac_policies", "rbac_policy"), ("trunks", "trunk"))
AFTER_ROUTERS = (
    ("ports", "port"),
    ("networks", "network"),
    ("subnet_pools", "subnet_pool"),
    ("address_scopes", "address_scope"),
    ("qos_policies", "qos_policy"),
)
AFTER_RULES = (("security_groups", "security_group"), ("address_groups", "address_group"))
"""How openstacksdk calls all of a kind and one of it, in the order in which they let go of each other."""


def _clear_networks(admin: Connection, project: str) -> None:
    client = admin.network
    for trunk in list(client.trunks(project_id=project)):
        client.update_trunk(trunk, is_admin_state_up=True)
    for address in client.ips(project_id=project):
        for forwarding in list(client.port_forwardings(address)):
            client.delete_floating_ip_port_forwarding(address, forwarding)
    _clear_all(client, project, BEFORE_ROUTERS)
    for router in list(client.routers(project_id=project)):
        client.update_router(router, routes=[])
        for port in list(client.ports(device_id=router.id, device_owner="network:router_interface")):
            client.remove_interface_from_router(router, port=port)
        client.delete_router(router)
    _clear_all(client, project, AFTER_ROUTERS)
    for rule in [rule for group in client.security_groups(project_id=project) for rule in group.security_group_rules]:
        client.delete_security_group_rule(rule["id"])
    _clear_all(client, project, AFTER_RULES)


def _clear_all(client: Any, project: str, kinds: tuple[tuple[str, str], ...]) -> None:
    for several, single in kinds:
        for one in list(getattr(client, several)(project_id=project)):
            getattr(client, f"delete_{single}")(one)


def network(here: Ground, **attributes: Any) -> str:
    return here.tenant.network.create_network(name=fresh_name("network"), **attributes).id


def subnet(here: Ground, network_id: str, cidr: str, **attributes: Any) -> str:
    return here.tenant.network.create_subnet(
        name=fresh_name("subnet"), network_id=network_id, cidr=cidr, ip_version=6 if ":" in cidr else 4, **attributes
    ).id


def moved_network(here: Ground, *cidrs: str) -> tuple[str, list[str]]:
    """A network with its subnets, in both clouds; their ids in the old one."""
    made = network(here)
    here.move("network", made)
    subnets = [subnet(here, made, cidr) for cidr in cidrs]
    for one in subnets:
        here.move("subnet", one)
    return made, subnets


def moved_group(here: Ground) -> str:
    made = here.tenant.network.create_security_group(name=fresh_name("group")).id
    here.move("security_group", made)
    return made


def _make_project(here: Ground) -> str:
    made = here.admin.identity.create_project(name=fresh_name("project"), description="for the contract", tags=["blue", "green"]).id
    here.later.callback(here.admin.identity.delete_project, made)
    return made


def _spoil_project(here: Ground, copy: str) -> str:
    here.new_admin.identity.update_project(copy, description="something else")
    return copy


def _make_user(here: Ground) -> str:
    identity = here.admin.identity
    made = identity.create_user(name=fresh_name("user"), email="a@example.org", description="a user", default_project_id=here.project).id
    here.later.callback(identity.delete_user, made)
    identity.assign_project_role_to_user(here.project, made, identity.find_role("member", ignore_missing=False))
    return made


def _spoil_user(here: Ground, copy: str) -> str:
    here.new_admin.identity.update_user(copy, email="b@example.org")
    return copy


def moved_user(here: Ground) -> str:
    made = _make_user(here)
    here.later.callback(here.new_admin.identity.delete_user, here.move("user", made))
    return made


def _make_user_group(here: Ground) -> str:
    identity = here.admin.identity
    made = identity.create_group(name=fresh_name("group"), description="a group").id
    here.later.callback(identity.delete_group, made)
    for _ in range(2):
        identity.add_user_to_group(moved_user(here), made)
    identity.assign_project_role_to_group(here.project, made, identity.find_role("reader", ignore_missing=False))
    return made


def _spoil_user_group(here: Ground, copy: str) -> str:
    identity = here.new_admin.identity
    identity.remove_user_from_group(next(iter(identity.group_users(copy))), copy)
    return copy


def _make_assignment(here: Ground) -> str:
    user, role = moved_user(here), here.admin.identity.find_role("member", ignore_missing=False)
    return f"{here.project}/user/{user}/{role.id}"


def _spoil_assignment(here: Ground, copy: str) -> str:
    """Keystone changes none."""
    project, _, user, role = copy.split("/")
    identity = here.new_admin.identity
    identity.unassign_project_role_from_user(project, user, role)
    other = identity.find_role("reader", ignore_missing=False)
    identity.assign_project_role_to_user(project, user, other)
    return f"{project}/user/{user}/{other.id}"


def make_quota(here: Ground) -> str:
    here.admin.compute.update_quota_set(here.project, instances=17, cores=34)
    here.admin.block_storage.update_quota_set(here.project, volumes=7)
    assert here.admin.network.put(f"/quotas/{here.project}", json={"quota": {"router": 3}}).ok
    return here.project


def _make_keypair(here: Ground) -> str:
    compute = here.old.connection.compute
    made = compute.create_keypair(name=fresh_name("key"), public_key=PUBLIC_KEY).id
    here.later.callback(compute.delete_keypair, made)
    return made


def _spoil_keypair(here: Ground, copy: str) -> str:
    compute = here.new.connection.compute
    compute.delete_keypair(copy)
    return compute.create_keypair(name=copy, public_key=ANOTHER_PUBLIC_KEY).id


def _make_flavor(here: Ground) -> str:
    made = here.admin.compute.create_flavor(
        name=fresh_name("flavor"), vcpus=3, ram=768, disk=7, ephemeral=1, swap=256, is_public=False, description="for the contract"
    )
    here.later.callback(here.admin.compute.delete_flavor, made.id)
    here.admin.compute.create_flavor_extra_specs(made, {"hw:cpu_policy": "shared", "trait:CUSTOM_GOLD": "required"})
    here.admin.compute.flavor_add_tenant_access(made, here.project)
    return made.id


def _spoil_flavor(here: Ground, copy: str) -> str:
    here.new_admin.compute.delete_flavor_extra_specs_property(copy, "hw:cpu_policy")
    return copy


def _make_network(here: Ground) -> str:
    made = network(here, description="a network", is_port_security_enabled=False, is_admin_state_up=False)
    here.tenant.network.set_tags(here.tenant.network.get_network(made), ["b", "a"])
    return made


def _spoil_network(here: Ground, copy: str) -> str:
    here.new.connection.network.update_network(copy, is_admin_state_up=True)
    return copy


def _make_subnet(here: Ground) -> str:
    made, _ = moved_network(here)
    here_subnet = subnet(
        here,
        made,
        "10.77.0.0/24",
        gateway_ip=None,
        allocation_pools=[{"start": "10.77.0.100", "end": "10.77.0.120"}, {"start": "10.77.0.10", "end": "10.77.0.20"}],
        dns_nameservers=["192.0.2.53", "192.0.2.1"],
        host_routes=[{"destination": "198.51.100.0/24", "nexthop": "10.77.0.1"}],
        description="a subnet",
    )
    here.tenant.network.set_tags(here.tenant.network.get_subnet(here_subnet), ["x"])
    return here_subnet


def _spoil_subnet(here: Ground, copy: str) -> str:
    here.new.connection.network.update_subnet(copy, dns_nameservers=["192.0.2.1", "192.0.2.53"])
    return copy


def _make_group(here: Ground) -> str:
    made = here.tenant.network.create_security_group(name=fresh_name("group"), description="a group").id
    here.tenant.network.set_tags(here.tenant.network.get_security_group(made), ["web"])
    return made


def _spoil_group(here: Ground, copy: str) -> str:
    here.new.connection.network.update_security_group(copy, description="another")
    return copy


def _make_rule(here: Ground) -> str:
    group, other = moved_group(here), moved_group(here)
    return here.tenant.network.create_security_group_rule(
        security_group_id=group, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=23, remote_group_id=other
    ).id


def _spoil_rule(here: Ground, copy: str) -> str:
    """Neutron changes no rule."""
    client = here.new.connection.network
    old = client.get_security_group_rule(copy)
    client.delete_security_group_rule(copy)
    return client.create_security_group_rule(
        security_group_id=old.security_group_id, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=24
    ).id


def _make_router(here: Ground) -> str:
    _, (first, second) = moved_network(here, "10.78.0.0/24", "10.79.0.0/24")
    client = here.tenant.network
    outside = client.find_network(EXTERNAL, ignore_missing=False)
    made = client.create_router(name=fresh_name("router"), external_gateway_info={"network_id": outside.id}, description="a router")
    client.add_interface_to_router(made, subnet=first)
    beside = client.create_port(
        network_id=client.get_subnet(second).network_id, fixed_ips=[{"subnet_id": second, "ip_address": "10.79.0.77"}]
    )
    client.add_interface_to_router(made, port=beside)
    client.update_router(made, routes=[{"destination": "192.0.2.0/24", "nexthop": "10.78.0.9"}])
    client.set_tags(client.get_router(made.id), ["edge"])
    return made.id


def _spoil_router(here: Ground, copy: str) -> str:
    here.new.connection.network.update_router(copy, routes=[])
    return copy


def _make_port(here: Ground) -> str:
    made, (first, second) = moved_network(here, "10.80.0.0/24", "fd00:80::/64")
    group, other = moved_group(here), moved_group(here)
    client = here.tenant.network
    port = client.create_port(
        name=fresh_name("port"),
        network_id=made,
        fixed_ips=[{"subnet_id": first, "ip_address": "10.80.0.42"}, {"subnet_id": second, "ip_address": "fd00:80::42"}],
        security_groups=[group, other],
        allowed_address_pairs=[{"ip_address": "10.80.0.200"}],
        extra_dhcp_opts=[{"opt_name": "tftp-server", "opt_value": "192.0.2.9", "ip_version": 4}],
        is_admin_state_up=False,
        description="a port",
    )
    client.set_tags(port, ["eth0"])
    return port.id


def _spoil_port(here: Ground, copy: str) -> str:
    here.new.connection.network.update_port(copy, security_group_ids=[])
    return copy


def _make_server_group(here: Ground) -> str:
    return here.tenant.compute.create_server_group(
        name=fresh_name("server-group"), policy="anti-affinity", rules={"max_server_per_host": 2}
    ).id


def _spoil_server_group(here: Ground, copy: str) -> str:
    """Nova changes no group."""
    compute = here.new.connection.compute
    name = compute.get_server_group(copy).name
    compute.delete_server_group(copy)
    return compute.create_server_group(name=name, policy="soft-affinity").id


PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBVGQbTOaLm3P0CTxwRXBlm4SDLTZT0GPWzVZ3BnJxsT first@example.org"
ANOTHER_PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGyPXqOIfBbJ2C8VZ1IpGrJq7hLZP6vWgBB4B6cM3Ejo second@example.org"
"""Random points: nobody has a private key of them."""

CASES: Mapping[str, Case] = {
    case.kind: case
    for case in (
        Case(kind="project", make=_make_project, spoil=_spoil_project, told="description", modes=("operator",)),
        Case(kind="user", make=_make_user, spoil=_spoil_user, told="email", modes=("operator",)),
        Case(kind="group", make=_make_user_group, spoil=_spoil_user_group, told="members", modes=("operator",)),
        Case(kind="role_assignment", make=_make_assignment, spoil=_spoil_assignment, told="role", modes=("operator",), markless=True),
        Case(kind="keypair", make=_make_keypair, spoil=_spoil_keypair, told="public_key", markless=True),
        Case(kind="flavor", make=_make_flavor, spoil=_spoil_flavor, told="extra_specs", modes=("operator",)),
        Case(kind="network", make=_make_network, spoil=_spoil_network, told="admin_state_up", modes=("tenant",)),
        Case(kind="subnet", make=_make_subnet, spoil=_spoil_subnet, told="dns_nameservers", modes=("tenant",)),
        Case(kind="security_group", make=_make_group, spoil=_spoil_group, told="description", modes=("tenant",)),
        Case(kind="security_group_rule", make=_make_rule, spoil=_spoil_rule, told="port_range_max", modes=("tenant",)),
        Case(kind="router", make=_make_router, spoil=_spoil_router, told="routes", modes=("tenant",)),
        Case(kind="port", make=_make_port, spoil=_spoil_port, told="security_groups"),
        Case(kind="server_group", make=_make_server_group, spoil=_spoil_server_group, told="policy", modes=("tenant",), markless=True),
    )
}
