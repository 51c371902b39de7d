"""`decamp undo`: take back what a run made."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.applying import Applier
from decamp.cli.base import run_argument
from decamp.cli.planning import print_refusals
from decamp.model.chain import Chain


class Undo(Applier):
    """Remove exactly what a run made in the new cloud, and start the old servers again; let hosts take servers again"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser)
        parser.add_argument("--move-back", action="store_true", help="of a vacate: migrate its servers back to hosts that are still there")
        return parser

    def reported(self, parsed_args: argparse.Namespace) -> Chain:
        with self.working("surveying") as report:
            plan = app.plan_undo(self.place, parsed_args.run, move_back=parsed_args.move_back, report=report)
        print_refusals(plan, self.err)
        self.ask_about(plan, parsed_args)
        return self.apply(plan, allow_refusals=True)
