"""Servers of hosts that stay are brought home when all have a place."""

from __future__ import annotations

from decamp.model.plan import VacateGoal
from decamp.model.policy import Policy
from decamp.planning.estate import Estate
from decamp.planning.homing import bring_home, send_home
from decamp.planning.pace import UNHURRIED
from decamp.planning.packing import Packing
from small_clouds import host, server, survey

GIB = 2**30


def made_way(*, room: int = 4) -> tuple[Packing, dict[str, int]]:
    """c is freed. Its server sits where `big` of a was, which is on b now; both ask for as many processors, of unlike memory."""
    old = survey(
        [host("a", vcpus=room), host("b", vcpus=room), host("c", vcpus=4)],
        [
            server("big", "a", vcpus=4, memory_mib=2048, migration_bytes=9 * GIB),
            server("small", "c", vcpus=4, memory_mib=1024, migration_bytes=GIB),
        ],
    )
    packing = Packing(Estate(old, Policy(), VacateGoal(max=True)))
    number = {one.id: at for at, one in enumerate(packing.estate.servers)}
    packing.release(packing.estate.number["c"])
    packing.put(number["big"], packing.estate.number["b"])
    packing.put(number["small"], packing.estate.number["a"])
    return packing, number


def where(packing: Packing, number: dict[str, int]) -> dict[str, str]:
    return {name: packing.estate.hosts[packing.at[one]].name for name, one in number.items()}


def test_one_for_which_there_is_room_returns():
    packing, number = made_way(room=8)
    send_home(packing)
    assert where(packing, number) == {"big": "a", "small": "a"}


def test_one_that_has_to_change_places_with_another_kind_of_server_returns_too():
    packing, number = made_way()
    send_home(packing)
    assert where(packing, number) == {"big": "b", "small": "a"}
    bring_home(packing, UNHURRIED, most=5)
    assert where(packing, number) == {"big": "a", "small": "b"}
    assert (packing.free == packing.estate.room - _held(packing)).all()


def test_no_problem_is_solved_where_none_may_be():
    packing, number = made_way()
    bring_home(packing, UNHURRIED, most=0)
    assert where(packing, number) == {"big": "b", "small": "a"}


def test_a_server_whose_home_is_freed_has_none():
    packing, number = made_way()
    packing.put(number["big"], packing.estate.number["a"])
    packing.put(number["small"], packing.estate.number["b"])
    bring_home(packing, UNHURRIED, most=5)
    assert where(packing, number) == {"big": "a", "small": "b"}


def _held(packing: Packing):
    held = packing.estate.room * 0
    for server_, at in enumerate(packing.at):
        held[at] += packing.estate.demand[packing.estate.class_of[server_]]
    return held
