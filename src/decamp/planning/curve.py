"""What it costs to free one host, two, and so on: the last ones are dear, and whoever decides how many wants to see that before."""

# pyright: standard
from __future__ import annotations

import msgspec
import numpy as np

from decamp.model.errors import Refused
from decamp.model.plan import VacateGoal
from decamp.model.policy import Policy
from decamp.model.survey import Survey
from decamp.planning import outlook
from decamp.planning.constraints.scene import is_migration
from decamp.planning.estate import Estate
from decamp.planning.pace import UNHURRIED, Pace
from decamp.planning.search import Search
from decamp.planning.vacate import may_be_freed, steps_of, unproved

MOST_POINTS = 25
"""Each is a plan of its own; of larger clouds so many numbers of hosts are tried, the largest among them."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The best plan found that frees so many hosts."""

    hosts: int
    migrations: int
    bytes: int
    bytes_lower_bound: int
    """No plan that frees so many moves less."""
    seconds: float


def vacate_curve(old: Survey, policy: Policy, *, keep_stopped: bool = False, pace: Pace = UNHURRIED, seed: int = 0) -> tuple[Point, ...]:
    """By number of hosts, from the fewest to as many as can be freed. Shorter where `pace` ends it.

    Raises Refused where the survey does not show every server, so that nothing can be proved empty.
    """
    if (refusal := unproved(old)) is not None:
        raise Refused(refusal.text)
    estate = Estate(old, policy, VacateGoal(max=True, keep_stopped=keep_stopped))
    search = Search(estate, may_be_freed(estate), seed=seed, pace=pace)
    most = search.as_many_as_possible()
    if most is None:
        return ()
    counts = np.unique(np.linspace(1, len(most.freed), min(MOST_POINTS, len(most.freed))).round().astype(int)).tolist()
    points: dict[int, Point] = {}
    for done, count in enumerate(counts):
        pace.report(done, len(counts), f"{count} hosts")
        packing = most if count == len(most.freed) else search.at_least(count)
        if packing is None or not packing.freed:
            continue
        ordered = steps_of(old, packing)
        freed = len(packing.freed)
        found = Point(
            hosts=freed,
            migrations=sum(1 for action in ordered.actions if is_migration(action)),
            bytes=search.bytes(packing),
            bytes_lower_bound=outlook.fewest_bytes(search.relaxation, freed, pace)[0],
            seconds=round(ordered.seconds, 1),
        )
        points[freed] = min((one for one in (points.get(freed), found) if one), key=lambda one: one.bytes)
    return tuple(points[freed] for freed in sorted(points))
