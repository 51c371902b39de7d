"""What the verbs share: the configuration, documents by path, errors as sentences, a question before anything is touched."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cliff.command import Command as CliffCommand
from cliff.lister import Lister as CliffLister
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from decamp import files, settings
from decamp.model.errors import BadInput, Error
from decamp.model.rates import bytes_per_second
from decamp.model.survey import Survey

if TYPE_CHECKING:
    from decamp.bootstrap import Place
    from decamp.surveying import Report

PIPED_WIDTH = 160
"""Characters in a line where there is no terminal to fit."""


class Spoken:
    """Mixed into cliff's commands: every error of ours is one sentence on stderr and an exit status, never a traceback."""

    app: Any
    exit_code = 0
    """What a verb that went through, but found something, ends with."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)  # type: ignore[misc]
        parser.add_argument("--config", type=Path, metavar="FILE", default=None, dest="own_config", help=argparse.SUPPRESS)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        self._config = parsed_args.own_config or self.app.options.config
        try:
            return super().run(parsed_args) or self.exit_code  # type: ignore[misc]
        except Error as error:
            self.complain(error)
            return error.exit_code
        except BrokenPipeError:
            raise
        except Exception as error:
            if self.app.options.debug:
                raise
            self.err.print(
                f"[red]error:[/] a mistake in Decamp: {type(error).__name__}: {error}. Say --debug for the details, and please report it.",
                highlight=False,
            )
            return 1

    def complain(self, error: Error) -> None:
        self.err.print("[red]error:[/]", error.message, highlight=False, soft_wrap=True)

    @cached_property
    def place(self) -> Place:
        """What the configuration describes. Read, and the SDK imported, when it is first needed: `show` needs neither."""
        from decamp.bootstrap import Place

        return Place(settings.load(self._config))

    @contextmanager
    def working(self, title: str) -> Iterator[Report]:
        """A progress bar on stderr for as long as the block lasts; silent where stderr is no terminal."""
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=self.err, transient=True
        ) as bar:
            task = bar.add_task(title, total=None)

            def report(done: int, total: int, part: str) -> None:
                bar.update(task, completed=done, total=total, description=f"{title}: {part}")

            yield report

    @property
    def out(self) -> Console:
        return _console(self.app.stdout)

    @property
    def err(self) -> Console:
        """For progress and messages, so that stdout holds only what was asked for."""
        return _console(self.app.stderr)

    def ask(self, question: str, *, yes: bool) -> None:
        """Go on if the person agrees. Raises BadInput where nobody can be asked, and the person's refusal as one too."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise BadInput("There is nobody to ask: say --yes to go on without a question.")
        self.err.print(f"{question} [bold]\\[y/N][/] ", end="")
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise BadInput("Not done: you did not say yes. Nothing was touched.")


def _console(file: TextIO) -> Console:
    console = Console(file=file, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console


class Command(Spoken, CliffCommand):
    """A verb that does something."""


class Lister(Spoken, CliffLister):
    """A verb that prints a table that fits the terminal, or the same as json, yaml, csv or plain values."""

    @property
    def _as_table(self) -> bool:
        return isinstance(self.formatter, type(self._formatter_plugins["table"].obj))

    def produce_output(self, parsed_args: argparse.Namespace, column_names: Sequence[str], data: Iterable[Any]) -> int:
        if not self._as_table or parsed_args.columns or parsed_args.sort_columns:
            return super().produce_output(parsed_args, column_names, data)
        self.before_table(parsed_args)
        rows = [[Text("" if cell is None else str(cell)) for cell in row] for row in data]
        if rows:
            table = Table(*column_names, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
            for row in rows:
                table.add_row(*row)
            self.out.print(table)
        self.after_table(parsed_args)
        return 0

    def before_table(self, parsed_args: argparse.Namespace) -> None:
        """What people read above the table."""

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        """What people read below it."""


def survey_option(parser: argparse.ArgumentParser, option: str, cloud: str) -> None:
    parser.add_argument(option, type=Path, metavar="FILE", help=f"a survey of the {cloud} cloud, in place of asking it")


def read_survey(path: Path | None) -> Survey | None:
    return files.read_survey(path) if path else None


def plan_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", type=Path, metavar="PLAN", help="a plan's file, made by `decamp plan`")


def run_argument(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    parser.add_argument(
        "run", nargs="?" if optional else None, metavar="RUN", help="a run's id, or the beginning of it (`decamp runs` lists them)"
    )


def rate(text: str) -> int:
    """Bytes a second."""
    try:
        return bytes_per_second(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
