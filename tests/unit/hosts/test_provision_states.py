from pathlib import Path

import pytest

from decamp.hosts.provision_states import WAYS, Standing, State, Way, drawn, standing
from decamp.model.plan import Verb


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_no_state_of_a_way_has_two_meanings_once_it_was_begun(way: Way) -> None:
    assert not way.through & way.fails
    assert way.ends not in way.through | way.fails | way.beyond
    assert not way.beyond & (way.through | way.begins - {State.INSPECT_FAILED})


def test_each_way_begins_where_the_one_before_it_ends() -> None:
    assert WAYS[Verb.MANAGE].ends in WAYS[Verb.INSPECT].begins
    assert WAYS[Verb.INSPECT].ends in WAYS[Verb.PROVIDE].begins


def test_a_failed_inspection_can_be_tried_again() -> None:
    assert WAYS[Verb.INSPECT].fails <= WAYS[Verb.INSPECT].begins


@pytest.mark.parametrize(
    ("verb", "state", "expected"),
    [
        (Verb.MANAGE, "verifying", Standing.WAITING),
        (Verb.MANAGE, "manageable", Standing.ENDED),
        (Verb.MANAGE, "enroll", Standing.FAILED),
        (Verb.INSPECT, "inspect wait", Standing.WAITING),
        (Verb.INSPECT, "inspect failed", Standing.FAILED),
        (Verb.PROVIDE, "clean wait", Standing.WAITING),
        (Verb.PROVIDE, "clean failed", Standing.FAILED),
        (Verb.PROVIDE, "manageable", Standing.ASTRAY),
        (Verb.PROVIDE, "a state of a later Ironic", Standing.ASTRAY),
    ],
)
def test_the_table_says_how_a_state_stands_to_a_way(verb: Verb, state: str, expected: Standing) -> None:
    assert standing(WAYS[verb], state) is expected


def test_every_state_says_what_it_means() -> None:
    source = State.__doc__
    assert source
    assert len(State) >= len({state for way in WAYS.values() for state in (*way.begins, *way.through, way.ends, *way.fails, *way.beyond)})


def test_the_picture_in_the_documentation_is_that_of_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "expand.md"
    assert f"```mermaid\n{drawn()}\n```" in page.read_text()
