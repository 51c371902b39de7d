"""The real performers on the lab's clouds, for processes that die."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from decamp import settings
from decamp.bootstrap import Place
from decamp.model.effects import Performer
from decamp.model.plan import Verb

LONGEST_SECONDS = 600
"""Of one process: a whole effect on real clouds is in it, on a machine that has much else to do."""


def performers(configuration: Path, _midway: Callable[[str], None]) -> dict[Verb, Performer]:
    """As `decamp --config FILE apply` would have them."""
    return Place(settings.load(configuration)).performers()
