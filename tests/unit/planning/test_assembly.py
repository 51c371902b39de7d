"""Fillings of hosts at prices, and the choice among them: against what can be counted by hand, and against all that there is."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest

from decamp.model.plan import VacateGoal
from decamp.model.policy import Policy
from decamp.model.survey import Pinned, Survey
from decamp.planning.assembly import Assembly, carry_out
from decamp.planning.estate import Estate
from decamp.planning.fillings import Fillings
from decamp.planning.packing import NOWHERE, Packing
from decamp.planning.relaxation import Relaxation
from decamp.planning.vacate import may_be_freed
from small_clouds import host, server, survey

GIB = 2**30
SIZES = ((2, 2048), (4, 8192), (8, 8192), (2, 16384))
"""Processors and MiB."""


def cloud(seed: int, *, hosts: int = 5, servers: int = 12) -> Survey:
    random = Random(seed)  # noqa: S311
    machines = [host(f"h{number}", vcpus=32, memory_mib=49152) for number in range(hosts)]
    left = {one.name: [32, 49152] for one in machines}
    there = []
    while len(there) < servers:
        vcpus, memory = random.choice(SIZES)
        name = random.choice(sorted(left))
        if left[name][0] >= vcpus and left[name][1] >= memory:
            left[name] = [left[name][0] - vcpus, left[name][1] - memory]
            there.append(server(f"s{len(there):02d}", name, vcpus=vcpus, memory_mib=memory, migration_bytes=random.randint(1, 9) * GIB))
    return survey(machines, there)


def relaxed(old: Survey) -> Relaxation:
    estate = Estate(old, Policy(), VacateGoal(max=True))
    return Relaxation(estate, may_be_freed(estate))


def best_by_trying(fillings: Fillings, relaxation: Relaxation, host: int, prices: np.ndarray) -> float:
    """Of all subsets of residents that may leave and all guests that fit: the most that a filling is worth."""
    estate, ways, best = relaxation.estate, fillings.departures, 0.0
    for departure in np.flatnonzero(ways.host == host).tolist():
        entries = ways.of == departure
        cost = ways.bytes[departure] / relaxation.unit + float((ways.many[entries] * prices[ways.number[entries]]).sum())
        room = estate.room[host] - estate.held()[host] + ways.freed[departure]
        most = [int((room // np.maximum(demand, 1)).min()) for demand in estate.demand]
        for counts in product(*(range(one + 1) for one in most)):
            if (np.array(counts) @ estate.demand <= room).all():
                best = max(best, float(np.array(counts) @ prices) - cost)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_the_best_filling_of_a_host_is_as_good_as_the_best_of_all(seed: int):
    relaxation = relaxed(cloud(seed, hosts=3, servers=8))
    fillings = Fillings(Packing(relaxation.estate), relaxation)
    prices = np.random.default_rng(seed).uniform(0.2, 2, relaxation.classes)
    found = fillings.best(fillings.consistent(prices))[0]
    ways = fillings.departures
    for place, number in enumerate(found.host.tolist()):
        entries = ways.of == found.departure[place]
        cost = ways.bytes[found.departure[place]] / relaxation.unit + (ways.many[entries] * prices[ways.number[entries]]).sum()
        worth = float(found.guests[place] @ prices[[np.flatnonzero(fillings.type_of == one)[0] for one in range(len(fillings.types))]])
        assert worth - cost == pytest.approx(best_by_trying(fillings, relaxation, number, prices))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_assembled_fits_and_moves_no_more_than_it_has_to(seed: int):
    relaxation = relaxed(cloud(seed))
    freed = relaxation.estate.is_freeable.sum() - (relaxation.fewest_kept() or 0)
    assembly = Assembly(relaxation)
    assembled = assembly.assemble(int(freed))
    assert assembled is not None
    assert assembled.freed.sum() == freed
    packing = Packing(relaxation.estate)
    homeless = carry_out(packing, assembly.fillings, assembled)
    assert (packing.free[packing.takes] >= 0).all()
    assert homeless == [one for one, at in enumerate(packing.at) if at == NOWHERE]
    moved = np.array(packing.at) != relaxation.estate.home
    least = relaxation.propose(int(relaxation.estate.is_freeable.sum() - freed))
    assert least is not None
    assert relaxation.estate.bytes[moved].sum() >= least.bytes * (1 - 1e-6)


def test_a_resident_leaves_where_that_is_what_makes_room_and_not_its_twin_that_must_stay():
    """c's server fits nowhere: a has the processors, b the memory, unless a's small one moves over to b."""
    old = survey(
        [host("a", vcpus=10, memory_mib=9216), host("b", vcpus=8, memory_mib=8192), host("c", vcpus=8, memory_mib=8192)],
        [
            server("big-a", "a", vcpus=2, memory_mib=4096, migration_bytes=90 * GIB),
            server("a-twin", "a", vcpus=2, memory_mib=1024, migration_bytes=1 * GIB, pinned=Pinned.PCI_DEVICE),
            server("small", "a", vcpus=2, memory_mib=1024, migration_bytes=1 * GIB),
            server("big-b", "b", vcpus=4, memory_mib=6144, migration_bytes=90 * GIB),
            server("comes", "c", vcpus=6, memory_mib=4096, migration_bytes=5 * GIB),
        ],
    )
    relaxation = relaxed(old)
    assembly = Assembly(relaxation)
    assembled = assembly.assemble(1)
    assert assembled is not None
    packing = Packing(relaxation.estate)
    assert carry_out(packing, assembly.fillings, assembled) == []
    where = {one.id: relaxation.estate.hosts[at].name for one, at in zip(relaxation.estate.servers, packing.at, strict=True)}
    assert where == {"a-twin": "a", "big-a": "a", "small": "b", "big-b": "b", "comes": "a"}


def test_fewer_hosts_can_be_freed_after_more():
    relaxation = relaxed(cloud(5, hosts=80, servers=60))
    assembly = Assembly(relaxation)
    for freed in (66, 3):
        assembled = assembly.assemble(freed)
        assert assembled is not None
        assert assembled.freed.sum() == freed
        packing = Packing(relaxation.estate)
        assert carry_out(packing, assembly.fillings, assembled) == []


def test_equal_clouds_are_assembled_alike():
    def places() -> list[int]:
        relaxation = relaxed(cloud(3))
        assembly = Assembly(relaxation)
        assembled = assembly.assemble(2)
        assert assembled is not None
        packing = Packing(relaxation.estate)
        carry_out(packing, assembly.fillings, assembled)
        return packing.at

    assert places() == places()
