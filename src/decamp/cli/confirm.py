"""`decamp confirm`: give up what a run has copied, or what all runs have that are due by policy."""

from __future__ import annotations

import argparse
from typing import Any

from decamp import app
from decamp.cli.applying import Applier
from decamp.cli.base import run_argument
from decamp.cli.planning import print_refusals
from decamp.model.chain import Chain
from decamp.model.due import DueRun
from decamp.model.errors import BadInput

DUE_COLUMNS = ("Run", "Project", "Outcome", "Verified", "Due", "Confirmed by", "Said")


class Confirm(Applier):
    """Delete in the old cloud what a run has copied and verified; what others share stays"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser, optional=True)
        parser.add_argument(
            "--due",
            action="store_true",
            help="in place of a run: all whose copies were proved policy.confirm_after_days ago; without a question, for a timer",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        if bool(parsed_args.run) == parsed_args.due:
            raise BadInput("Say either which RUN to confirm, or --due for all that are due by policy.")
        self.is_due = parsed_args.due
        if not self.is_due:
            return super().take_action(parsed_args)
        with self.following() as follow:

            def begun(run: str) -> None:
                follow.begin()
                self.err.print(f"Run [bold]{run}[/] (Ctrl-C is safe: `decamp resume {run}` goes on)")

            told = app.confirm_due(self.place, begun=begun, on_event=follow.on_event, on_look=follow.on_look)
        self.exit_code = next((one.exit_code for one in told if one.exit_code), 0)
        return DUE_COLUMNS, [_row(one) for one in told]

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        if not self.is_due:
            super().after_table(parsed_args)

    def reported(self, parsed_args: argparse.Namespace) -> Chain:
        plan = app.plan_confirm(self.place, parsed_args.run)
        print_refusals(plan, self.err)
        self.ask_about(plan, parsed_args)
        return self.apply(plan, allow_refusals=True)


def _row(one: DueRun) -> tuple[Any, ...]:
    return one.run, one.project, one.outcome.value, one.verified_at, one.due_at, one.confirmed_by, one.text
