"""`decamp survey`: read a cloud, write down what is in it."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from decamp import app, files
from decamp.cli.base import Lister

COLUMNS = ("Kind", "Count", "Of which")


class Survey(Lister):
    """Read a cloud (old, new, undercloud, or any entry of clouds.yaml) and write a survey of it"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("cloud", metavar="CLOUD", help="old, new, undercloud, or an entry of clouds.yaml")
        parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write the survey to (.json or .json.zst)")
        parser.add_argument("--project", metavar="P", help="only this project: id or name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        with self.working(f"surveying {parsed_args.cloud}") as report:
            self.the_survey = app.survey(self.place, parsed_args.cloud, project=parsed_args.project, report=report)
        if parsed_args.output:
            files.write(self.the_survey, parsed_args.output)
        hosts = Counter(f"{host.state} and {host.status}" for host in self.the_survey.hosts)
        statuses = Counter(server.status for server in self.the_survey.servers)
        kinds = Counter(resource.kind for resource in self.the_survey.resources)
        rows: list[tuple[Any, ...]] = []
        if hosts:
            rows.append(("compute host", hosts.total(), _counts(hosts)))
        rows += [(kind, number, _counts(statuses) if kind == "server" else "") for kind, number in kinds.items()]
        return COLUMNS, rows

    def before_table(self, parsed_args: argparse.Namespace) -> None:
        survey = self.the_survey
        whose = f"project {survey.project}" if survey.project else "all projects"
        self.out.print(f"[bold]{survey.cloud}[/], {whose}, {survey.taken_at}")

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        for line in self.the_survey.incomplete:
            self.out.print("[yellow]not read:[/]", line)
        if parsed_args.output:
            self.out.print(f"Written to {parsed_args.output}", markup=False)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counter.most_common())
