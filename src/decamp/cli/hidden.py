"""Asking at a terminal for what Heat hides: without an echo, and for this process alone."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Set

from decamp import app
from decamp.bootstrap import Place
from decamp.model.plan import Plan


def ask_hidden(place: Place, plan: Plan, done: Set[str] = frozenset()) -> None:
    """Nothing where nobody is there to answer: then `app` refuses what is not in the file."""
    if not sys.stdin.isatty():
        return
    for stack, parameter in app.hidden_values(place, plan, done):
        place.hidden.answer(stack, parameter, getpass.getpass(f"Stack {stack.name}: value of its parameter {parameter}: "))
