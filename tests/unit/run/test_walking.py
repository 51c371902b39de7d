"""Which actions may begin."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decamp.model.errors import BadInput
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionState
from decamp.run.walking import Walk, check_graph

DONE, FAILED, WAITING = ActionState.DONE, ActionState.FAILED, ActionState.WAITING


def action(name: str, *after: str, locks: tuple[str, ...] = ()) -> Action:
    return Action(id=name, verb=Verb.CREATE, target=Ref("thing", name), after=after, locks=locks)


def walk(*actions: Action, concurrency: int = 10, states: dict[str, ActionState] | None = None) -> Walk:
    return Walk(Plan(goal=VacateGoal(), made_from={}, actions=actions), states or {}, concurrency)


def test_an_action_begins_only_when_all_before_it_are_done() -> None:
    it = walk(action("a"), action("b"), action("c", "a", "b"))
    assert it.begin() == ["a", "b"]
    it.end("a", DONE)
    assert it.begin() == []
    it.end("b", DONE)
    assert it.begin() == ["c"]


def test_no_more_than_the_limit_run_at_once_and_in_the_order_of_the_plan() -> None:
    it = walk(*[action(name) for name in "edcba"], concurrency=2)
    assert it.begin() == ["e", "d"]
    assert it.begin() == []
    it.end("d", DONE)
    assert it.begin() == ["c"]


def test_two_with_one_lock_never_run_at_once_and_others_overtake_them() -> None:
    it = walk(action("a", locks=("h1", "h2")), action("b", locks=("h2", "h3")), action("c", locks=("h4",)))
    assert it.begin() == ["a", "c"]
    it.end("a", DONE)
    assert it.begin() == ["b"]


def test_what_an_earlier_attempt_began_is_taken_whatever_the_limit_and_only_where_it_waits() -> None:
    it = walk(action("a"), action("b"), action("c", locks=("h",)), action("d", locks=("h",)), concurrency=1, states={"b": FAILED})
    assert it.take(["a", "b", "c"]) == ["a", "c"]
    assert it.take(["a", "b", "c"]) == []
    assert it.running == {"a", "c"}
    assert it.begin() == []


def test_what_comes_after_a_failed_one_is_skipped_however_far_and_others_go_on() -> None:
    it = walk(action("a"), action("b", "a"), action("c", "b"), action("d"))
    it.begin()
    it.end("a", FAILED)
    assert it.blocked() == ["b", "c"]
    it.end("d", DONE)
    assert it.begin() == []
    assert it.running == set()


def test_a_walk_that_is_taken_up_begins_where_it_was() -> None:
    states = {"a": DONE, "b": ActionState.RUNNING}
    it = walk(action("a"), action("b", "a"), action("c", "a"), action("d", "b"), states=states, concurrency=2)
    assert it.running == {"b"}
    assert it.begin() == ["c"]


def test_a_running_one_from_before_keeps_its_locks() -> None:
    it = walk(action("a", locks=("h",)), action("b", locks=("h",)), states={"a": ActionState.RUNNING})
    assert it.begin() == []


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ((action("a"), action("a")), "two actions"),
        ((action("a", "z"),), "which is not in the plan"),
        ((action("a", "b"), action("b", "a"), action("c")), "circle: a, b"),
    ],
)
def test_a_broken_graph_is_refused_with_a_sentence(actions: tuple[Action, ...], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_graph(actions)


@settings(deadline=None)
@given(st.data())
def test_every_plan_is_walked_to_its_end_within_its_limits(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    names = [f"a{number}" for number in range(count)]
    locks = st.lists(st.sampled_from(["h1", "h2", "h3"]), max_size=2, unique=True).map(tuple)

    def some_of(names: list[str]) -> list[str]:
        return data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []

    actions = [action(name, *some_of(names[:position]), locks=data.draw(locks)) for position, name in enumerate(names)]
    check_graph(tuple(actions))
    by_id = {one.id: one for one in actions}
    it = walk(*actions, concurrency=data.draw(st.integers(1, 4)))
    done: set[str] = set()
    while it.begin() or it.running:
        running = sorted(it.running)
        held = [lock for name in running for lock in by_id[name].locks]
        assert len(held) == len(set(held))
        assert all(set(by_id[name].after) <= done for name in running)
        ended = data.draw(st.sampled_from(running))
        it.end(ended, data.draw(st.sampled_from([DONE, DONE, DONE, FAILED])))
        if it.states[ended] is DONE:
            done.add(ended)
        it.blocked()
    assert WAITING not in it.states.values()
