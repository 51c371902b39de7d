"""`decamp runs`: what was applied, and what came of it."""

from __future__ import annotations

import argparse
from typing import Any

from decamp import app
from decamp.cli.base import Lister
from decamp.cli.words import duration, seconds_between
from decamp.model.run import ActionState, RunSummary

COLUMNS = ("Run", "Goal", "State", "Began", "Took", "Actions", "Waits until", "Then")


class Runs(Lister):
    """List runs, newest first; those that follow each other as one"""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        chains: dict[str, list[RunSummary]] = {}
        for run in app.list_runs(self.place):
            chains.setdefault(run.chain, []).append(run)
        return COLUMNS, [_row(sorted(runs, key=lambda run: run.began_at)) for runs in chains.values()]


def _row(runs: list[RunSummary]) -> tuple[Any, ...]:
    """What is done counts in all of them, what is not in the last only: it took up what the others left."""
    first, last = runs[0], runs[-1]
    done = sum(run.actions.get(ActionState.DONE, 0) for run in runs)
    actions = ({ActionState.DONE: done} if done else {}) | {
        state: number for state, number in last.actions.items() if state != ActionState.DONE
    }
    counts = ", ".join(f"{number} {state}" for state, number in actions.items())
    then = [f"followed by {', '.join(run.id for run in runs[1:])}"] if runs[1:] else []
    then += [f"undone by {first.undone_by}"] if first.undone_by else []
    then += [f"confirmed by {first.confirmed_by}"] if first.confirmed_by else []
    took = duration(seconds_between(first.began_at, last.ended_at))
    return first.id, first.goal["verb"], last.whole.value, first.began_at, took, counts, last.waits_until, "; ".join(then)
