from decamp.planning.constraints import locks
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, said, server, survey

S1 = server("s1", "a")


def test_a_host_has_as_many_locks_as_migrations_that_it_takes():
    assert locks.slots(host("a")) == ("host:a",)
    assert locks.slots(host("a", max_live_migrations=3)) == ("host:a/1", "host:a/2", "host:a/3")


def test_a_migration_holds_a_lock_of_both_hosts_and_of_the_server():
    old = survey([host("a"), host("b", max_live_migrations=2)], [S1])
    right = ("host:a", "host:b/2", "server:s1")
    assert Rule.LOCKS not in broken(by_hand(old, migration(S1, "b", locks=right)), old)
    for missing in right:
        held = tuple(name for name in right if name != missing)
        assert Rule.LOCKS in broken(by_hand(old, migration(S1, "b", locks=held)), old)


def test_a_lock_beyond_the_hosts_limit_or_of_a_host_with_a_longer_name_does_not_count():
    old = survey([host("a"), host("a1"), host("b", max_live_migrations=2)], [S1])
    plan = by_hand(old, migration(S1, "b", locks=("host:a1", "host:b/3", "server:s1")))
    assert len(said(plan, old, Rule.LOCKS)) == 2
