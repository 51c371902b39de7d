"""`decamp`: the program, its global options, and how it ends."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from cliff.app import App
from cliff.commandmanager import CommandManager

from decamp import __version__
from decamp.cli.verbs import VERBS


class Verbs(CommandManager):
    """The table of verbs: each module is imported when its verb is said, so that `decamp runs` does not wait for the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.commands = {name: EntryPoint(name, where, "decamp") for name, where in VERBS.items()}


class Decamp(App):
    """What every verb shares."""

    def __init__(self) -> None:
        super().__init__(
            description="Empty an old OpenStack cloud into a new one: its workloads first, its hardware after them.",
            version=__version__,
            command_manager=Verbs(),
            deferred_help=True,
        )

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: dict[str, Any] | None = None
    ) -> argparse.ArgumentParser:
        parser = super().build_option_parser(description, version, argparse_kwargs)
        parser.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            help="decamp.yaml to use (default: ./decamp.yaml, else ~/.config/decamp/decamp.yaml)",
        )
        return parser

    def configure_logging(self) -> None:
        """Messages go to stderr; libraries speak only with --debug."""
        super().configure_logging()
        if not self.options.debug:
            for library in ("openstack", "keystoneauth", "stevedore", "urllib3", "dbos", "sqlalchemy"):
                logging.getLogger(library).setLevel(logging.CRITICAL)


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit status: 0 done, 1 failed, 2 bad usage or input, 3 refused, 4 changed, 5 unreachable, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    return Decamp().run(argv or ["--help"])


if __name__ == "__main__":
    sys.exit(main())
