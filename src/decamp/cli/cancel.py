"""`decamp cancel`: stop a run at the next safe point."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.base import Command, run_argument
from decamp.model.run import RunState


class Cancel(Command):
    """Ask a run to stop; what is done stays done, and `undo` takes it back"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        state = app.cancel(self.place, parsed_args.run)
        text = (
            "It is cancelled." if state is RunState.CANCELLED else "It was asked to stop: what goes on now ends or stops at a safe point."
        )
        self.out.print(text)
