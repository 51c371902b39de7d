"""`decamp plan vacate`: which hosts of the old cloud can be freed, and where their servers go meanwhile."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.base import at_least_one, read_survey, survey_option
from decamp.cli.planning import PlanLister, print_findings
from decamp.model.plan import Plan, VacateGoal


class PlanVacate(PlanLister):
    """Plan to free compute hosts of the old cloud by migrating their servers to the others"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--max", action="store_true", help="free as many hosts as possible (default)")
        which.add_argument("--hosts", type=at_least_one, metavar="N", help="free N hosts")
        which.add_argument("--host", action="append", default=[], metavar="H", help="free this host; repeat for several")
        survey_option(parser, "--survey", "old")
        survey_option(parser, "--old", "old")
        return parser

    def plan(self, parsed_args: argparse.Namespace) -> Plan:
        goal = VacateGoal(
            hosts=tuple(parsed_args.host),
            count=parsed_args.hosts,
            max=parsed_args.hosts is None and not parsed_args.host,
        )
        old = read_survey(parsed_args.survey or parsed_args.old)
        with self.working("surveying") as report:
            plan = app.plan_vacate(self.place, goal, old=old, report=report)
        self.findings = app.preflight(self.place, plan) if old is None else ()
        return plan

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        if self.findings:
            self.out.print("\n[bold]As the cloud is now:[/]")
            print_findings(self.findings, self.out)
        super().after_table(parsed_args)
