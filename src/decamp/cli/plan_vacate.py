"""`decamp plan vacate`: which hosts of the old cloud can be freed, and where their servers go meanwhile."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from decamp import app
from decamp.cli.base import at_least_one, read_survey, survey_option
from decamp.cli.planning import PlanLister, print_findings
from decamp.cli.words import amount_of_bytes, duration
from decamp.model.errors import BadInput
from decamp.model.plan import Plan, VacateGoal


class PlanVacate(PlanLister):
    """Plan to free compute hosts of the old cloud by migrating their servers to the others"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--max", action="store_true", help="free as many hosts as possible (default)")
        which.add_argument("--hosts", type=at_least_one, metavar="N", help="free N hosts")
        which.add_argument("--host", action="append", default=[], metavar="H", help="free this host; repeat for several")
        which.add_argument("--curve", action="store_true", help="make no plan: tell what it costs to free one host, two, and so on")
        parser.add_argument("--plot", type=Path, metavar="FILE", help="with --curve: draw it as well, as .svg or .png")
        parser.add_argument("--keep-stopped", action="store_true", help="migrate no stopped server: policy says what becomes of them")
        parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="plan with what has been found by then")
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is tried in which order (default: 0)")
        survey_option(parser, "--survey", "old")
        survey_option(parser, "--old", "old")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        if not parsed_args.curve:
            if parsed_args.plot:
                raise BadInput("--plot draws what --curve tells: give both.")
            return super().take_action(parsed_args)
        if parsed_args.output:
            raise BadInput("--curve makes no plan that could be written: leave --output out.")
        with self.working("surveying") as report:
            points = app.vacate_curve(
                self.place,
                keep_stopped=parsed_args.keep_stopped,
                old=read_survey(parsed_args.survey or parsed_args.old),
                report=report,
                seconds=parsed_args.time_limit,
                seed=parsed_args.seed,
            )
        if parsed_args.plot:
            from decamp.cli.plotting import plot_curve

            plot_curve(points, parsed_args.plot)
        rows = [(one.hosts, one.migrations, one.bytes, one.bytes_lower_bound, one.seconds) for one in points]
        if self._as_table:
            rows = [
                (hosts, count, amount_of_bytes(moved), amount_of_bytes(least), duration(took)) for hosts, count, moved, least, took in rows
            ]
        return ("Hosts", "Migrations", "Bytes", "Bytes at least", "Seconds"), rows

    def plan(self, parsed_args: argparse.Namespace) -> Plan:
        goal = VacateGoal(
            hosts=tuple(parsed_args.host),
            count=parsed_args.hosts,
            max=parsed_args.hosts is None and not parsed_args.host,
            keep_stopped=parsed_args.keep_stopped,
        )
        old = read_survey(parsed_args.survey or parsed_args.old)
        with self.working("surveying") as report:
            plan = app.plan_vacate(self.place, goal, old=old, report=report, seconds=parsed_args.time_limit, seed=parsed_args.seed)
        self.findings = app.preflight(self.place, plan) if old is None else ()
        return plan

    def before_table(self, parsed_args: argparse.Namespace) -> None:
        if not parsed_args.curve:
            super().before_table(parsed_args)

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        if parsed_args.curve:
            if parsed_args.plot:
                self.out.print(f"Drawn in {parsed_args.plot}.", markup=False)
            return
        if self.findings:
            self.out.print("\n[bold]As the cloud is now:[/]")
            print_findings(self.findings, self.out)
        super().after_table(parsed_args)
