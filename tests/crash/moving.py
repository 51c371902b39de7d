"""Servers of a small world that are handed over one at a time, by policy."""

from __future__ import annotations

from pathlib import Path

import world

from decamp.model.plan import Action, MoveGoal, Plan, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref

policy = Policy(moves=1)
performers = world.performers


def example(folder: Path, servers: int = 2) -> Plan:
    """Fills the old world, and plans to stop each server and to copy it. All stops stand first in the plan, so that nothing but a limit
    keeps them apart."""
    there = world.World(folder)
    names = [f"s{number}" for number in range(1, servers + 1)]
    for name in names:
        there.write("old", name, {"host": "cmp-1", "status": "ACTIVE"})
    stops = [Action(id=f"stop_server/server/{name}", verb=Verb.STOP_SERVER, target=Ref("server", name)) for name in names]
    copies = [
        Action(id=f"create/server/{stop.target.id}", verb=Verb.CREATE, target=stop.target, after=(stop.id,), why="its copy")
        for stop in stops
    ]
    return Plan(goal=MoveGoal(project="p"), made_from={}, actions=(*stops, *copies)).sealed()
