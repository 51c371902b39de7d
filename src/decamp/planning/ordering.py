"""Orders: a deterministic topological one, and each step's shortest list of direct predecessors."""

from __future__ import annotations

import heapq
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
    ancestors: dict[Node, int] = {}  # bit sets over places
    direct: dict[Node, tuple[Node, ...]] = {}
    for node in order:
        kept: list[Node] = []
        known = 0
        for other in sorted((place[o] for o in set(after[node]) if o in place and o != node), reverse=True):
            if not known >> other & 1:
                predecessor = order[other]
                kept.append(predecessor)
                known |= ancestors[predecessor] | 1 << other
        ancestors[node] = known
        direct[node] = tuple(reversed(kept))
    return direct


def ancestors(after: Mapping[Node, Iterable[Node]]) -> dict[Node, frozenset[Node]]:
    """All that comes before each node, directly or not; the mapping has to be in a topological order."""
    found: dict[Node, frozenset[Node]] = {}
    for node, others in after.items():
        direct = [other for other in others if other in after]
        found[node] = frozenset(direct).union(*(found[other] for other in direct))
    return found
