import pytest

from decamp.model.survey import Group, Survey
from decamp.planning.constraints import groups
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, said, server, survey

HOSTS = [host(name) for name in "abcd"]


def cloud(policy: str, *on: str, limit: int = 1) -> Survey:
    servers = [server(f"s{n}", name, group="g") for n, name in enumerate(on, 1)]
    return survey(HOSTS, servers, [Group(id="g", policy=policy, members=tuple(s.id for s in servers), max_server_per_host=limit)])


def test_anti_affinity_holds_at_the_destination():
    old = cloud("anti-affinity", "a", "b")
    assert Rule.GROUPS in broken(by_hand(old, migration(old.servers[0], "b")), old)
    assert Rule.GROUPS not in broken(by_hand(old, migration(old.servers[0], "c")), old)


def test_anti_affinity_allows_as_many_as_its_rule_says():
    old = cloud("anti-affinity", "a", "b", limit=2)
    assert Rule.GROUPS not in broken(by_hand(old, migration(old.servers[0], "b")), old)


def test_a_member_holds_its_source_until_it_has_left():
    old = cloud("anti-affinity", "a", "b")
    leaves = migration(old.servers[1], "c")
    assert Rule.GROUPS in broken(by_hand(old, leaves, migration(old.servers[0], "b")), old)
    assert Rule.GROUPS not in broken(by_hand(old, leaves, migration(old.servers[0], "b", after=[leaves.id])), old)


def test_two_members_are_never_in_flight_at_once():
    old = cloud("anti-affinity", "a", "b")
    first = migration(old.servers[0], "c")
    assert said(by_hand(old, first, migration(old.servers[1], "d")), old, Rule.GROUPS) == [
        "It may be in flight together with live_migrate/s1/1, of the same group g."
    ]
    assert Rule.GROUPS not in broken(by_hand(old, first, migration(old.servers[1], "d", after=[first.id])), old)


def test_a_member_of_an_affinity_group_does_not_leave_the_others():
    old = cloud("affinity", "a", "a")
    assert Rule.GROUPS in broken(by_hand(old, migration(old.servers[0], "b")), old)


def test_members_of_an_affinity_group_do_not_even_leave_one_after_the_other():
    old = cloud("affinity", "a", "a")
    first = migration(old.servers[0], "b")
    assert Rule.GROUPS in broken(by_hand(old, first, migration(old.servers[1], "b", after=[first.id])), old)


def test_a_single_member_of_an_affinity_group_goes_where_it_likes():
    old = cloud("affinity", "a")
    assert Rule.GROUPS not in broken(by_hand(old, migration(old.servers[0], "b")), old)


def test_a_member_that_is_apart_may_join_the_others():
    old = cloud("affinity", "a", "b", "b")
    assert Rule.GROUPS not in broken(by_hand(old, migration(old.servers[0], "b")), old)
    assert Rule.GROUPS in broken(by_hand(old, migration(old.servers[0], "c")), old)


@pytest.mark.parametrize("policy", ["soft-affinity", "soft-anti-affinity"])
def test_soft_policies_break_nothing(policy: str):
    old = cloud(policy, "a", "b")
    assert Rule.GROUPS not in broken(by_hand(old, *(migration(one, "c") for one in old.servers)), old)


def test_a_group_of_unknown_policy_is_a_violation():
    s1 = server("s1", "a", group="gone")
    old = survey(HOSTS, [s1])
    assert Rule.GROUPS in broken(by_hand(old, migration(s1, "b")), old)


def test_soft_policies_say_how_little_they_like_a_host():
    assert groups.dislike(Group(id="g", policy="soft-affinity"), 2) < groups.dislike(Group(id="g", policy="soft-affinity"), 1)
    assert groups.dislike(Group(id="g", policy="soft-anti-affinity"), 2) > groups.dislike(Group(id="g", policy="soft-anti-affinity"), 1)
    assert groups.dislike(Group(id="g", policy="anti-affinity"), 2) == groups.dislike(None, 0) == 0
