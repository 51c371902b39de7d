"""What the `plan` verbs and `show` share: a plan as a table, with what it says about itself above and below."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from decamp import files
from decamp.cli.base import Lister
from decamp.cli.words import amount_of_bytes, duration, plural
from decamp.model.findings import Finding
from decamp.model.plan import Action, Plan, Verb
from decamp.model.refs import Ref

COLUMNS = ("No", "Sign", "Action", "Target", "Change", "Why")
SHORT_COLUMNS = ("", "Action", "Target", "What, and why")
SYMBOLS = dict.fromkeys((Verb.REMOVE, Verb.DELETE_SERVICE), "-") | {Verb.ADOPT: "="}
SYMBOLS |= dict.fromkeys((Verb.CREATE, Verb.TAKE_MEMBER, Verb.ENROLL, Verb.SCALE_OUT), "+")
"""+ made, - deleted, = taken as it is; ~ changed is the rest."""


class PlanTable(Lister):
    """Prints a plan."""

    exit_code = 0

    def planned(self, parsed_args: argparse.Namespace) -> Plan:
        raise NotImplementedError

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        self.the_plan = self.planned(parsed_args)
        numbered = enumerate(self.the_plan.actions, 1)
        if not self._as_table:
            return COLUMNS, [_row(number, action) for number, action in numbered]
        names = {action.target: _name(action) for action in self.the_plan.actions if _name(action)}
        return SHORT_COLUMNS, [_short_row(number, action, names) for number, action in numbered]

    def before_table(self, parsed_args: argparse.Namespace) -> None:
        plan = self.the_plan
        self.out.print(f"[bold]Plan {plan.id}[/]: {sentence(plan)}")

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        print_refusals(self.the_plan, self.out)
        for line in forecast(self.the_plan):
            self.out.print(line, markup=False)


class PlanLister(PlanTable):
    """Makes a plan, writes it where it is told to, and prints it. Ends with 3 where nothing can be done."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("-o", "--output", type=Path, metavar="PLAN", help="file to write the plan to (.json or .json.zst)")
        return parser

    def plan(self, parsed_args: argparse.Namespace) -> Plan:
        raise NotImplementedError

    def planned(self, parsed_args: argparse.Namespace) -> Plan:
        plan = self.plan(parsed_args)
        if plan.refusals and not plan.actions:
            self.exit_code = 3
        if parsed_args.output:
            files.write(plan, parsed_args.output)
        return plan

    def after_table(self, parsed_args: argparse.Namespace) -> None:
        super().after_table(parsed_args)
        if parsed_args.output and self.the_plan.actions:
            self.out.print(f"\nWritten to {parsed_args.output}. Next: decamp apply {parsed_args.output}", markup=False)


def print_refusals(plan: Plan, console: Console) -> None:
    """All of them, with what would help."""
    if plan.refusals:
        console.print(f"\n[bold yellow]Refused[/] ({len(plan.refusals)}):")
    for refusal in plan.refusals:
        console.print(Text.assemble("  ", (refusal.reason.value, "yellow"), f"  {refusal.ref}: {refusal.text}"))


def print_findings(findings: tuple[Finding, ...], console: Console) -> None:
    """Of the preflight, what blocks first."""
    for finding in findings:
        word, style = ("blocks", "red") if finding.blocking else ("warning", "yellow")
        console.print(Text.assemble("  ", (word, style), f"  {finding.check}  {finding.ref}: {finding.text}"))


def sentence(plan: Plan) -> str:
    """What the plan is for."""
    goal = plan.goal.__class__.__name__.removesuffix("Goal").lower()
    return f"{goal}, {plural(len(plan.actions), 'action')}, {plural(len(plan.refusals), 'refusal')}"


def forecast(plan: Plan) -> list[str]:
    """The plan's forecast in words, only what there is to say."""
    told = plan.forecast
    lines: list[str] = []
    if told.freed_hosts:
        lines.append(f"Frees {plural(len(told.freed_hosts), 'host')}: {', '.join(told.freed_hosts)}.")
    if told.occupied_hosts:
        bound = f" (no plan can do with fewer than {told.occupied_hosts_lower_bound})" if told.occupied_hosts_lower_bound else ""
        lines.append(f"Hosts that stay occupied: {told.occupied_hosts}{bound}.")
    moves = [plural(told.migrations, "migration")] if told.migrations else []
    moves += [f"{plural(told.servers, 'server')} to the new cloud"] if told.servers else []
    moves += [amount_of_bytes(told.bytes)] if told.bytes else []
    moves += [f"about {duration(told.seconds)}"] if told.seconds else []
    if moves:
        lines.append(f"Moves: {', '.join(moves)}.")
    return ["", *lines] if lines else []


def short(target: Ref, name: str | None) -> str:
    """A target as people know it: its name with the beginning of its id, or the id alone."""
    return f"{target.kind} {name} ({target.id[:8]})" if name and name != target.id else str(target)


def _row(number: int, action: Action) -> tuple[Any, ...]:
    return number, SYMBOLS.get(action.verb, "~"), action.verb.value, str(action.target), _changes(action), action.why


def _short_row(number: int, action: Action, names: Mapping[Ref, str | None]) -> tuple[Any, ...]:
    notes = ". ".join(part for part in (_changes(action), action.why) if part)
    return number, f"{SYMBOLS.get(action.verb, '~')} {action.verb.value}", short(action.target, names.get(action.target)), notes


def _name(action: Action) -> str | None:
    resource = action.args.get("resource")
    return resource.get("name") if isinstance(resource, dict) else action.args.get("name")


def _changes(action: Action) -> str:
    return "; ".join(_change(name, before, after) for name, (before, after) in action.changes.items())


def _change(name: str, before: Any, after: Any) -> str:
    if after is None:
        return f"loses {before}" if name == "not_carried" else f"{name}: {before}, gone"
    return f"{name}: {'none' if before is None else before} -> {after}"
