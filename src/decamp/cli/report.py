"""`decamp report`: what a run did, for people and machines."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from decamp import app, files
from decamp.cli.base import Lister, run_argument
from decamp.cli.page import page
from decamp.cli.words import amount_of_bytes, duration, plural
from decamp.model.errors import BadInput
from decamp.model.report import Item

COLUMNS = (
    "Project", "Kind", "ID", "Name", "Outcome", "New ID", "Proved", "Bytes", "Seconds", "Downtime seconds", "Changes", "Losses",
    "Why", "Error",
)  # fmt: skip
SHORT_COLUMNS = ("What", "Outcome", "Bytes", "Time", "Changed and lost", "Error")
ENDINGS = (".html", ".json")


class Report(Lister):
    """Tell what a run moved, what changed and was lost and why, bytes and times, per server and resource; tenants see their own"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser)
        parser.add_argument(
            "-o", "--output", type=Path, metavar="FILE", help="write it all to this file: one page (.html) or one document (.json)"
        )
        parser.add_argument(
            "--project", metavar="P", help="only what belongs to this project, to hand it to its owners: an id in the old cloud"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        if parsed_args.output and parsed_args.output.suffix not in ENDINGS:
            raise BadInput(f"{parsed_args.output}: a report is written as {' or '.join(ENDINGS)}, which the ending says")
        self.the_report = told = app.report(self.place, parsed_args.run, project=parsed_args.project)
        if parsed_args.output:
            as_json = msgspec.json.format(msgspec.json.encode(told)).decode() + "\n"
            files.write_text(page(told) if parsed_args.output.suffix == ".html" else as_json, parsed_args.output)
        if self._as_table:
            return SHORT_COLUMNS, [_short_row(item) for item in told.items]
        return COLUMNS, [_row(item) for item in told.items]

    def before_table(self, parsed_args: argparse.Namespace) -> None:
        told = self.the_report
        self.out.print(f"Run {told.run}: {told.verb}, {told.state}, began at {told.began_at}, took {duration(told.seconds)}", markup=False)

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        told = self.the_report
        counts = ", ".join(f"{count} {outcome}" for outcome, count in told.counts.items()).replace("_", " ")
        self.out.print(f"{plural(len(told.items), 'resource')}: {counts or 'none'}; {amount_of_bytes(told.bytes)}.", markup=False)
        for one in told.left:
            self.out.print(f"  not done: {one.kind} {one.id}, {one.reason}: {one.text}", markup=False)
        if parsed_args.output:
            self.out.print(f"Written to {parsed_args.output}", markup=False)


def _row(item: Item) -> tuple[Any, ...]:
    changes = [str(change) for change in item.changes if not change.is_loss]
    losses = [str(change) for change in item.changes if change.is_loss]
    return (
        item.project, item.kind, item.id, item.name, item.outcome.value, item.new_id, item.verified_at, item.bytes, item.seconds,
        item.downtime_seconds, changes, losses, item.why, item.error,
    )  # fmt: skip


def _short_row(item: Item) -> tuple[Any, ...]:
    return (
        f"{item.kind} {item.name or item.id}",
        item.outcome.replace("_", " "),
        amount_of_bytes(item.bytes) if item.bytes else "",
        duration(item.seconds) if item.seconds else "",
        "; ".join(map(str, item.changes)),
        item.error,
    )
