import pytest

from decamp.model.plan import Verb
from decamp.model.policy import Policy
from decamp.model.survey import Pinned
from decamp.planning.constraints import pinned
from decamp.planning.replay import Rule
from small_clouds import broken, by_hand, host, migration, server, survey


@pytest.mark.parametrize("reason", Pinned)
def test_a_pinned_server_is_not_migrated(reason: Pinned):
    s1 = server("s1", "a", pinned=reason)
    old = survey([host("a"), host("b")], [s1])
    assert Rule.PINNED in broken(by_hand(old, migration(s1, "b")), old)


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        ("ACTIVE", Verb.LIVE_MIGRATE),
        ("PAUSED", Verb.LIVE_MIGRATE),
        ("SHUTOFF", Verb.COLD_MIGRATE),
        ("SUSPENDED", None),
        ("SHELVED", None),
        ("ERROR", None),
        ("RESCUE", None),
    ],
)
def test_a_state_is_accepted_by_one_verb_or_none(status: str, verb: Verb | None):
    s1 = server("s1", "a", status=status)
    old = survey([host("a"), host("b")], [s1])
    assert pinned.verb_for(s1) is verb
    for tried in (Verb.LIVE_MIGRATE, Verb.COLD_MIGRATE):
        assert (Rule.PINNED in broken(by_hand(old, migration(s1, "b", verb=tried)), old)) is (tried is not verb)


def test_what_policy_says_not_to_touch_is_a_violation_to_touch():
    s1 = server("s1", "a")
    old = survey([host("a"), host("b")], [s1])
    plan = by_hand(old, migration(s1, "b"))
    assert Rule.POLICY not in broken(plan, old)
    for policy in (Policy(never_move_servers=("s1",)), Policy(never_touch_hosts=("a",)), Policy(never_touch_hosts=("b",))):
        assert Rule.POLICY in broken(plan, old, policy)
