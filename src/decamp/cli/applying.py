"""What the verbs that apply plans share: the question, live progress, and the table of what came of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from decamp import app
from decamp.cli.base import Lister
from decamp.cli.planning import forecast, sentence
from decamp.cli.words import amount_of_bytes, duration, plural, seconds_between
from decamp.model.plan import Plan, Verb
from decamp.model.run import ENDED, ActionReport, ActionState, RunReport, RunState

COLUMNS = ("Action", "Target", "State", "Took", "Bytes", "Said")
STYLES = {
    ActionState.DONE: ("✓", "green"),
    ActionState.FAILED: ("✗", "red"),
    ActionState.SKIPPED: ("-", "yellow"),
    ActionState.CANCELLED: ("-", "yellow"),
}
NEXT = {
    RunState.FAILED: "Look at what failed, then: decamp resume {run}   or: decamp undo {run}",
    RunState.CANCELLED: "To go on: decamp resume {run}   To take it back: decamp undo {run}",
    RunState.INTERRUPTED: "Nobody works on it. To go on: decamp resume {run}",
    RunState.RUNNING: "To follow it: decamp status {run} --watch   To stop it: decamp cancel {run}",
}


class RunTable(Lister):
    """Prints a run's actions as a table, and what to do next."""

    def reported(self, parsed_args: argparse.Namespace) -> RunReport:
        raise NotImplementedError

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        self.the_report = self.reported(parsed_args)
        return COLUMNS, [_row(action) for action in self.the_report.actions if self.lists(action)]

    def lists(self, action: ActionReport) -> bool:
        return True

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        report = self.the_report
        counts = ", ".join(f"{report.count(state)} {state}" for state in ActionState if report.count(state))
        took = duration(seconds_between(report.began_at, report.ended_at))
        moved = f", {amount_of_bytes(report.bytes)}" if report.bytes else ""
        self.out.print(f"\n[bold]Run {report.id}[/]: {report.state}. {counts or 'nothing to do'}; {took}{moved}.")
        if report.state in NEXT:
            self.out.print(NEXT[report.state].format(run=report.id), markup=False)
        elif report.goal["verb"] == "move":
            self.out.print(
                "The old servers are stopped and locked. "
                f"When their owners are content: decamp confirm {report.id}   Else: decamp undo {report.id}",
                markup=False,
            )


class Applier(RunTable):
    """Asks, applies, shows progress on stderr, prints the table, ends with the run's exit status."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--yes", action="store_true", help="do not ask")
        return parser

    def lists(self, action: ActionReport) -> bool:
        """Those that are done went by on the screen already: the table for people has what is left to look at."""
        return not self._as_table or action.state is not ActionState.DONE or action.warning is not None

    def ask_about(self, plan: Plan, parsed_args: argparse.Namespace) -> None:
        """Show what the plan comes to, and ask whether to apply it."""
        self.err.print(f"[bold]Plan {plan.id}[/]: {sentence(plan)}.")
        for line in forecast(plan):
            self.err.print(line, markup=False)
        removals = sum(1 for action in plan.actions if action.verb in {Verb.REMOVE, Verb.DELETE_SERVICE})
        if removals:
            self.err.print(f"[red]{plural(removals, 'thing')} will be deleted.[/]")
        self.ask("Apply it?", yes=parsed_args.yes)

    def apply(self, plan: Plan, *, concurrency: int | None, allow_refusals: bool) -> RunReport:
        with self.following(len(plan.actions)) as follow:
            report = app.apply(
                self.place,
                plan,
                concurrency=concurrency,
                allow_refusals=allow_refusals,
                begun=lambda run: self.err.print(f"Run [bold]{run}[/] (Ctrl-C is safe: `decamp resume {run}` goes on)"),
                on_event=follow,
            )
        self.exit_code = report.exit_code
        return report

    @contextmanager
    def following(self, total: int, done: frozenset[str] = frozenset()) -> Iterator[Following]:
        """Draws what goes on, but for what was `done` before. Ctrl-C leaves the run as it is, and says how to go on."""
        with Following(self.err, total, done) as follow:
            try:
                yield follow
            except KeyboardInterrupt:
                follow.stop()
                self.err.print("\nInterrupted. Nothing is lost: `decamp runs` lists the run, `decamp resume RUN` goes on with it.")
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(130)  # a call to a cloud may still hang in a thread, which Python would wait for


class Following:
    """A line for each action that ended, a bar for each that goes on, and one for all. Where stderr is no terminal: the lines only."""

    def __init__(self, console: Console, total: int, done: frozenset[str] = frozenset()) -> None:
        self._console = console
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(ratio=3, no_wrap=True)),
            BarColumn(table_column=Column(ratio=1)),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=True,
        )
        self._all = self._bars.add_task("[bold]all actions", total=total, completed=len(done), told="")
        self._ended = set(done)
        self._tasks: dict[str, TaskID] = {}
        self._total = total

    def __enter__(self) -> Following:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._bars.stop()

    def __call__(self, action: ActionReport) -> None:
        if action.state in ENDED:
            self._end(action)
        elif action.state is ActionState.RUNNING:
            self._draw(action)

    def _draw(self, action: ActionReport) -> None:
        if action.id not in self._tasks:
            self._tasks[action.id] = self._bars.add_task(f"{action.verb} {action.target}", total=None, told="")
        done, total = action.progress or (0, 0)
        told = f"{amount_of_bytes(done)} of {amount_of_bytes(total)}" if total > 1024 else action.said[:60]
        self._bars.update(self._tasks[action.id], completed=done, total=total or None, told=told)

    def _end(self, action: ActionReport) -> None:
        if action.id in self._ended:
            return
        self._ended.add(action.id)
        if action.id in self._tasks:
            self._bars.remove_task(self._tasks.pop(action.id))
        mark, style = STYLES[action.state]
        took = f"  {duration(seconds_between(action.started_at, action.ended_at))}" if action.started_at else ""
        said = action.error or action.said or str(action.target)
        line = Text.assemble((f" {mark} ", style), (f"{action.verb} ", "bold"), said, (took, "dim"))
        self._console.print(line, soft_wrap=not self._console.is_terminal)
        self._bars.update(self._all, completed=len(self._ended), told=f"{len(self._ended)} of {self._total}")


def _row(action: ActionReport) -> tuple[Any, ...]:
    took = duration(seconds_between(action.started_at, action.ended_at)) if action.started_at else ""
    said = action.error or action.warning or action.said
    return action.verb.value, str(action.target), action.state.value, took, amount_of_bytes(action.bytes) if action.bytes else "", said
