"""`decamp apply`: do what a plan says, durably."""

from __future__ import annotations

import argparse

from decamp import files
from decamp.cli.applying import Applier
from decamp.cli.base import at_least_one, plan_argument, rate
from decamp.cli.times import schedule_of, schedule_options
from decamp.model.chain import Chain


class Apply(Applier):
    """Do exactly what a plan says; survives a crash (`decamp resume`)"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        plan_argument(parser)
        parser.add_argument(
            "--concurrency",
            type=at_least_one,
            metavar="N",
            help="actions at a time (default: policy.concurrency; a vacate: as many as it can)",
        )
        parser.add_argument(
            "--rate", type=rate, metavar="RATE", help="what migrations may take in total, such as 2GB/s (default: policy.migration_rate)"
        )
        schedule_options(parser)
        parser.add_argument("--allow-refusals", action="store_true", help="apply the rest of a plan that refuses something")
        return parser

    def reported(self, parsed_args: argparse.Namespace) -> Chain:
        plan = files.read_plan(parsed_args.plan)
        schedule = schedule_of(parsed_args)
        if not plan.refusals or parsed_args.allow_refusals:
            self.ask_about(plan, parsed_args, schedule)
        return self.apply(
            plan,
            allow_refusals=parsed_args.allow_refusals,
            concurrency=parsed_args.concurrency,
            rate=parsed_args.rate,
            schedule=schedule,
        )
