import pytest

from decamp.planning.constraints import zone
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, server, survey


@pytest.mark.parametrize(("asked", "allowed"), [(None, True), ("z2", True), ("z1", False)])
def test_a_server_goes_to_another_zone_only_if_its_user_asked_for_none_or_that_one(asked: str | None, allowed: bool):
    s1, b = server("s1", "a", zone=asked), host("b", zone="z2")
    old = survey([host("a", zone="z1"), b], [s1])
    assert zone.allows(s1, b) is allowed
    assert (Rule.ZONE in broken(by_hand(old, migration(s1, "b")), old)) is not allowed
