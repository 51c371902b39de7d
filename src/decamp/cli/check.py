"""`decamp check`: replay a plan on surveys, in every order that it permits, and ask every checker at every step."""

from __future__ import annotations

import argparse
from typing import Any

from decamp import app, files
from decamp.cli.base import Lister, plan_argument, read_survey, survey_option
from decamp.cli.planning import print_findings
from decamp.cli.words import plural

COLUMNS = ("Action", "Rule", "Violation")


class Check(Lister):
    """Replay a plan step by step and list every rule that it would break"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        plan_argument(parser)
        survey_option(parser, "--survey", "old")
        survey_option(parser, "--old", "old")
        survey_option(parser, "--new", "new")
        survey_option(parser, "--undercloud", "undercloud")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        plan = files.read_plan(parsed_args.plan)
        given = {
            "old": read_survey(parsed_args.survey or parsed_args.old),
            "new": read_survey(parsed_args.new),
            "undercloud": read_survey(parsed_args.undercloud),
        }
        with self.working("surveying") as report:
            violations = app.check(self.place, plan, given, report=report)
        self.findings = app.preflight(self.place, plan) if given["old"] is None else ()
        self.verdict = (
            f"[red]Plan {plan.id} breaks rules[/]: {plural(len(violations), 'violation')}."
            if violations
            else f"[green]Plan {plan.id} replays clean[/]: {plural(len(plan.actions), 'action')}, in every order that it permits."
        )
        self.exit_code = 3 if violations or any(finding.blocking for finding in self.findings) else 0
        blocking = [(str(finding.ref), finding.check, finding.text) for finding in self.findings if finding.blocking]
        return COLUMNS, [*((violation.action, violation.rule, violation.text) for violation in violations), *blocking]

    def before_table(self, parsed_args: argparse.Namespace) -> None:
        self.out.print(self.verdict)
        print_findings(tuple(finding for finding in self.findings if not finding.blocking), self.out)
