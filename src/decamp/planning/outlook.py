"""What a vacate will cost and bring, and what no plan could undercut: each bound's proof stands in a docstring, and its name in the
forecast.
"""

# pyright: standard
from __future__ import annotations

import numpy as np

from decamp.model.plan import Forecast
from decamp.planning.constraints.scene import is_migration
from decamp.planning.pace import Pace
from decamp.planning.packing import NOWHERE, Packing
from decamp.planning.relaxation import Relaxation
from decamp.planning.steps import Steps

PROOFS = {
    "milp": "a whole-numbered program of all servers, poured by class into the kept hosts of each kind",
    "lp": "a linear program of which hosts are kept, all servers poured by class into what they have free",
    "sums": "sums over the cheapest or largest hosts",
    "timetable": "the busiest host's line, for these migrations",
}
"""How a bound was proved, by the name that the forecast has for it."""


TOLERANCE = 1e-6
"""Of a solver's optimum, as a share of it."""


def forecast(packing: Packing, relaxation: Relaxation, steps: Steps, *, pace: Pace) -> Forecast:
    """`relaxation` is of all hosts that the goal allows to free."""
    estate = packing.estate
    migrations = [action for action in steps.actions if is_migration(action)]
    final = np.array(packing.at, dtype=np.int64)
    moved = (final != estate.home) & (final != NOWHERE)
    proved: dict[str, str] = {}
    kept, proof = fewest_kept(relaxation, pace)
    occupied, proof_of_occupied = fewest_kept(relaxation, pace, spare=False) if relaxation.spare.is_wanted else (kept, proof)
    proved |= {"freed_hosts": proof, "occupied_hosts": proof_of_occupied}
    least, proved["bytes"] = fewest_bytes(relaxation, len(packing.freed), pace)
    proved["seconds"] = "timetable"
    occupied_anyway = sum(1 for number, on in enumerate(estate.on) if on and not relaxation.freeable[number])
    freeable = int(relaxation.freeable.sum())
    return Forecast(
        freed_hosts=tuple(estate.hosts[number].name for number in packing.freed),
        freed_hosts_upper_bound=freeable - kept,
        occupied_hosts=sum(1 for servers in packing.on if servers),
        occupied_hosts_lower_bound=occupied_anyway + occupied,
        migrations=len(migrations),
        bytes=int(estate.bytes[moved].sum()),
        bytes_lower_bound=least,
        seconds=round(steps.seconds, 1),
        seconds_lower_bound=round(steps.seconds_lower_bound, 1),
        proved_by=proved,
    )


def fewest_kept(relaxation: Relaxation, pace: Pace, *, spare: bool = True) -> tuple[int, str]:
    """No plan keeps fewer of the hosts that may be freed, and how that was proved.

    Without `spare`: no plan keeps fewer with servers on them; those that policy keeps for the failure of others may be empty.

    "milp": whatever a plan does, in the end each server that can move is on a kept host of a kind that suits it, or on its own; the
    servers on the kept hosts of a kind ask in sum for no more of any resource than these hosts have, less what stays there and less what
    is beyond the multiples of the least common measure of all demands. Those are the program's rows, so the plan's end is one of its
    points. "sums": each resource by itself, the largest hosts first.
    """
    found = relaxation.fewest_kept(spare=spare, seconds=pace.seconds_left())
    return (found, "milp") if found is not None else (relaxation.fewest_kept_by_sums(), "sums")


def fewest_bytes(relaxation: Relaxation, freed: int, pace: Pace) -> tuple[int, str]:
    """No plan that frees so many of them moves less, and how that was proved.

    "lp": a plan moves at least all that is on the hosts that it frees. What leaves them, and whatever else it moves, arrives on kept
    hosts of kinds that suit it; what arrives on the kept hosts of a sort, less what leaves them, asks in sum for no more than they have
    free. To leave a kept host costs at least what the lightest server of that class does. Let each host be kept to a fraction, and every
    plan is a point of the program. "sums": the hosts with the fewest bytes on them.
    """
    cheapest = int(np.sort(relaxation.bytes_leaving[relaxation.freeable])[:freed].sum())
    found = relaxation.propose(int(relaxation.freeable.sum()) - freed, seconds=pace.seconds_left()) if freed else None
    poured = 0 if found is None else int(found.bytes * (1 - TOLERANCE))
    return (poured, "lp") if poured > cheapest else (cheapest, "sums")
