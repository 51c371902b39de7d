"""The old cloud that is there to be vacated: what it holds follows from its number, and a good plan frees about half of its hosts."""

from __future__ import annotations

from collections import Counter

import pytest

from decamp.lab.layout import MachineSize
from decamp.lab.seed import estate
from decamp.lab.seed.blueprint import Blueprint, Server, State
from decamp.lab.seed.estate import FAST, MEMORY_MIB, TRAIT
from decamp.model.errors import BadInput

HOSTS = [f"cmp-{number:03d}" for number in range(1, 21)]


@pytest.fixture(params=[1, 2, 42])
def drawn(request: pytest.FixtureRequest) -> Blueprint:
    return estate.draw(request.param, HOSTS)


def servers(drawn: Blueprint) -> list[Server]:
    return [server for tenant in drawn.tenants for server in tenant.servers]


def test_equal_numbers_give_equal_estates_and_others_do_not(drawn: Blueprint) -> None:
    assert estate.draw(drawn.seed, list(reversed(HOSTS))) == drawn
    assert estate.draw(drawn.seed + 1, HOSTS).tenants != drawn.tenants


def test_there_are_six_servers_for_each_host_and_each_host_has_some(drawn: Blueprint) -> None:
    counts = Counter(server.host for server in servers(drawn))
    assert sum(counts.values()) == 120
    assert set(counts) == set(HOSTS)
    assert len({server.asset for server in servers(drawn)}) == 120


def test_the_servers_memory_would_fit_between_a_third_and_three_fifths_of_the_hosts(drawn: Blueprint) -> None:
    taken = sum(MEMORY_MIB[server.flavor] for server in servers(drawn))
    assert 1 / 3 < taken / (len(HOSTS) * MachineSize().memory_mib) < 3 / 5


def test_no_host_is_fuller_than_placement_allows(drawn: Blueprint) -> None:
    taken: Counter[str] = Counter()
    for server in servers(drawn):
        taken[server.host] += MEMORY_MIB[server.flavor]
    assert max(taken.values()) < MachineSize().memory_mib - 512


def test_every_state_and_every_policy_is_there(drawn: Blueprint) -> None:
    assert {server.state for server in servers(drawn)} == set(State)
    assert any(server.locked for server in servers(drawn))
    policies = {policy for tenant in drawn.tenants for policy in tenant.server_groups.values()}
    assert policies == {"affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"}
    assert any(server.root_volume for server in servers(drawn))
    assert any(server.data_volumes for server in servers(drawn))


def test_servers_start_where_their_groups_zones_and_traits_allow(drawn: Blueprint) -> None:
    zones = {host: aggregate.zone for aggregate in drawn.aggregates if aggregate.zone for host in aggregate.hosts}
    assert set(zones) == set(HOSTS)
    assert len(set(zones.values())) == 2
    for server in servers(drawn):
        assert server.zone in {None, zones[server.host]}
        assert server.flavor != FAST.name or server.host in drawn.traits[TRAIT]
    for tenant in drawn.tenants:
        for group, policy in tenant.server_groups.items():
            hosts = [server.host for server in tenant.servers if server.group == group]
            assert policy != "anti-affinity" or len(set(hosts)) == len(hosts)
            assert policy != "affinity" or len(set(hosts)) == 1


def test_too_few_hosts_are_bad_input() -> None:
    with pytest.raises(BadInput, match="9 compute hosts up"):
        estate.draw(1, HOSTS[:9])
