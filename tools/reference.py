"""Write docs/reference/commands.md from the verbs themselves: `python tools/reference.py > docs/reference/commands.md`."""

from __future__ import annotations

import argparse
import sys

from cliff.lister import Lister

from decamp.cli.main import Decamp

HEAD = """# Commands

Made by `python tools/reference.py` from the commands themselves; a test holds it against them.

    decamp [--config FILE] VERB ...

Every listing takes `-f table|json|yaml|csv|value`, `-c COLUMN` (repeat for several), `--sort-column` and `--max-width`; they are marked
with *lists*. Messages and progress go to stderr, what was asked for to stdout.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | failed: the cloud answered that it could not; look at the cause, then resume |
| 2 | bad usage or bad input: a file, an id, the configuration, credentials |
| 3 | refused: the plan has refusals and --allow-refusals was not given, or a precondition does not hold |
| 4 | changed: what the plan was made from is no longer so; plan again |
| 5 | unreachable: a service does not answer; try again |
| 130 | interrupted with Ctrl-C; a run can be resumed |
"""
FORMATTING = {"output formatters", "table formatter", "json formatter", "CSV Formatter", "shell formatter", "value formatter"}


def main() -> None:
    app = Decamp()
    parts = [HEAD]
    for name, entry in app.command_manager:
        if name in {"help", "complete"}:
            continue
        command = entry.load()(app, None, cmd_name=name)
        parts.append(section(name, command.get_parser(f"decamp {name}"), command.get_description(), isinstance(command, Lister)))
    sys.stdout.write("\n".join(parts))


def section(name: str, parser: argparse.ArgumentParser, description: str, lists: bool) -> str:
    lines = [f"## decamp {name}", "", f"{description.strip()}.{' *Lists.*' if lists else ''}", ""]
    own = [
        action
        for group in parser._action_groups
        if (group.title or "") not in FORMATTING
        for action in group._group_actions
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction) and not _of_cliff(action)
    ]
    if own:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{_spelled(action)}` | {action.help} |" for action in own]
        lines.append("")
    return "\n".join(lines)


def _of_cliff(action: argparse.Action) -> bool:
    return bool({"--sort-column", "--sort-ascending", "--sort-descending", "--column", "--format"} & set(action.option_strings))


def _spelled(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else None
    if not action.option_strings:
        return metavar or action.dest
    value = (
        "" if action.nargs == 0 else " " + (metavar or ("\\|".join(map(str, action.choices)) if action.choices else action.dest.upper()))
    )
    return ", ".join(action.option_strings) + value


if __name__ == "__main__":
    main()
