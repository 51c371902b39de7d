"""Performers that do as a test tells them, and plans of a few actions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from decamp.model.effects import Attempt, Outcome, Performer
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.run.engine import Engine
from decamp.run.patience import Patience


class Clerk:
    """An in-memory performer: what is done stays done, and every call is written down. `when` runs inside the call of that name."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.there: dict[str, str] = {}
        """Mark -> id of what was made."""
        self.fingerprints: dict[str, str | None] = {}
        self.differences: dict[str, tuple[str, ...]] = {}
        self.when: dict[str, Callable[[Attempt], None]] = {}
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def fingerprint(self, action: Action) -> str | None:
        self.calls.append(f"fingerprint {action.id}")
        return self.fingerprints.get(action.id)

    def find(self, action: Action, attempt: Attempt) -> Outcome | None:
        self.calls.append(f"find {action.id}")
        self._meanwhile(f"find {action.id}", attempt)
        found = self.there.get(attempt.mark)
        return Outcome(id=found, said="found") if found else None

    def perform(self, action: Action, attempt: Attempt) -> Outcome:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.calls.append(f"perform {action.id}")
            self._meanwhile(f"perform {action.id}", attempt)
            self.there[attempt.mark] = f"new-{action.id}"
            self._meanwhile(f"performed {action.id}", attempt)
            return Outcome(id=f"new-{action.id}", fingerprint="fp", bytes=5, said=f"made {action.id}", facts={"was": action.id})
        finally:
            with self._lock:
                self.at_once -= 1

    def verify(self, action: Action, outcome: Outcome, attempt: Attempt) -> tuple[str, ...]:
        self.calls.append(f"verify {action.id}")
        self._meanwhile(f"verify {action.id}", attempt)
        return self.differences.get(action.id, ())

    def performed(self) -> list[str]:
        return [call.removeprefix("perform ") for call in self.calls if call.startswith("perform ")]

    def _meanwhile(self, call: str, attempt: Attempt) -> None:
        if call in self.when:
            self.when[call](attempt)


def failing(error: Exception, times: int = 1) -> Callable[[Attempt], None]:
    """Raises so many times, then lets pass."""
    left = [times]

    def fail(_attempt: Attempt) -> None:
        if left[0]:
            left[0] -= 1
            raise error

    return fail


def an_action(name: str, *after: str, **fields: Any) -> Action:
    return Action(**({"id": name, "verb": Verb.CREATE, "target": Ref("thing", name), "after": after} | fields))


def a_plan(*actions: Action, goal: Any = None) -> Plan:
    return Plan(goal=goal or VacateGoal(hosts=("h",)), made_from={}, actions=actions).sealed()


QUICK = Patience(first_seconds=0.01, longest_seconds=0.02, total_seconds=5, arrives_seconds=0)


class Desk:
    """A state database, a clerk, and new engines on both."""

    def __init__(self, url: str) -> None:
        self.url, self.clerk = url, Clerk()
        self.performers: dict[Verb, Performer] = dict.fromkeys(Verb, self.clerk)

    def engine(self, **options: Any) -> Engine:
        return Engine(self.url, self.performers, **({"patience": QUICK, "leave_seconds": 5.0} | options))
