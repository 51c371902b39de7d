from __future__ import annotations

from decamp.model.plan import VacateGoal
from decamp.model.policy import Policy
from decamp.planning.estate import Estate
from decamp.planning.pace import UNHURRIED
from decamp.planning.packing import Packing
from decamp.planning.refilling import refill
from small_clouds import host, server, survey


def with_a_homeless() -> tuple[Packing, int]:
    """The large server of host a, which is freed, fits on b only if one of the servers there goes to c."""
    hosts = [host("a", vcpus=8), host("b", vcpus=8), host("c", vcpus=4)]
    old = survey(hosts, [server("large", "a", vcpus=6), server("s1", "b", vcpus=2), server("s2", "b", vcpus=2)])
    packing = Packing(Estate(old, Policy(), VacateGoal(max=True)))
    (large,) = packing.release(packing.estate.number["a"])
    return packing, large


def where(packing: Packing) -> dict[str, str]:
    return {packing.estate.servers[one].id: packing.estate.hosts[at].name for one, at in enumerate(packing.at) if at >= 0}


def test_a_resident_makes_room_for_a_larger_server_and_finds_another_place():
    packing, large = with_a_homeless()
    assert refill(packing, [large], UNHURRIED, residents=True) == []
    assert where(packing) == {"large": "b", "s1": "c", "s2": "b"}


def test_residents_stay_where_they_are_unless_they_may_be_moved():
    packing, large = with_a_homeless()
    assert refill(packing, [large], UNHURRIED, residents=False) == [large]
    assert where(packing) == {"s1": "b", "s2": "b"}


def test_a_resident_that_finds_no_other_place_returns():
    packing, large = with_a_homeless()
    packing.takes[packing.estate.number["c"]] = False
    assert refill(packing, [large], UNHURRIED, residents=True) == [large]
    assert where(packing) == {"s1": "b", "s2": "b"}
