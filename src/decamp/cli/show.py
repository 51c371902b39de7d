"""`decamp show`: print a plan."""

from __future__ import annotations

import argparse

from decamp import files
from decamp.cli.base import plan_argument
from decamp.cli.planning import PlanTable
from decamp.model.plan import Plan


class Show(PlanTable):
    """Print a plan: its actions in one feasible order, its refusals, its forecast"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        plan_argument(parser)
        return parser

    def planned(self, parsed_args: argparse.Namespace) -> Plan:
        return files.read_plan(parsed_args.plan)
