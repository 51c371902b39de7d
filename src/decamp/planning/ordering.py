"""Orders: a deterministic topological one, each step's shortest list of direct predecessors, and who comes before whom, at any size."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from decamp.model.errors import Bug

Node = TypeVar("Node")


def topological(after: Mapping[Node, Iterable[Node]], rank: Callable[[Node], Any]) -> list[Node]:
    """Every node after those that it comes after; among those that may come next, the one of lowest rank.

    Ranks have to differ. Predecessors that are no nodes are passed over. Raises Bug if there is a circle.
    """
    before = {node: {other for other in others if other in after and other != node} for node, others in after.items()}
    follows: dict[Node, list[Node]] = {node: [] for node in after}
    for node, others in before.items():
        for other in others:
            follows[other].append(node)
    missing = {node: len(others) for node, others in before.items()}
    nodes = sorted(after, key=rank)
    place = {node: index for index, node in enumerate(nodes)}
    ready = [place[node] for node in nodes if not missing[node]]
    order: list[Node] = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        order.append(node)
        for follower in follows[node]:
            missing[follower] -= 1
            if not missing[follower]:
                heapq.heappush(ready, place[follower])
    if len(order) < len(after):
        raise Bug(f"These wait for each other in a circle: {', '.join(sorted(str(n) for n in set(after) - set(order)))}")
    return order


def reduced(order: Sequence[Node], after: Mapping[Node, Iterable[Node]]) -> dict[Node, tuple[Node, ...]]:
    """`after` without what follows from the rest, each list in the order of `order`, which has to be topological."""
    place = {node: index for index, node in enumerate(order)}
    direct: list[list[int]] = []
    for node in order:
        candidates = sorted({place[other] for other in after[node] if other in place and other != node}, reverse=True)
        kept: list[int] = []
        known: set[int] = set()
        for candidate in candidates:
            if candidate not in known:
                kept.append(candidate)
                _walk_back(direct, candidate, candidates[-1], known)
        direct.append(kept[::-1])
    return {node: tuple(order[other] for other in direct[place[node]]) for node in order}


def _walk_back(direct: Sequence[Sequence[int]], start: int, end: int, known: set[int]) -> None:
    """Adds all that comes before `start`, and no earlier in the order than `end`."""
    if start == end:
        return
    todo = [start]
    while todo:
        for other in direct[todo.pop()]:
            if other >= end and other not in known:
                known.add(other)
                todo.append(other)


def ancestors(after: Mapping[Node, Iterable[Node]]) -> dict[Node, frozenset[Node]]:
    """All that comes before each node, directly or not; the mapping has to be in a topological order."""
    found: dict[Node, frozenset[Node]] = {}
    for node, others in after.items():
        direct = [other for other in others if other in after]
        found[node] = frozenset(direct).union(*(found[other] for other in direct))
    return found


class Precedence:
    """Who comes before whom in a partial order of any size: little memory for sparse orders and for long queues alike.

    A tree cover (Agrawal, Borgida, Jagadish 1989: Efficient management of transitive relationships): each node hangs on its latest direct
    predecessor, and nodes are numbered through that forest, so that a node's subtree is one interval. What comes after a node is its
    subtree and what comes after its other direct successors: a sorted list of disjoint intervals, most often one or two.
    """

    def __init__(self, after: Sequence[Sequence[int]]) -> None:
        """`after`: for each node its direct predecessors, all of them smaller numbers."""
        self._places = _places([max(before, default=None) for before in after])
        following: list[list[int]] = [[] for _ in after]
        for node, before in enumerate(after):
            for other in before:
                following[other].append(node)
        self._intervals: list[tuple[int, ...]] = [()] * len(after)
        """Begin and end of each in turn; the node's own place lies in one of them."""
        for node in reversed(range(len(after))):
            self._intervals[node] = _joined(self._places[node], [self._intervals[other] for other in following[node]])
            following[node] = []

    def precedes(self, first: int, second: int) -> bool:
        """Whether `second` comes after `first`, directly or not; no node comes after itself."""
        return first != second and bisect_right(self._intervals[first], self._places[second]) % 2 == 1

    def by_place(self, nodes: Iterable[int]) -> list[tuple[int, int]]:
        """(place, node), sorted: for `following`."""
        return sorted((self._places[node], node) for node in nodes)

    def following(self, first: int, among: Sequence[tuple[int, int]]) -> list[int]:
        """Those of `among`, as `by_place` gives them, that come after `first`."""
        intervals = self._intervals[first]
        found: list[int] = []
        for begin, end in zip(intervals[::2], intervals[1::2], strict=True):
            found += [node for _, node in among[bisect_left(among, (begin,)) : bisect_left(among, (end,))] if node != first]
        return found


def _places(parents: Sequence[int | None]) -> list[int]:
    """Each node's place when the forest is gone through root by root, children in their order, parents before them."""
    sizes = [1] * len(parents)
    for node in reversed(range(len(parents))):
        if (parent := parents[node]) is not None:
            sizes[parent] += sizes[node]
    places: list[int] = []
    free: list[int] = []
    """Place of the next child of each node."""
    roots = 0
    for node, parent in enumerate(parents):
        place = roots if parent is None else free[parent]
        places.append(place)
        free.append(place + 1)
        if parent is None:
            roots += sizes[node]
        else:
            free[parent] += sizes[node]
    return places


def _joined(place: int, several: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The union of intervals, and of the place itself."""
    spans = [(place, place + 1)]
    for one in several:
        spans += zip(one[::2], one[1::2], strict=True)
    spans.sort()
    joined: list[int] = []
    for begin, end in spans:
        if joined and begin <= joined[-1]:
            joined[-1] = max(joined[-1], end)
        else:
            joined += (begin, end)
    return tuple(joined)
