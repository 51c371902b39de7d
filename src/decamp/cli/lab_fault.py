"""`decamp lab fault`: let one compute host of the lab go wrong, to see how a drain deals with it."""

from __future__ import annotations

import argparse
from typing import Any

from decamp import lab
from decamp.cli.base import Lister
from decamp.cli.lab import folder_of, folder_option
from decamp.lab import machines
from decamp.lab.machines import Fault
from decamp.model.errors import BadInput

COLUMNS = ("Fault", "Value")


class FaultOf(Lister):
    """Let the hypervisor of one host of the lab go wrong from now on, or be well again; lists the faults that it has

    The kinds are Nova's own failure-injecting drivers and some more: docs/explanation/lab.md says what each does
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        folder_option(parser)
        parser.add_argument("host", metavar="HOST", help="compute host, of the old or the new cloud")
        parser.add_argument("kind", nargs="?", type=Fault, choices=list(Fault), metavar="KIND", help=f"one of {', '.join(Fault)}")
        parser.add_argument("--seconds", type=float, metavar="S", help=f"how long it takes, for {Fault.LIVE_MIGRATION_SLOW}")
        parser.add_argument("--clear", action="store_true", help="take this fault away, without KIND all of them")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        made, host, kind = lab.load(folder_of(parsed_args)), parsed_args.host, parsed_args.kind
        if (kind is Fault.LIVE_MIGRATION_SLOW and not parsed_args.clear) != (parsed_args.seconds is not None):
            raise BadInput(f"--seconds belongs to {Fault.LIVE_MIGRATION_SLOW}, and to that only.")
        faults = machines.faults_of(made, host)
        if parsed_args.clear:
            machines.set_faults(made, host, {name: value for name, value in faults.items() if kind not in {None, name}})
        elif kind:
            machines.set_faults(made, host, {**faults, kind: parsed_args.seconds or True})
        return COLUMNS, [(str(name), value) for name, value in machines.faults_of(made, host).items()]
