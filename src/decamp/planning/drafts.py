"""Actions that know what they come after, put in order: for plans whose whole order says itself."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from decamp.model.plan import Action
from decamp.planning.ordering import reduced, topological

Draft = tuple[Action, set[str]]
"""An action, and the ids of all that it comes after. Ids that are no action's are passed over."""


def ordered(drafts: Collection[Draft]) -> tuple[Action, ...]:
    """The actions in a feasible order, by target and verb where there is a choice, each with its shortest `after`."""
    actions = {action.id: action for action, _ in drafts}
    after = {action.id: earlier for action, earlier in drafts}
    order = topological(after, rank=lambda one: (actions[one].target.kind, actions[one].target.id, actions[one].verb))
    direct = reduced(order, after)
    return tuple(msgspec.structs.replace(actions[one], after=direct[one]) for one in order)
