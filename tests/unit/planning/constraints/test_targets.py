import msgspec
import pytest

from decamp.model.plan import Action, ConfirmGoal, MoveGoal, Plan, UndoGoal, Verb
from decamp.model.refs import Ref
from decamp.planning.replay import Rule, replay
from small_clouds import broken, by_hand, host, migration, on_host, server, survey, vacate

S1 = server("s1", "a")
OLD = survey([host("a"), host("b")], [S1])


def test_a_verb_that_does_not_belong_to_the_goal_is_a_violation():
    remove = Action(id="x", verb=Verb.REMOVE, target=Ref("server", "s1"), args={"cloud": "old", "id": "s1"}, expects="f")
    assert Rule.VERBS in broken(by_hand(OLD, remove), OLD)
    assert Rule.VERBS in broken(by_hand(OLD, remove, goal=MoveGoal(project="p")), OLD)
    assert broken(by_hand(OLD, remove, goal=ConfirmGoal(run="r")), OLD) == set()


def test_an_undo_deletes_in_the_new_cloud_only_and_a_confirm_in_the_old():
    def removal(cloud: str) -> Action:
        return Action(id="x", verb=Verb.REMOVE, target=Ref("server", "s1"), args={"cloud": cloud, "id": "s1"}, expects="f")

    assert Rule.VERBS in broken(by_hand(OLD, removal("old"), goal=UndoGoal(run="r")), OLD)
    assert Rule.VERBS in broken(by_hand(OLD, removal("new"), goal=ConfirmGoal(run="r")), OLD)


def test_nothing_is_deleted_without_expecting_anything():
    remove = Action(id="x", verb=Verb.REMOVE, target=Ref("server", "s1"), args={"cloud": "new", "id": "n1"})
    assert broken(by_hand(OLD, remove, goal=UndoGoal(run="r")), OLD) == {Rule.EXPECTS}


@pytest.mark.parametrize("args", [{}, {"from": "a"}, {"to": "b"}])
def test_an_argument_that_is_missing_is_a_violation(args: dict[str, str]):
    assert Rule.VERBS in broken(by_hand(OLD, migration(S1, "b", args=args)), OLD)


def test_an_action_on_the_wrong_kind_of_target_is_a_violation():
    assert Rule.VERBS in broken(by_hand(OLD, migration(S1, "b", target=Ref("host", "a"))), OLD)


def test_targets_that_the_survey_does_not_have_are_violations():
    assert Rule.TARGETS in broken(by_hand(OLD, migration(server("s2", "a"), "b")), OLD)
    assert Rule.TARGETS in broken(by_hand(OLD, migration(S1, "nowhere")), OLD)
    assert Rule.TARGETS in broken(by_hand(OLD, on_host(Verb.DISABLE_SERVICE, "nowhere")), OLD)


@pytest.mark.parametrize("expects", [None, "", "0" * 32])
def test_a_migration_expects_the_server_as_the_survey_has_it(expects: str | None):
    assert Rule.EXPECTS not in broken(by_hand(OLD, migration(S1, "b")), OLD)
    assert Rule.EXPECTS in broken(by_hand(OLD, migration(S1, "b", expects=expects)), OLD)


def test_a_plan_that_was_made_from_another_survey_is_told_apart():
    other = survey([host("a"), host("b"), host("c")], [S1])
    assert Rule.MADE_FROM in broken(vacate(OLD, "a"), other)


def test_a_survey_that_is_missing_proves_nothing():
    assert Rule.MADE_FROM in {violation.rule for violation in replay(vacate(OLD, "a"), {})}


def test_a_survey_that_the_plan_does_not_name_proves_nothing():
    plan: Plan = msgspec.structs.replace(vacate(OLD, "a"), made_from={})
    assert broken(plan, OLD) == {Rule.MADE_FROM}
