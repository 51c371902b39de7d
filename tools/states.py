"""Writes docs/reference/states.md from the tables in model/run.py: `python tools/states.py > docs/reference/states.md`."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import docstrings
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
    told = docstrings.of_members(states)
    for state in states:
        print(f"| {state} | {told[state.name]} |")


if __name__ == "__main__":
    main()
