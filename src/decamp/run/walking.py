"""Which actions may begin now: pure, deterministic, and the only place that knows `after`, locks within a run and the limits."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from decamp.model.errors import BadInput
from decamp.model.hooks import When
from decamp.model.limits import Move
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.run import ENDED, ActionState


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """When the rest of a vacate is planned anew, before its run is at its end."""

    hosts: int
    """After so many freed hosts."""
    share: float
    """When more than this share of the hosts cannot be freed as planned."""


def going_on(plan: Plan) -> frozenset[str]:
    """Actions that begin at any time: those that come after the stop of a server, or after the hook before it, so that no server is down
    until the next night."""
    going: set[str] = set()
    hooked = {action.target: action.id for action in plan.actions if action.args.get("hook") == When.BEFORE_STOP}
    stops = {hooked.get(action.target, action.id) for action in plan.actions if action.verb is Verb.STOP_SERVER}
    for action in plan.actions:
        if action.id not in stops and any(one in stops or one in going for one in action.after):
            going.add(action.id)
    return frozenset(going)


class Walk:
    """The walk over one plan. Told what ended and how, it says what to begin and what is to be skipped."""

    def __init__(
        self,
        plan: Plan,
        states: Mapping[str, ActionState],
        concurrency: int,
        wave: Wave | None = None,
        moves: Mapping[str, Move] | None = None,
        turns: Iterable[str] = (),
    ) -> None:
        """`states` of actions that are not waiting; running ones are taken for begun. `moves` begin when they have their turn: which one
        each action is a part of, and the names of those that have it."""
        self._actions = {action.id: action for action in plan.actions}
        self._position = {action.id: position for position, action in enumerate(plan.actions)}
        self._order = [action.id for action in plan.actions]
        self._concurrency = concurrency
        self._wave = wave if isinstance(plan.goal, VacateGoal) else None
        self._left = {action.target.id for action in plan.actions if action.verb is Verb.DELETE_SERVICE}
        self._hosts = len(self._left)
        self._broken: set[str] = set()
        self._dependents: dict[str, list[str]] = {one: [] for one in self._actions}
        self._waits_for: dict[str, int] = {}
        for action in plan.actions:
            before = set(action.after)
            self._waits_for[action.id] = len(before)
            for other in before:
                self._dependents[other].append(action.id)
        self.states = {one: states.get(one, ActionState.WAITING) for one in self._actions}
        self._locked: set[str] = set()
        self._parked: dict[str, list[int]] = {}
        """Lock -> positions of ready actions that wait for it to be released."""
        self._going_on = going_on(plan)
        self._held: list[int] = []
        """Positions of ready actions that may not begin at this time of the day."""
        self._moves = moves or {}
        self._turns = set(turns)
        self._queued: dict[str, list[int]] = {}
        """Move -> positions of its ready actions, which wait for its turn."""
        self._left_of = Counter(move.name for move in self._moves.values())
        """Move -> how many of its actions have not ended."""
        self._whole = dict(self._left_of)
        self._over: list[str] = []
        """Moves whose turns are over."""
        self._was_open = True
        self.running: set[str] = set()
        self._blocking = [one for one, state in self.states.items() if state in _BLOCKING]
        for one, state in self.states.items():
            if state is ActionState.RUNNING:
                self._hold(one)
            if state is ActionState.DONE:
                self._free_dependents(one)
            self._count(one, state)
        self._ready = [self._position[one] for one in self._actions if self._is_ready(one)]
        heapq.heapify(self._ready)

    @property
    def holds_back(self) -> bool:
        """Whether something could begin, but for the time of the day."""
        return bool(self._held)

    def begin(self, *, is_open: bool = True) -> list[str]:
        """Take what may begin now, in the order of the plan; it counts as running from here on.

        Where the schedule is not open, that is only what ends the outage of a server.
        """
        begun: list[str] = []
        if is_open:
            self._put_back(self._held)
        if is_open != self._was_open:
            self._was_open = is_open
            for positions in self._queued.values():
                self._put_back(positions)
            self._queued.clear()
        while self._ready and len(self.running) < self._concurrency:
            position = heapq.heappop(self._ready)
            one = self._order[position]
            if not is_open and one not in self._going_on:
                self._held.append(position)
                self._hand_back_turn(one)
                continue
            if (move := self._moves.get(one)) and move.name not in self._turns:
                self._queued.setdefault(move.name, []).append(position)
                continue
            taken = next((lock for lock in self._actions[one].locks if lock in self._locked), None)
            if taken is None:
                self.states[one] = ActionState.RUNNING
                self._hold(one)
                begun.append(one)
            else:
                self._parked.setdefault(taken, []).append(position)
        return begun

    def queued(self) -> dict[str, tuple[str, ...]]:
        """Move -> its actions that could begin if it had its turn, in the order of the plan."""
        by_place = sorted(self._queued.items(), key=lambda item: min(item[1]))
        return {move: tuple(self._order[position] for position in sorted(positions)) for move, positions in by_place}

    @property
    def room(self) -> int:
        """How many more actions may run at once."""
        return max(0, self._concurrency - len(self.running))

    def have_turns(self, moves: Iterable[str]) -> None:
        for move in moves:
            self._turns.add(move)
            self._put_back(self._queued.pop(move, []))

    def over(self) -> list[str]:
        """Moves whose turns have come to their end since this was asked last."""
        over, self._over = self._over, []
        return over

    def take(self, begun: Iterable[str]) -> list[str]:
        """Those that an attempt has begun, and that wait: where nothing more begins, it is found out still what became of them."""
        waiting = [one for one in begun if self.states[one] is ActionState.WAITING]
        for one in waiting:
            self.states[one] = ActionState.RUNNING
            self._hold(one)
        return waiting

    def end(self, one: str, state: ActionState) -> None:
        self.states[one] = state
        self.running.discard(one)
        for lock in self._actions[one].locks:
            self._locked.discard(lock)
            for position in self._parked.pop(lock, ()):
                heapq.heappush(self._ready, position)
        self._count(one, state)
        if state in _BLOCKING:
            self._blocking.append(one)
        if state is ActionState.DONE:
            for dependent in self._free_dependents(one):
                if self._is_ready(dependent):
                    heapq.heappush(self._ready, self._position[dependent])

    def blocked(self) -> list[str]:
        """Waiting actions with a failed, skipped or cancelled one before them, however far; they are skipped from here on."""
        todo, self._blocking = self._blocking, []
        skipped: list[str] = []
        while todo:
            for dependent in self._dependents[todo.pop()]:
                if self.states[dependent] is ActionState.WAITING:
                    self.states[dependent] = ActionState.SKIPPED
                    skipped.append(dependent)
                    todo.append(dependent)
                    self._count(dependent, ActionState.SKIPPED)
        return sorted(skipped, key=self._position.__getitem__)

    def is_drained(self) -> bool:
        """Whether nothing more should begin, since it is time to look at the cloud again and to plan the rest anew."""
        if self._wave is None or not self._left - self._broken:
            return False
        return self._hosts - len(self._left) >= self._wave.hosts or len(self._broken) > self._wave.share * self._hosts

    def _put_back(self, positions: list[int]) -> None:
        while positions:
            heapq.heappush(self._ready, positions.pop())

    def _hand_back_turn(self, one: str) -> None:
        """Of a move of which nothing has begun, and nothing may now."""
        move = self._moves.get(one)
        if move and move.name in self._turns and self._left_of[move.name] == self._whole[move.name] and not self._runs(move.name):
            self._turns.discard(move.name)
            self._over.append(move.name)

    def _runs(self, move: str) -> bool:
        return any(one in self._moves and self._moves[one].name == move for one in self.running)

    def _is_ready(self, one: str) -> bool:
        return self.states[one] is ActionState.WAITING and self._waits_for[one] == 0

    def _free_dependents(self, one: str) -> Iterable[str]:
        for dependent in self._dependents[one]:
            self._waits_for[dependent] -= 1
        return self._dependents[one]

    def _hold(self, one: str) -> None:
        self.running.add(one)
        self._locked.update(self._actions[one].locks)

    def _count(self, one: str, state: ActionState) -> None:
        """Which moves are over; which hosts are freed, and which cannot be freed any more: their last step comes after all others."""
        if state in ENDED and (move := self._moves.get(one)):
            self._left_of[move.name] -= 1
            if not self._left_of[move.name] and move.name in self._turns:
                self._turns.discard(move.name)
                self._over.append(move.name)
        action = self._actions[one]
        if action.verb is Verb.DELETE_SERVICE:
            if state is ActionState.DONE:
                self._left.discard(action.target.id)
            elif state in _BLOCKING:
                self._broken.add(action.target.id)


_BLOCKING = frozenset({ActionState.FAILED, ActionState.SKIPPED, ActionState.CANCELLED, ActionState.UNDONE})


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
