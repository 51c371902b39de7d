"""`decamp resume`: go on with a run."""

from __future__ import annotations

import argparse

from decamp import app
from decamp.cli.applying import Applier
from decamp.cli.base import run_argument
from decamp.cli.hidden import ask_hidden
from decamp.model import accounts
from decamp.model.chain import Chain
from decamp.model.run import ActionState


class Resume(Applier):
    """Go on with a run that was interrupted, failed or cancelled; what is done is not done again"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser)
        parser.add_argument("--now", action="store_true", help="forget its times (--at, --between) and priority")
        return parser

    def reported(self, parsed_args: argparse.Namespace) -> Chain:
        last = app.status(self.place, parsed_args.run).links[-1]
        done = frozenset(action.id for action in last.report.actions if action.state is ActionState.DONE)
        ask_hidden(self.place, last.plan, done)
        with self.following(done) as follow:
            chain = app.resume(self.place, parsed_args.run, now=parsed_args.now, on_event=follow.on_event, on_look=follow.on_look)
        self.exit_code = accounts.exit_code(chain)
        return chain
