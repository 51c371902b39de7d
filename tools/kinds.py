"""Writes docs/reference/kinds.md from what the kinds in src/decamp/resources declare: `python tools/kinds.py > docs/reference/kinds.md`."""

from __future__ import annotations

import inspect
import itertools

import docstrings
from decamp.resources import KINDS, Kind
from decamp.resources.attributes import Attribute, Fate


def main() -> None:
    print("# Kinds and their attributes\n\nMade from the `ATTRIBUTES` of each module in `src/decamp/resources` by `tools/kinds.py`.")
    print(
        "Attributes are called as the services call them. A test on real clouds finds every attribute of every answer in these tables, and"
    )
    print("finds that a copy which differs in a kept or mapped one is told to differ. `tools/verify.py` compares all of these by itself,")
    print("which another test holds against these tables.\n\n| word | what the copy has |\n|---|---|")
    for fate, meaning in docstrings.of_members(Fate).items():
        print(f"| {Fate[fate]} | {meaning} |")
    for kind in KINDS.values():
        _write(kind)


def _write(kind: Kind) -> None:
    print(f"\n## {kind.NAME}\n\n{_summary(kind)}")
    if not kind.ATTRIBUTES:
        return
    print("\n| attribute | | how, or why |\n|---|---|---|")
    for (fate, how), attributes in itertools.groupby(kind.ATTRIBUTES, key=lambda attribute: (attribute.fate, attribute.how)):
        print(f"| {', '.join(_shown(attribute) for attribute in attributes)} | {fate} | {how} |")


def _shown(attribute: Attribute) -> str:
    return f"`{attribute.name}`"


def _summary(kind: Kind) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


if __name__ == "__main__":
    main()
