"""What the seed makes follows from its number alone, and is all that a believable old cloud needs."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from decamp.lab.content import FLAVORS
from decamp.lab.layout import CloudName, Settings
from decamp.lab.seed import blueprint
from decamp.lab.seed.blueprint import Blueprint, State, Tenant
from decamp.model.errors import BadInput

HOSTS = [f"cmp-{number:03d}" for number in range(1, 7)]


@pytest.fixture(params=[1, 2, 3, 42])
def drawn(request: pytest.FixtureRequest) -> Blueprint:
    return blueprint.draw(request.param, 3, HOSTS)


def test_equal_numbers_give_equal_blueprints(drawn: Blueprint) -> None:
    assert blueprint.draw(drawn.seed, 3, list(reversed(HOSTS))) == drawn


def test_another_number_gives_another_layout() -> None:
    assert blueprint.draw(1, 3, HOSTS).tenants != blueprint.draw(2, 3, HOSTS).tenants


def test_the_first_tenants_are_the_same_however_many_follow(drawn: Blueprint) -> None:
    assert blueprint.draw(drawn.seed, 5, HOSTS).tenants[:3] == drawn.tenants


def test_fewer_hosts_change_nothing_but_where_servers_start(drawn: Blueprint) -> None:
    def without_hosts(tenants: tuple[Tenant, ...]) -> list[Tenant]:
        return [
            msgspec.structs.replace(tenant, servers=tuple(msgspec.structs.replace(server, host="") for server in tenant.servers))
            for tenant in tenants
        ]

    assert without_hosts(blueprint.draw(drawn.seed, 3, HOSTS[:4]).tenants) == without_hosts(drawn.tenants)


def test_every_host_has_servers(drawn: Blueprint) -> None:
    assert {server.host for tenant in drawn.tenants for server in tenant.servers} == set(HOSTS)


def test_there_are_between_20_and_27_servers(drawn: Blueprint) -> None:
    assert 20 <= sum(len(tenant.servers) for tenant in drawn.tenants) <= 27


@pytest.mark.parametrize("count", range(2, 7))
def test_members_of_an_anti_affinity_group_start_on_hosts_of_their_own_and_fit_the_new_cloud(drawn: Blueprint, count: int) -> None:
    for tenant in blueprint.draw(drawn.seed, 3, HOSTS[:count]).tenants:
        for group, policy in tenant.server_groups.items():
            hosts = [server.host for server in tenant.servers if server.group == group]
            assert policy == "anti-affinity"
            assert len(hosts) == Settings().new_hosts
            assert len(set(hosts)) == len(hosts)


def test_all_servers_fit_on_half_of_the_hosts(drawn: Blueprint) -> None:
    memory = {flavor.name: flavor.memory_mib for flavor in FLAVORS[CloudName.OLD]}
    assert sum(memory[server.flavor] for tenant in drawn.tenants for server in tenant.servers) < 3 * (16384 - 512)


def test_only_the_tenant_without_a_project_in_the_new_cloud_needs_a_flavor_that_is_not_there(drawn: Blueprint) -> None:
    specs = {flavor.name: (flavor.vcpus, flavor.memory_mib, flavor.disk_gib) for flavor in FLAVORS[CloudName.OLD]}
    in_new = {(flavor.vcpus, flavor.memory_mib, flavor.disk_gib) for flavor in FLAVORS[CloudName.NEW]}
    for tenant in drawn.tenants:
        assert all(specs[server.flavor] in in_new for server in tenant.servers) == tenant.in_new
    assert [tenant.in_new for tenant in drawn.tenants].count(False) == 1


def test_what_is_referred_to_by_name_is_there(drawn: Blueprint) -> None:
    public = {image.name for image in drawn.images}
    for tenant in drawn.tenants:
        networks = {network.name for network in tenant.networks}
        groups = {group.name for group in tenant.security_groups} | {"default"}
        volumes = {volume.name for volume in tenant.volumes}
        images = public | {tenant.image.name}
        assert {rule.group for group in tenant.security_groups for rule in group.rules if rule.group} <= groups
        assert {volume.image for volume in tenant.volumes if volume.image} <= images
        for server in tenant.servers:
            assert {nic.network for nic in server.nics} <= networks
            assert {group for nic in server.nics for group in nic.security_groups} <= groups
            assert {*server.data_volumes, *filter(None, [server.root_volume])} <= volumes
            assert (server.image in images) != (server.root_volume in volumes)


def test_each_tenant_has_what_makes_a_move_hard(drawn: Blueprint) -> None:
    for tenant in drawn.tenants:
        references = {(group.name, rule.group) for group in tenant.security_groups for rule in group.rules if rule.group}
        names = [server.name for server in tenant.servers]
        assert ("web", "web") in references
        assert {("web", "db"), ("db", "web")} <= references
        assert len(set(names)) < len(names)
        assert any(server.state is State.STOPPED for server in tenant.servers)
        assert any(server.config_drive for server in tenant.servers)
        assert any(server.user_data for server in tenant.servers)
        assert any(server.floating for server in tenant.servers)
        assert any(server.root_volume and server.data_volumes for server in tenant.servers)
        assert any(nic.port and nic.address for server in tenant.servers for nic in server.nics)


def test_no_two_disks_are_written_the_same(drawn: Blueprint) -> None:
    labels = [server.patch.label for tenant in drawn.tenants for server in tenant.servers if server.patch]
    labels += [volume.patch.label for tenant in drawn.tenants for volume in tenant.volumes]
    assert len(set(labels)) == len(labels)


def test_assets_tell_servers_of_one_name_apart(drawn: Blueprint) -> None:
    servers = list(itertools.chain.from_iterable(tenant.servers for tenant in drawn.tenants))
    assert len({server.asset for server in servers}) == len(servers)
    assert all(server.metadata["asset"] == server.asset for server in servers)


@pytest.mark.parametrize("tenants", [0, -1, 13])
def test_a_number_of_tenants_that_cannot_be_is_refused(tenants: int) -> None:
    with pytest.raises(BadInput, match="out of range"):
        blueprint.draw(1, tenants, HOSTS)


def test_too_few_hosts_are_refused() -> None:
    with pytest.raises(BadInput, match="1 compute hosts up"):
        blueprint.draw(1, 3, HOSTS[:1])
