"""`decamp lab seed`: fill the lab's old cloud with tenants and their workloads."""

from __future__ import annotations

import argparse
import time
from typing import Any

from decamp import lab
from decamp.cli.base import Lister
from decamp.cli.lab import Steps, folder_of, folder_option
from decamp.cli.words import plural
from decamp.lab import seed
from decamp.lab.seed import Scenario
from decamp.model.errors import BadInput, Refused

COLUMNS = ("Tenant", "Servers", "Made now", "Project in the old cloud", "In the new cloud", "Configuration")


class Seed(Lister):
    """Fill the lab's old cloud with tenants: the same for the same number, and nothing twice when repeated

    Each tenant gets networks, security groups, volumes and servers with real bytes, spread over all hosts. Tenants that have a project in
    the new cloud too get a configuration of their own: try `decamp --config LAB/tenants/acme/decamp.yaml survey old`.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        folder_option(parser)
        parser.add_argument(
            "--seed",
            type=int,
            metavar="N",
            default=seed.DEFAULT_SEED,
            help=f"what names, sizes and places follow from (default: {seed.DEFAULT_SEED})",
        )
        parser.add_argument(
            "--tenants", type=int, metavar="N", help=f"how many, for the scenario {Scenario.MOVE} (default: {seed.DEFAULT_TENANTS})"
        )
        parser.add_argument(
            "--scenario",
            type=Scenario,
            choices=list(Scenario),
            default=Scenario.MOVE,
            metavar="S",
            help=f"{Scenario.MOVE}: tenants with all that a move has to carry (default); "
            f"{Scenario.VACATE}: six small servers for each host, in zones, groups and states, for which half of the hosts are enough",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        folder = folder_of(parsed_args)
        if silent := [f"{row.cloud} {row.service}" for row in lab.status(folder) if row.state == "down"]:
            raise Refused(f"The lab in {folder} is not up ({', '.join(silent)}): bring it up with `decamp lab up`.")
        if parsed_args.scenario is Scenario.VACATE and parsed_args.tenants is not None:
            raise BadInput(f"--tenants is for the scenario {Scenario.MOVE}: {Scenario.VACATE} has always the same tenants.")
        begun = time.monotonic()
        with Steps(self.err) as steps:
            tenants = seed.seed(
                lab.load(folder), number=parsed_args.seed, tenants=parsed_args.tenants, scenario=parsed_args.scenario, report=steps
            )
        made = sum(tenant.servers_made for tenant in tenants)
        self.err.print(f"The old cloud is seeded, {plural(made, 'server')} made, after {time.monotonic() - begun:.0f} s.", highlight=False)
        return COLUMNS, [
            (
                tenant.name,
                tenant.servers,
                tenant.servers_made,
                tenant.project,
                "yes" if tenant.in_new else "no",
                str(folder / "tenants" / tenant.name / "decamp.yaml") if tenant.in_new else str(folder / "decamp.yaml"),
            )
            for tenant in tenants
        ]
