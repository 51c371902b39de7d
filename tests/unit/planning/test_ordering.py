from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decamp.model.errors import Bug
from decamp.planning.ordering import ancestors, reduced, topological

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
