"""`decamp runs`: what was applied, and what came of it."""

from __future__ import annotations

import argparse
from typing import Any

from decamp import app
from decamp.cli.base import Lister
from decamp.cli.words import duration, seconds_between
from decamp.model.run import RunSummary

COLUMNS = ("Run", "Goal", "State", "Began", "Took", "Actions", "Then")


class Runs(Lister):
    """List runs, newest first"""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        return COLUMNS, [_row(run) for run in app.list_runs(self.place)]


def _row(run: RunSummary) -> tuple[Any, ...]:
    counts = ", ".join(f"{number} {state}" for state, number in run.actions.items())
    then = f"undone by {run.undone_by}" if run.undone_by else f"confirmed by {run.confirmed_by}" if run.confirmed_by else ""
    return run.id, run.goal["verb"], run.state.value, run.began_at, duration(seconds_between(run.began_at, run.ended_at)), counts, then
