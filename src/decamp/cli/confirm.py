"""`decamp confirm`: give up what a run has copied."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.applying import Applier
from decamp.cli.base import run_argument
from decamp.cli.planning import print_refusals
from decamp.model.chain import Chain


class Confirm(Applier):
    """Delete in the old cloud what a run has copied and verified; what others share stays"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser)
        return parser

    def reported(self, parsed_args: argparse.Namespace) -> Chain:
        plan = app.plan_confirm(self.place, parsed_args.run)
        print_refusals(plan, self.err)
        self.ask_about(plan, parsed_args)
        return self.apply(plan, allow_refusals=True)
