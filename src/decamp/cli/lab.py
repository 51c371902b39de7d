"""`decamp lab up | status | down`: three real OpenStack clouds on this machine, to try Decamp on."""

from __future__ import annotations

import argparse
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from decamp import lab
from decamp.cli.base import Command, Lister
from decamp.lab import health, layout
from decamp.lab.layout import PORTS_USED
from decamp.lab.prepared import PRISTINE
from decamp.lab.progress import StepEvent, StepState
from decamp.model.errors import BadInput

COLUMNS = ("Cloud", "Service", "State", "Pid", "Port", "Detail")


class Steps:
    """Shows the steps of long work: what is done as lines, what goes on below them. Usable as a Report while entered."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, str]] = {}
        self._live = (
            Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Steps:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, event: StepEvent) -> None:
        with self._lock:
            if event.state is StepState.STARTED:
                self._running[event.step] = (time.monotonic(), "")
            elif event.state is StepState.NOTE:
                begun, _ = self._running.get(event.step, (time.monotonic(), ""))
                self._running[event.step] = (begun, event.text)
            else:
                self._running.pop(event.step, None)
                mark, style = ("✓", "green") if event.state is StepState.DONE else ("✗", "red")
                self._console.print(Text.assemble((f" {mark} ", style), event.step, (f"  {event.seconds:.1f} s", "dim")))

    def _render(self) -> Group:
        with self._lock:
            now = time.monotonic()
            lines = [
                Spinner("dots", Text.assemble(name, (f"  {now - begun:.0f} s  ", "dim"), (note, "cyan")), style="cyan")
                for name, (begun, note) in self._running.items()
            ]
        return Group(*lines)


def folder_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir",
        type=Path,
        metavar="FOLDER",
        help="the lab's folder (default: $DECAMP_LAB, else ~/.cache/decamp/lab; $XDG_CACHE_HOME is heeded)",
    )


def folder_of(parsed_args: argparse.Namespace) -> Path:
    return (parsed_args.dir or lab.default_folder()).absolute()


def size_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port-base",
        type=int,
        metavar="PORT",
        help=f"first of {PORTS_USED} ports on loopback, for a new lab (default: $DECAMP_LAB_PORTS, else the first free range)",
    )
    parser.add_argument(
        "--old-hosts", type=int, metavar="N", help=f"compute hosts of a new lab's old cloud (default: {lab.Settings().old_hosts})"
    )


def settings_of(parsed_args: argparse.Namespace, folder: Path) -> lab.Settings:
    """Those of the lab in `folder`, else those asked for. Raises BadInput for numbers that cannot be, or that the lab was not made with."""
    asked = {"port_base": parsed_args.port_base, "old_hosts": parsed_args.old_hosts}
    if layout.exists(folder):
        settings = lab.load(folder).settings
        differing = [name for name, value in asked.items() if value not in {None, getattr(settings, name)}]
        if differing:
            options = ", ".join(f"--{name.replace('_', '-')} {getattr(settings, name)}" for name in differing)
            raise BadInput(f"The lab in {folder} was made with {options}, which cannot be changed: say another --dir, or purge it first.")
        return settings
    named = os.environ.get("DECAMP_LAB_PORTS", "")
    if named and not named.isdigit():
        raise BadInput(f"DECAMP_LAB_PORTS is {named!r}: it must be a port number.")
    if asked["port_base"] is None:
        asked["port_base"] = int(named) if named else health.free_port_base()
    settings = lab.Settings(**{name: value for name, value in asked.items() if value is not None})
    if not 1024 <= settings.port_base <= 65000:
        raise BadInput(f"The port base {settings.port_base} is out of range: say one from 1024 to 65000.")
    if not 1 <= settings.old_hosts <= 60:
        raise BadInput(f"{settings.old_hosts} old hosts are out of range: say a number from 1 to 60.")
    return settings


class Up(Command):
    """Bring up the lab: an old cloud (2023.1), a new one (2026.2) and its undercloud

    The first time, Debian packages and two Python environments are installed and the clouds are prepared, which takes minutes; later it
    takes about one. What runs already is left alone. Nothing outside the lab's folder is changed, but for a bind mount that goes with
    `decamp lab down`.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        folder_option(parser)
        size_options(parser)
        parser.add_argument(
            "--fresh", action="store_true", help="put the clouds back to how they were prepared: everything made since is lost"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        folder = folder_of(parsed_args)
        settings = settings_of(parsed_args, folder)
        begun = time.monotonic()
        with Steps(self.err) as steps:
            made = lab.up(folder, settings, restore=PRISTINE if parsed_args.fresh else None, report=steps)
        self.err.print(f"The clouds old, new and undercloud are up after {time.monotonic() - begun:.0f} s.", highlight=False)
        self.err.print(f"Use them with: decamp --config {made.decamp_yaml} survey old", highlight=False, soft_wrap=True)


class Status(Lister):
    """List every service of the lab, with whether it really works"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        folder_option(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        rows = lab.status(folder_of(parsed_args))
        self.exit_code = 0 if all(row.state == "up" for row in rows) else 1
        return COLUMNS, [(row.cloud, row.service, row.state, row.pid, row.port, row.detail) for row in rows]


class Down(Command):
    """End everything that `lab up` started, and undo its mounts"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        folder_option(parser)
        parser.add_argument(
            "--purge", action="store_true", help="remove the lab's folder too; the Python environments that labs share stay"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        with Steps(self.err) as steps:
            lab.down(folder_of(parsed_args), purge=parsed_args.purge, report=steps)
