"""Writes docs/reference/states.md from the tables in model/run.py: `python tools/states.py > docs/reference/states.md`."""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
from collections.abc import Mapping

from decamp.model.run import ACTION_TRANSITIONS, RUN_TRANSITIONS, ActionState, RunState


def main() -> None:
    print("# States\n\nMade from the tables in `src/decamp/model/run.py` by `tools/states.py`.")
    _write("An action", ActionState, ACTION_TRANSITIONS)
    _write("A run", RunState, RUN_TRANSITIONS)


def _write(title: str, states: type[enum.StrEnum], transitions: Mapping[enum.StrEnum, frozenset[enum.StrEnum]]) -> None:
    print(f"\n## {title}\n\n```mermaid\nstateDiagram-v2")
    for state in states:
        for following in states:
            if following in transitions[state]:
                print(f"    {state} --> {following}")
    print("```\n\n| state | meaning |\n|---|---|")
    told = _docstrings(states)
    for state in states:
        print(f"| {state} | {told[state.name]} |")


def _docstrings(states: type[enum.StrEnum]) -> dict[str, str]:
    """Of the members: the string that follows each, which Python itself forgets."""
    body = ast.parse(inspect.getsource(states)).body[0].body  # type: ignore[attr-defined]
    told: dict[str, str] = {}
    for member, text in itertools.pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            told[member.targets[0].id] = " ".join(str(text.value.value).split())  # type: ignore[attr-defined]
    return told


if __name__ == "__main__":
    main()
