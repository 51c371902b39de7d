"""Fills the lab's old cloud with tenants and their workloads: the same for the same number, and nothing twice when repeated."""

from __future__ import annotations

import enum
import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
from openstack.connection import Connection
from openstack.exceptions import SDKException

from decamp.lab import machines
from decamp.lab.connections import connect
from decamp.lab.layout import CloudName, Lab
from decamp.lab.progress import Report, silent, step
from decamp.lab.seed import blueprint, containers, estate, images, landscape, tenancy, workloads
from decamp.lab.seed.blueprint import Blueprint, Tenant
from decamp.model.errors import BadInput, Failed

DEFAULT_SEED = 1
DEFAULT_TENANTS = 3
TENANTS_AT_A_TIME = 3
"""The old cloud's Neutron is what limits: more do not make it faster."""


class Scenario(enum.StrEnum):
    """What the seed is for."""

    MOVE = "move"
    """A few tenants with all that a move has to carry."""
    VACATE = "vacate"
    """Many small servers in zones, aggregates, groups and states, with room for about half of the hosts to be freed."""


class SeededTenant(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    project: str
    """Id in the old cloud."""
    in_new: bool
    """Whether it has a project and credentials in the new cloud."""
    servers: int
    servers_made: int
    """By this very seed; 0 where all were there."""


def seed(
    lab: Lab,
    *,
    number: int = DEFAULT_SEED,
    tenants: int | None = None,
    scenario: Scenario = Scenario.MOVE,
    report: Report = silent,
) -> list[SeededTenant]:
    """Make what is missing of the content that belongs to `number`. Can be interrupted and repeated.

    `tenants` is for MOVE. Raises BadInput (another number was seeded before, too few hosts), Failed (a cloud could not do it).
    """
    hosts = machines.running_hosts(lab, CloudName.OLD)
    if scenario is Scenario.VACATE:
        plan = estate.draw(number, hosts)
    else:
        plan = blueprint.draw(number, DEFAULT_TENANTS if tenants is None else tenants, hosts)
    return fill(lab, plan, report)


def fill(lab: Lab, plan: Blueprint, report: Report = silent) -> list[SeededTenant]:
    """Make what is missing of a blueprint, whoever drew it. Raises as `seed` does."""
    with _alone(lab):
        try:
            return _fill(lab, plan, report)
        except SDKException as error:
            raise Failed(f"Seeding stopped: {error}. It can be repeated.") from error


def _fill(lab: Lab, plan: Blueprint, report: Report) -> list[SeededTenant]:
    old, new = connect(lab, CloudName.OLD), connect(lab, CloudName.NEW)
    if plan.aggregates:
        with step(report, "Zones, aggregates, traits, flavors"):
            landscape.ensure(old, plan)
    with step(report, "Projects, users, quotas"):
        projects = {tenant.name: _move_in(lab, plan.seed, tenant, old, new) for tenant in plan.tenants}
    with step(report, "Base images"):
        public = {image.name: images.ensure(old, image, image.name, public=True) for image in plan.images}
        for image in plan.images:
            if image.name_in_new:
                images.ensure(new, image, image.name_in_new, public=True)
    flavors = {flavor.name: flavor.id for flavor in old.compute.flavors()}
    with ThreadPoolExecutor(TENANTS_AT_A_TIME) as pool:
        made = list(pool.map(lambda tenant: _settle_in(lab, tenant, projects[tenant.name], public, flavors, report), plan.tenants))
    with step(report, "Application credentials"):
        for tenant in plan.tenants:
            clouds = (CloudName.OLD, CloudName.NEW) if tenant.in_new else (CloudName.OLD,)
            tenancy.write_configuration(lab, tenant.name, {cloud: tenancy.ensure_credential(lab, cloud, tenant.name) for cloud in clouds})
    return [
        SeededTenant(
            name=tenant.name, project=projects[tenant.name][0], in_new=tenant.in_new, servers=len(tenant.servers), servers_made=servers_made
        )
        for tenant, servers_made in zip(plan.tenants, made, strict=True)
    ]


def _move_in(lab: Lab, number: int, tenant: Tenant, old: Connection, new: Connection) -> tuple[str, str]:
    """Make the tenant's project and users, in the new cloud too where it has them there. Returns the old cloud's project and user."""
    made: list[tuple[str, str]] = []
    for cloud, connection in ((CloudName.OLD, old), (CloudName.NEW, new))[: 2 if tenant.in_new else 1]:
        description = f"{tenant.name.title()} Ltd. (seed {number})"
        project_id = tenancy.ensure_project(connection.identity, tenant.name, description)
        user_id = tenancy.ensure_user(lab, cloud, connection.identity, tenant.name, project_id, tenancy.MEMBER)
        tenancy.ensure_user(lab, cloud, connection.identity, f"{tenant.name}-audit", project_id, tenancy.READER)
        tenancy.set_quotas(connection, project_id)
        made.append((project_id, user_id))
    return made[0]


def _settle_in(
    lab: Lab, tenant: Tenant, project_and_user: tuple[str, str], public: dict[str, str], flavors: dict[str, str], report: Report
) -> int:
    """Everything of one tenant in the old cloud. Returns how many servers were made."""
    project, user = project_and_user
    # threads do not share connections
    admin = connect(lab, CloudName.OLD)
    tenancy.lower(admin.identity, project, user)
    connection = tenancy.connect_as(lab, CloudName.OLD, tenant.name)
    with step(report, f"{tenant.name}: networks, security groups, keypair"):
        networks = workloads.ensure_networks(connection, tenant)
        security_groups = workloads.ensure_security_groups(connection, tenant)
        key = workloads.ensure_keypair(lab, connection, tenant)
        server_groups = workloads.ensure_server_groups(connection, tenant)
    with step(report, f"{tenant.name}: image, volumes"):
        own = images.ensure(connection, tenant.image, tenant.image.name, public=False)
        known = {**public, tenant.image.name: own}
        volumes = workloads.ensure_volumes(lab, connection, tenant, known)
    if tenant.containers:
        with step(report, f"{tenant.name}: containers of objects"):
            containers.ensure(connection, tenant)
    parts = workloads.Parts(
        networks=networks, security_groups=security_groups, server_groups=server_groups, images=known, volumes=volumes, key=key
    )
    with step(report, f"{tenant.name}: {len(tenant.servers)} servers") as note:
        missing = workloads.missing_servers(connection, tenant)
        if missing:
            with tenancy.naming_hosts(lab, admin.identity, tenant.name, project, user) as naming:
                for server in missing:
                    note(f"asking for {server.name} on {server.host}")
                    workloads.boot(naming, server, parts, flavors)
        workloads.settle(lab, connection, admin, tenant, note)
    return len(missing)


@contextmanager
def _alone(lab: Lab) -> Iterator[None]:
    with (lab.folder / ".seed.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"Another `decamp lab seed` works on {lab.folder}: wait until it is done.") from error
        yield


__all__ = ["DEFAULT_SEED", "DEFAULT_TENANTS", "Scenario", "SeededTenant", "fill", "seed"]
