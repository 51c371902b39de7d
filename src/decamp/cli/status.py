"""`decamp status`: one run with those that follow it, action by action, host by host, server by server, or in figures."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

import msgspec

from decamp import app
from decamp.cli.applying import RunTable
from decamp.cli.base import run_argument
from decamp.cli.following import Following, sentence
from decamp.model import accounts
from decamp.model.chain import Chain

PARTS = ("actions", "hosts", "servers", "figures")


class Status(RunTable):
    """Show how far a run is, with those that follow it; from any terminal"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        run_argument(parser)
        parser.add_argument("--watch", action="store_true", help="follow it until it is over")
        parser.add_argument(
            "--show",
            choices=PARTS,
            default="actions",
            help="every action (default); what became of each host, or of each server; or the figures: bytes, rate, remaining time",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        if parsed_args.show == "actions":
            return super().take_action(parsed_args)
        self.the_chain = chain = self.reported(parsed_args)
        match parsed_args.show:
            case "hosts":
                rows = [(one.host, one.outcome.value, one.run, one.text) for one in accounts.host_accounts(chain)]
                return ("Host", "Outcome", "Run", "Why"), rows
            case "servers":
                rows = [(one.server, one.outcome.value, one.host or "", one.reason, one.text) for one in accounts.server_accounts(chain)]
                return ("Server", "Outcome", "Host", "Reason", "Said"), rows
            case _:
                told = msgspec.to_builtins(accounts.figures(chain, datetime.now(UTC))) | {"waits_until": chain.last.waits_until}
                return ("Field", "Value"), list(told.items())

    def reported(self, parsed_args: argparse.Namespace) -> Chain:
        chain = app.status(self.place, parsed_args.run)
        if not parsed_args.watch:
            return chain
        with Following(self.err) as follow:
            return app.watch(self.place, parsed_args.run, follow.on_event, follow.on_look)

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        super().after_table(parsed_args)
        told = accounts.figures(self.the_chain, datetime.now(UTC))
        if told.hosts and not self.the_chain.last.concluded_at:
            self.out.print(sentence(self.the_chain, told) + ".", markup=False)
