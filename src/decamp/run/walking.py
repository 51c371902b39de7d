"""Which actions may begin now: pure, deterministic, and the only place that knows `after`, locks within a run and the limit."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from decamp.model.errors import BadInput
from decamp.model.plan import Action, Plan
from decamp.model.run import ActionState


class Walk:
    """The walk over one plan. Told what ended and how, it says what to begin and what is to be skipped."""

    def __init__(self, plan: Plan, states: Mapping[str, ActionState], concurrency: int) -> None:
        """`states` of actions that are not waiting; running ones are taken for begun."""
        self._actions = {action.id: action for action in plan.actions}
        self._position = {action.id: position for position, action in enumerate(plan.actions)}
        self._concurrency = concurrency
        self._dependents: dict[str, list[str]] = {one: [] for one in self._actions}
        self._waits_for: dict[str, int] = {}
        for action in plan.actions:
            before = set(action.after)
            self._waits_for[action.id] = len(before)
            for other in before:
                self._dependents[other].append(action.id)
        self.states = {one: states.get(one, ActionState.WAITING) for one in self._actions}
        self._locked: set[str] = set()
        self.running: set[str] = set()
        for one, state in self.states.items():
            if state is ActionState.RUNNING:
                self._hold(one)
            if state is ActionState.DONE:
                self._free_dependents(one)
        self._ready = [self._position[one] for one in self._actions if self._is_ready(one)]
        heapq.heapify(self._ready)
        self._order = [action.id for action in plan.actions]

    def begin(self) -> list[str]:
        """Take what may begin now, in the order of the plan; it counts as running from here on."""
        begun: list[str] = []
        passed: list[int] = []
        while self._ready and len(self.running) < self._concurrency:
            position = heapq.heappop(self._ready)
            one = self._order[position]
            if self._locked.isdisjoint(self._actions[one].locks):
                self.states[one] = ActionState.RUNNING
                self._hold(one)
                begun.append(one)
            else:
                passed.append(position)
        for position in passed:
            heapq.heappush(self._ready, position)
        return begun

    def end(self, one: str, state: ActionState) -> None:
        self.states[one] = state
        self.running.discard(one)
        self._locked.difference_update(self._actions[one].locks)
        if state is ActionState.DONE:
            for dependent in self._free_dependents(one):
                if self._is_ready(dependent):
                    heapq.heappush(self._ready, self._position[dependent])

    def blocked(self) -> list[str]:
        """Waiting actions with a failed, skipped or cancelled one before them, however far; they are skipped from here on."""
        todo = [one for one, state in self.states.items() if state in _BLOCKING]
        skipped: list[str] = []
        while todo:
            for dependent in self._dependents[todo.pop()]:
                if self.states[dependent] is ActionState.WAITING:
                    self.states[dependent] = ActionState.SKIPPED
                    skipped.append(dependent)
                    todo.append(dependent)
        return sorted(skipped, key=self._position.__getitem__)

    def _is_ready(self, one: str) -> bool:
        return self.states[one] is ActionState.WAITING and self._waits_for[one] == 0

    def _free_dependents(self, one: str) -> Iterable[str]:
        for dependent in self._dependents[one]:
            self._waits_for[dependent] -= 1
        return self._dependents[one]

    def _hold(self, one: str) -> None:
        self.running.add(one)
        self._locked.update(self._actions[one].locks)


_BLOCKING = frozenset({ActionState.FAILED, ActionState.SKIPPED, ActionState.CANCELLED})


def check_graph(actions: tuple[Action, ...]) -> None:
    """Raises BadInput for ids that occur twice, orders after what is not there, and circles."""
    ids = [action.id for action in actions]
    if len(set(ids)) != len(ids):
        twice = sorted({one for one in ids if ids.count(one) > 1})
        raise BadInput(f"the plan has two actions with the id {twice[0]!r}")
    known = set(ids)
    for action in actions:
        for other in action.after:
            if other not in known:
                raise BadInput(f"the plan's action {action.id!r} comes after {other!r}, which is not in the plan")
    if circle := _in_circles(actions):
        raise BadInput(f"the plan's actions wait for each other in a circle: {', '.join(circle[:5])}")


def _in_circles(actions: tuple[Action, ...]) -> list[str]:
    """Ids of actions that can never begin: take away what waits for nothing, until nothing can be taken away."""
    left = {action.id: set(action.after) for action in actions}
    followers: dict[str, list[str]] = {one: [] for one in left}
    for one, before in left.items():
        for other in before:
            followers[other].append(one)
    free = [one for one, before in left.items() if not before]
    while free:
        one = free.pop()
        del left[one]
        for follower in followers[one]:
            left[follower].discard(one)
            if not left[follower]:
                free.append(follower)
    return sorted(left)
