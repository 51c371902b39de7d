"""The order of a plan: ids are unique, and `after` names actions that stand before, so that there are no cycles and nothing is missing."""

from __future__ import annotations

from collections.abc import Iterator

from decamp.model.plan import Plan
from decamp.planning.constraints.scene import Rule, Scene, Violation, destination, is_migration, source, whereto


def faults(plan: Plan) -> Iterator[Violation]:
    """What makes a plan no partial order. With any of these, no other rule can be asked."""
    known: set[str] = set()
    everything = {action.id for action in plan.actions}
    for action in plan.actions:
        if action.id in known:
            yield Violation(action=action.id, rule=Rule.ORDER, text=f"Two actions have the id {action.id}.")
        for name in action.after:
            if name not in everything:
                yield Violation(action=action.id, rule=Rule.ORDER, text=f"It comes after {name}, which is no action of the plan.")
            elif name not in known:
                text = f"It comes after {name}, which does not stand before it: the list is no feasible order, or runs in a circle."
                yield Violation(action=action.id, rule=Rule.ORDER, text=text)
        known.add(action.id)


def check_itinerary(scene: Scene, at: int) -> Iterator[Violation]:
    """A server is moved from where it is by then, and its moves are ordered."""
    action = scene.actions[at]
    moves = scene.moves.get(action.target.id, ())
    if at not in moves or action.target.id not in scene.servers:
        return
    earlier = moves[: moves.index(at)]
    here = whereto(scene.actions[earlier[-1]]) if earlier else scene.servers[action.target.id].host
    if source(action) != here:
        verb = "migrates" if is_migration(action) else "takes the server"
        yield scene.violation(at, Rule.ITINERARY, f"It {verb} from {source(action)}, and the server is on {here or 'no host'} by then.")
    if whereto(action) == source(action):
        yield scene.violation(at, Rule.ITINERARY, f"It migrates to {destination(action)}, where the server is already.")
    if earlier and not scene.precedes(earlier[-1], at):
        yield scene.violation(at, Rule.ITINERARY, f"It may run before {scene.actions[earlier[-1]].id}, which moves the same server.")
