"""`decamp status`: one run, action by action."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.applying import Following, RunTable
from decamp.cli.base import run_argument
from decamp.model.run import RunReport


class Status(RunTable):
    """Show how far a run is, action by action; from any terminal"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser)
        parser.add_argument("--watch", action="store_true", help="follow it until it is over")
        return parser

    def reported(self, parsed_args: argparse.Namespace) -> RunReport:
        report = app.status(self.place, parsed_args.run)
        if not parsed_args.watch:
            return report
        with Following(self.err, len(report.actions)) as follow:
            return app.watch(self.place, parsed_args.run, follow)
