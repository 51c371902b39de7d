from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decamp.model.errors import Bug
from decamp.planning.ordering import Precedence, ancestors, reduced, topological

GRAPHS = st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=12).map(
    lambda lists: {node: {other for other in others if other < node} for node, others in enumerate(lists)}
)
"""Node -> nodes before it; without circles, because these have smaller numbers."""


@given(GRAPHS)
def test_nothing_comes_before_what_it_comes_after(after: dict[int, set[int]]):
    order = topological(after, rank=lambda node: -node)
    assert sorted(order) == sorted(after)
    assert all(order.index(earlier) < order.index(node) for node, before in after.items() for earlier in before)


def test_among_those_that_may_come_next_the_lowest_rank_comes_first():
    assert topological({"c": (), "a": ("b",), "b": ()}, rank=str) == ["b", "a", "c"]


def test_a_circle_is_a_bug_that_names_its_nodes():
    with pytest.raises(Bug, match="in a circle: a, b"):
        topological({"a": ("b",), "b": ("a",), "c": ()}, rank=str)


@given(GRAPHS)
def test_a_reduced_order_implies_all_that_it_left_out_and_nothing_that_could_be_left_out(after: dict[int, set[int]]):
    order = topological(after, rank=lambda node: node)
    direct = reduced(order, after)
    assert ancestors({node: direct[node] for node in order}) == ancestors({node: after[node] for node in order})
    implied = ancestors({node: direct[node] for node in order})
    assert all(one not in implied[other] for before in direct.values() for one in before for other in before)


@given(GRAPHS)
def test_precedence_is_what_walking_back_finds(after: dict[int, set[int]]):
    precedence, before = Precedence([sorted(others) for others in after.values()]), ancestors(after)
    everything = precedence.by_place(after)
    for second in after:
        assert {first for first in after if precedence.precedes(first, second)} == before[second]
    for first in after:
        assert set(precedence.following(first, everything)) == {second for second in after if first in before[second]}


def test_a_queue_of_thousands_is_known_in_the_memory_of_its_nodes():
    """Each waits for the one before it, and for something of its own: all that came before is one stretch."""
    own = 10_000
    after: list[tuple[int, ...]] = [()] * own + [(number - own, number - 1) for number in range(own, 2 * own)]
    tracemalloc.start()
    precedence = Precedence(after)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 8 * 2**20
    assert precedence.precedes(0, 2 * own - 1)
    assert not precedence.precedes(1, own)
