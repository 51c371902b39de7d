"""`decamp lab demo`: the whole circle once, on the lab."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from decamp.cli.base import Command, at_least_one
from decamp.cli.lab import folder_of, folder_option
from decamp.cli.words import amount_of_bytes, duration, plural
from decamp.lab import demo
from decamp.lab.demo import Hosts, Result, Told


class Demo(Command):
    """Go round the circle once: set up, move a tenant, free hosts, take their machines into the new cloud, prove it

    Begins with a fresh lab: everything made in it before is lost. Every command is printed before it is run, and can be typed by hand.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        folder_option(parser)
        parser.add_argument("--hosts", type=at_least_one, metavar="N", help="free N hosts (default: as many as possible)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        out = self.out

        def tell(told: Told) -> None:
            if told.title:
                out.print()
                out.print(Rule(Text(told.title, style="bold cyan"), align="left", style="cyan"))
            else:
                out.print(Text.assemble(("\n$ ", "green"), (told.command, "bold")))
            out.file.flush()

        _show(out, demo.play(folder_of(parsed_args), hosts=parsed_args.hosts, tell=tell))


def _show(out: Console, result: Result) -> None:
    out.print()
    clouds = Table(title="Hosts", title_justify="left", title_style="bold")
    for column in ("Cloud", "Hosts before", "Hosts after", "Servers before", "Servers after"):
        clouds.add_column(column, justify="left" if column == "Cloud" else "right")
    for before, after in zip(result.before, result.after, strict=True):
        change = f"{len(after.hosts)} ({len(after.hosts) - len(before.hosts):+d})"
        clouds.add_row(before.cloud, str(len(before.hosts)), change, _on_hosts(before), _on_hosts(after))
    out.print(clouds)
    steps = Table(title="Steps", title_justify="left", title_style="bold", show_footer=True)
    steps.add_column("Step", footer="All")
    steps.add_column("Time", justify="right", footer=duration(sum(step.seconds for step in result.steps)))
    for step in result.steps:
        steps.add_row(step.title, duration(step.seconds))
    out.print(steps)
    moved = plural(result.recreated + result.carried, "server")
    out.print(
        f"{result.tenant} moved: {moved} ({result.recreated} recreated, {result.carried} with their disks), "
        f"{amount_of_bytes(result.moved_bytes)} from cloud to cloud."
    )
    out.print(f"Freed and taken over: {', '.join(result.freed)}, after {plural(result.migrations, 'migration')}.")
    out.print(
        f"The lab took at most {amount_of_bytes(result.peak_memory_bytes)} of memory and {amount_of_bytes(result.disk_bytes)} of disk."
    )
    out.print("[green]Verified.[/] The clouds are still up: `decamp lab status`, `decamp lab down`.")


def _on_hosts(hosts: Hosts) -> str:
    return f"{hosts.servers} on {plural(hosts.occupied, 'host')}"
