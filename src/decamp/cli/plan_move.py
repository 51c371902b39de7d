"""`decamp plan move`: what it would take to carry a project's servers, and all that they need, to the new cloud."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.base import read_survey, survey_option
from decamp.cli.planning import PlanLister
from decamp.model.plan import MANNERS, Plan


class PlanMove(PlanLister):
    """Plan the move of a project, or of some of its servers, to the new cloud"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--project", metavar="P", help="id or name in the old cloud (default: the project of the credentials)")
        parser.add_argument("--server", action="append", default=[], metavar="S", help="id or name; repeat for several (default: all)")
        parser.add_argument(
            "--manner",
            choices=MANNERS,
            default="recreate",
            help="recreate: from the same base image, root disks start fresh; snapshot: with the root disks' contents (default: recreate)",
        )
        survey_option(parser, "--old", "old")
        survey_option(parser, "--new", "new")
        return parser

    def plan(self, parsed_args: argparse.Namespace) -> Plan:
        with self.working("surveying") as report:
            return app.plan_move(
                self.place,
                project=parsed_args.project,
                servers=tuple(parsed_args.server),
                manner=parsed_args.manner,
                old=read_survey(parsed_args.old),
                new=read_survey(parsed_args.new),
                report=report,
            )
