"""`decamp plan expand`: take freed machines into the new cloud."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.base import read_survey, survey_option
from decamp.cli.planning import PlanLister
from decamp.model.plan import Plan


class PlanExpand(PlanLister):
    """Plan to enroll freed machines in the undercloud and to scale out the new cloud's Compute role"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--host", action="append", required=True, metavar="H", help="machine to take, by name; repeat for several")
        survey_option(parser, "--old", "old")
        survey_option(parser, "--new", "new")
        survey_option(parser, "--undercloud", "undercloud")
        return parser

    def plan(self, parsed_args: argparse.Namespace) -> Plan:
        with self.working("surveying") as report:
            return app.plan_expand(
                self.place,
                hosts=tuple(parsed_args.host),
                old=read_survey(parsed_args.old),
                new=read_survey(parsed_args.new),
                undercloud=read_survey(parsed_args.undercloud),
                report=report,
            )
