from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, said, server, survey

S1 = server("s1", "a")
OLD = survey([host("a"), host("b"), host("c")], [S1])


def test_two_actions_of_one_id_are_a_violation():
    assert broken(by_hand(OLD, migration(S1, "b"), migration(S1, "b")), OLD) == {Rule.ORDER}


def test_coming_after_nothing_that_is_in_the_plan_is_a_violation():
    assert said(by_hand(OLD, migration(S1, "b", after=["gone"])), OLD, Rule.ORDER) == [
        "It comes after gone, which is no action of the plan."
    ]


def test_a_circle_is_a_violation():
    there = migration(S1, "b", after=["live_migrate/s1/2"])
    back = migration(server("s1", "b"), "a", after=[there.id], number=2)
    assert broken(by_hand(OLD, there, back), OLD) == {Rule.ORDER}


def test_an_action_that_comes_after_itself_is_a_violation():
    assert broken(by_hand(OLD, migration(S1, "b", after=["live_migrate/s1/1"])), OLD) == {Rule.ORDER}


def test_all_faults_of_the_order_are_told():
    plan = by_hand(OLD, migration(S1, "b", after=["x", "y"]), migration(S1, "b", after=["z"]))
    assert len(said(plan, OLD, Rule.ORDER)) == 4


def test_a_migration_from_where_the_server_is_not_is_a_violation():
    elsewhere = migration(server("s1", "b"), "c")
    assert said(by_hand(OLD, elsewhere), OLD, Rule.ITINERARY) == ["It migrates from b, and the server is on a by then."]


def test_a_migration_to_where_the_server_is_already_is_a_violation():
    assert Rule.ITINERARY in broken(by_hand(OLD, migration(S1, "a")), OLD)


def test_a_servers_migrations_have_to_follow_each_other():
    first = migration(S1, "b")
    second = migration(server("s1", "b"), "c", number=2)
    assert Rule.ITINERARY in broken(by_hand(OLD, first, second), OLD)
    ordered = migration(server("s1", "b"), "c", number=2, after=[first.id])
    assert Rule.ITINERARY not in broken(by_hand(OLD, first, ordered), OLD)
