"""`decamp assess`: what a move would mean for each server and application."""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any

import msgspec
from rich.text import Text

from decamp import app
from decamp.cli.base import Lister, at_least_one, read_survey, survey_option
from decamp.cli.words import amount_of_bytes, duration, plural
from decamp.model.plan import Refusal
from decamp.planning.assess import BYTES_A_SECOND, Subject

COLUMNS = (
    "Project", "Kind", "ID", "Name", "Servers", "Recommended", "Bytes", "Seconds", "Downtime seconds", "Disk bytes",
    "Saved bytes", "Saved disk bytes", "Manners",
)  # fmt: skip
SHORT_COLUMNS = ("What", "Servers", "Manners", "Bytes", "Time", "Downtime", "Disk", "Saves")

MIB = 1 << 20


class Assess(Lister):
    """For each server and application: the possible manners of moving it, what the best one costs, and what stands in the way"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--project", metavar="P", help="id or name in the old cloud (default: all that the credentials see)")
        parser.add_argument(
            "--rate",
            type=at_least_one,
            default=BYTES_A_SECOND // MIB,
            metavar="MIB",
            help="MiB a second between the clouds, which times are reckoned from (default: 100, a line of 1 Gbit/s)",
        )
        survey_option(parser, "--old", "old")
        survey_option(parser, "--new", "new")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        self.bytes_a_second = app.allowed_rate(self.place, parsed_args.rate * MIB)
        with self.working("surveying") as report:
            self.assessment = app.assess(
                self.place,
                project=parsed_args.project,
                bytes_a_second=self.bytes_a_second,
                old=read_survey(parsed_args.old),
                new=read_survey(parsed_args.new),
                report=report,
            )
        subjects = (*self.assessment.applications, *self.assessment.servers)
        if not self._as_table:
            return COLUMNS, [_row(subject) for subject in subjects]
        return SHORT_COLUMNS, [_short_row(subject) for subject in subjects]

    def before_table(self, parsed_args: argparse.Namespace) -> None:
        self.out.print("What each would cost by itself, in the first of its possible manners, which is the one to recommend.")

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        told = self.assessment
        self._print_refusals()
        total, saved = told.total, told.total_saved
        figures = (
            f"{amount_of_bytes(total.bytes)} over the network",
            f"about {duration(total.seconds)} at {self.bytes_a_second / MIB:.4g} MiB/s",
            f"{amount_of_bytes(total.disk_bytes)} of disk in the new cloud",
        )
        self.out.print(
            f"[bold]{told.movable} of {plural(len(told.servers), 'server')}[/] can move: {', '.join(figures)}. What they share counts once."
        )
        if saved.bytes or saved.disk_bytes:
            spared = f"{amount_of_bytes(saved.bytes)} over the network and {amount_of_bytes(saved.disk_bytes)} of disk"
            self.out.print(f"The recommended manners save {spared}. recreate starts root disks fresh from their images.")

    def _print_refusals(self) -> None:
        """Each once, with the servers that it concerns: what stands in the way, and what would help."""
        concerned: defaultdict[Refusal, list[str]] = defaultdict(list)
        for server in self.assessment.servers:
            refused = [way for way in server.ways if way.refusals]
            for way in refused if server.best else refused[:1]:  # where every manner is refused, it is mostly for the same reason
                for refusal in way.refusals:
                    concerned[refusal].append(f"{server.name or server.id}{f' ({way.manner})' if server.best else ''}")
        if concerned:
            self.out.print("[bold yellow]In the way[/]:")
        for refusal, servers in concerned.items():
            named = f"{', '.join(servers[:3])}{f' and {len(servers) - 3} more' if len(servers) > 3 else ''}"
            self.out.print(Text.assemble(f"  {named}: ", (refusal.reason.value, "yellow"), f"  {refusal.text}"))
        if concerned:
            self.out.print()


def _row(subject: Subject) -> tuple[Any, ...]:
    best = subject.best
    figures = (best.manner, best.bytes, best.seconds, best.downtime_seconds, best.disk_bytes) if best else (None,) * 5
    return (
        subject.project, subject.kind, subject.id, subject.name, subject.servers, *figures,
        subject.saved_bytes, subject.saved_disk_bytes, [msgspec.to_builtins(way) for way in subject.ways],
    )  # fmt: skip


def _short_row(subject: Subject) -> tuple[Any, ...]:
    best = subject.best
    what = f"{subject.kind.replace('_', ' ')} {subject.name or subject.id}"
    if best is None:
        return what, subject.servers, "refused" if subject.ways else "has moved", "", "", "", "", ""
    others = [way.manner for way in subject.ways if way.is_possible and way is not best]
    return (
        what,
        subject.servers,
        " > ".join((best.manner, *others)),
        amount_of_bytes(best.bytes),
        duration(best.seconds),
        duration(best.downtime_seconds) if best.downtime_seconds else "none",
        amount_of_bytes(best.disk_bytes),
        amount_of_bytes(subject.saved_bytes) if subject.saved_bytes else "",
    )
