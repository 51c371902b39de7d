"""What the verbs that apply plans share: the question, what goes on, and what came of it, with those runs that follow as one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from decamp import app
from decamp.cli.base import Lister
from decamp.cli.following import Following
from decamp.cli.hidden import ask_hidden
from decamp.cli.planning import forecast, sentence
from decamp.cli.times import told as told_of
from decamp.cli.words import amount_of_bytes, duration, plural, seconds_between
from decamp.model import accounts
from decamp.model.chain import Chain, HostOutcome, ServerOutcome
from decamp.model.plan import Plan, Verb
from decamp.model.run import ActionReport, ActionState, RunState
from decamp.model.timing import ALWAYS, Schedule
from decamp.planning.hooks import commands

COLUMNS = ("Action", "Target", "State", "Took", "Bytes", "Said", "Run")
NEXT = {
    RunState.FAILED: "Look at what failed, then: decamp resume {run}   or: decamp undo {run}",
    RunState.CANCELLED: "To go on: decamp resume {run}   To take it back: decamp undo {run}",
    RunState.INTERRUPTED: "Nobody works on it. To go on: decamp resume {run}   (a `decamp worker` does so by itself)",
    RunState.RUNNING: "To follow it: decamp status {run} --watch   To stop it: decamp cancel {run}",
}


class RunTable(Lister):
    """Prints the actions of a run and of those that follow it as a table, and what came of all, and what to do next."""

    def reported(self, parsed_args: argparse.Namespace) -> Chain:
        raise NotImplementedError

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        self.the_chain = chain = self.reported(parsed_args)
        rows = [_row(action, link.report.id) for link in chain.links for action in link.report.actions if self.lists(chain, action)]
        alone = self._as_table and len(chain.links) == 1
        return (COLUMNS[:-1], [row[:-1] for row in rows]) if alone else (COLUMNS, rows)

    def lists(self, chain: Chain, action: ActionReport) -> bool:
        return True

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        chain = self.the_chain
        last = chain.last
        counts = ", ".join(f"{last.count(state)} {state}" for state in ActionState if last.count(state))
        told = "" if chain.hosts else f" {counts or 'nothing to do'};"
        amount = sum(link.report.bytes for link in chain.links)
        moved = f", {amount_of_bytes(amount)}" if amount else ""
        took = duration(seconds_between(chain.links[0].report.began_at, last.ended_at))
        self.out.print(f"\n[bold]Run {chain.id}[/]: {chain.state}.{told} {took}{moved}.")
        self._print_accounts(chain)
        if last.waits_until:
            self.out.print(f"It waits until {last.waits_until}.", markup=False)
        if chain.state in NEXT:
            self.out.print(NEXT[chain.state].format(run=chain.id), markup=False)
        elif last.goal["verb"] == "move" and last.goal.get("prepare"):
            said = "Its users have no passwords yet. When they can log in, they move the project themselves: decamp plan move"
            self.out.print(f"{said}   Else: decamp undo {chain.id}", markup=False)
        elif last.goal["verb"] == "move":
            self.out.print(
                "The old servers are stopped and locked. "
                f"When their owners are content: decamp confirm {chain.id}   Else: decamp undo {chain.id}",
                markup=False,
            )

    def _print_accounts(self, chain: Chain) -> None:
        """Every host and every server that the first plan was about, in sum; those that stay or came to harm by name, with the reason."""
        if not chain.hosts:
            return
        hosts, servers = accounts.host_accounts(chain), accounts.server_accounts(chain)
        told = [f"{count} {outcome}" for outcome in HostOutcome if (count := sum(one.outcome is outcome for one in hosts))]
        self.out.print(f"{plural(len(hosts), 'host')}: {', '.join(told)}.".replace("_", " "), markup=False)
        told = [f"{count} {outcome}" for outcome in ServerOutcome if (count := sum(one.outcome is outcome for one in servers))]
        if told:
            self.out.print(f"{plural(len(servers), 'server')}: {', '.join(told)}.".replace("_", " "), markup=False)
        if chain.conclusion and chain.conclusion.state is not RunState.DONE:
            self.out.print(chain.conclusion.text, markup=False)
        for one in hosts:
            if one.outcome in {HostOutcome.STAYS, HostOutcome.STAYS_DISABLED}:
                disabled = " (its compute service is disabled still)" if one.outcome is HostOutcome.STAYS_DISABLED else ""
                self.out.print(f"  host {one.host}{disabled}: {one.text}", markup=False)
        for one in servers:
            if one.outcome in {ServerOutcome.STAYS, ServerOutcome.HARMED}:
                where = f" on {one.host}" if one.host else ""
                self.out.print(f"  server {one.server}{where}: {one.text}", markup=False)


class Applier(RunTable):
    """Asks, applies, shows progress on stderr, prints the table, ends with the exit status of the whole."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--yes", action="store_true", help="do not ask")
        return parser

    def lists(self, chain: Chain, action: ActionReport) -> bool:
        """What is done, or taken up by a later run, went by on the screen already: the table for people has what is left to look at."""
        if not self._as_table or action.warning is not None:
            return True
        return not chain.hosts and action.state is not ActionState.DONE

    def ask_about(self, plan: Plan, parsed_args: argparse.Namespace, schedule: Schedule = ALWAYS) -> None:
        """Show what the plan comes to, and ask whether to apply it."""
        self.err.print(f"[bold]Plan {plan.id}[/]: {sentence(plan)}.")
        for line in forecast(plan):
            self.err.print(line, markup=False)
        for (when, command), servers in commands(plan).items():
            self.err.print(f"Runs your {when} on this machine, for {plural(servers, 'server')}: {command}", markup=False)
        for line in told_of(schedule):
            self.err.print(line, markup=False)
        removals = sum(1 for action in plan.actions if action.verb in {Verb.REMOVE, Verb.DELETE_SERVICE})
        if removals:
            self.err.print(f"[red]{plural(removals, 'thing')} will be deleted.[/]")
        self.ask("Apply it?", yes=parsed_args.yes)

    def apply(
        self,
        plan: Plan,
        *,
        allow_refusals: bool,
        concurrency: int | None = None,
        rate: int | None = None,
        schedule: Schedule = ALWAYS,
    ) -> Chain:
        ask_hidden(self.place, plan)
        with self.following() as follow:
            chain = app.apply(
                self.place,
                plan,
                concurrency=concurrency,
                rate=rate,
                schedule=schedule,
                allow_refusals=allow_refusals,
                begun=lambda run: self.err.print(f"Run [bold]{run}[/] (Ctrl-C is safe: `decamp resume {run}` goes on)"),
                on_event=follow.on_event,
                on_look=follow.on_look,
            )
        self.exit_code = accounts.exit_code(chain)
        return chain

    @contextmanager
    def following(self, done: frozenset[str] = frozenset()) -> Iterator[Following]:
        """Draws what goes on, but for what was `done` before. Ctrl-C leaves the run as it is, and says how to go on."""
        with Following(self.err, done) as follow:
            try:
                yield follow
            except KeyboardInterrupt:
                follow.stop()
                self.err.print("\nInterrupted. Nothing is lost: `decamp runs` lists the run, `decamp resume RUN` goes on with it.")
                if copies := app.copies_under_way(self.place):
                    going_on = f"{plural(copies, 'large image')} {'is' if copies == 1 else 'are'} still being copied"
                    self.err.print(f"{going_on}, beside it: `decamp resume RUN` takes that over, `decamp cancel RUN` ends it.")
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(130)  # a call to a cloud may still hang in a thread, which Python would wait for


def _row(action: ActionReport, run: str) -> tuple[Any, ...]:
    took = duration(seconds_between(action.started_at, action.ended_at)) if action.started_at else ""
    said = action.error or action.warning or action.said
    return action.verb.value, str(action.target), action.state.value, took, amount_of_bytes(action.bytes) if action.bytes else "", said, run
