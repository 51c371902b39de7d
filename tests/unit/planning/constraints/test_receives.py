import pytest

from decamp.model.plan import UndoGoal, Verb
from decamp.planning.constraints import receives
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, on_host, server, survey

S1 = server("s1", "a")


@pytest.mark.parametrize("state", [{"state": "down"}, {"status": "disabled"}])
def test_a_host_that_is_down_or_disabled_takes_nothing(state: dict[str, str]):
    closed = host("b", **state)
    old = survey([host("a"), closed], [S1])
    assert not receives.allows(closed)
    assert Rule.RECEIVES in broken(by_hand(old, migration(S1, "b")), old)


def test_a_host_that_is_up_and_enabled_takes_servers():
    old = survey([host("a"), host("b")], [S1])
    assert Rule.RECEIVES not in broken(by_hand(old, migration(S1, "b")), old)


def test_a_host_that_is_cordoned_at_an_unknown_time_takes_nothing():
    old = survey([host("a"), host("b")], [S1])
    arrives = migration(S1, "b")
    assert Rule.RECEIVES in broken(by_hand(old, on_host(Verb.DISABLE_SERVICE, "b"), arrives), old)
    assert Rule.RECEIVES not in broken(by_hand(old, arrives, on_host(Verb.DISABLE_SERVICE, "b", arrives.id)), old)


def test_a_disabled_host_takes_servers_after_it_is_enabled():
    old = survey([host("a"), host("b", status="disabled")], [S1])
    enable = on_host(Verb.ENABLE_SERVICE, "b")
    undo = UndoGoal(run="r")
    assert Rule.RECEIVES in broken(by_hand(old, enable, migration(S1, "b"), goal=undo), old)
    assert Rule.RECEIVES not in broken(by_hand(old, enable, migration(S1, "b", after=[enable.id]), goal=undo), old)
