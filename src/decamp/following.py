"""What follows a run of a vacate that is over: look at the cloud again and plan the rest, wait, or leave the cloud clean and conclude."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from decamp.model.accounts import doubtful
from decamp.model.chain import Chain, FollowUp
from decamp.model.errors import Error, Unreachable
from decamp.model.plan import Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.run import Conclusion, Later, RunState
from decamp.model.survey import Survey
from decamp.planning.follow_up import Rest, cordoned, goal_of, may_gather, plan_release, refusals, rest, targets, with_cordons_lifted

Say = Callable[[str], None]


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """How the cloud is looked at, and how plans are made: as the commands do it."""

    survey: Callable[[], Survey]
    plan: Callable[[VacateGoal, Survey], Plan]
    policy: Policy


def follow(means: Means, chain: Chain, say: Say) -> FollowUp | Later | Conclusion:
    """Raises Unreachable; any other error ends the chain, and is told in its conclusion."""
    if chain.conclusion:
        return chain.conclusion
    if chain.freed >= frozenset(chain.hosts):
        return Conclusion(state=RunState.DONE, text="Every host that was to be freed is free.", where=_last_look(means, chain))
    if chain.last.cancel_asked_at:
        return _closing(chain, Conclusion(state=RunState.CANCELLED, text="It was cancelled."))
    try:
        return _plan_rest(means, chain, say)
    except Unreachable:
        raise
    except Error as error:
        text = f"The rest could not be planned: {error.message}"
        return _closing(chain, Conclusion(state=RunState.FAILED, text=text))


def _plan_rest(means: Means, chain: Chain, say: Say) -> FollowUp | Later | Conclusion:
    say("looks at the old cloud again")
    survey = means.survey()
    now = datetime.now(UTC)
    left = rest(chain, means.policy, now)
    refused = {refusal.ref: refusal for refusal in refusals(left)}
    if left.hosts:
        say(f"plans the rest: {len(left.hosts)} of {len(chain.hosts)} hosts")
        plan = means.plan(goal_of(chain, left), survey)
        if _frees(plan):
            return FollowUp(plan=plan)
        refused |= {refusal.ref: refusal for refusal in plan.refusals}
    if left.again_at:
        seconds = max(1.0, (left.again_at - now).total_seconds())
        return Later(seconds=seconds, text=f"waits until {left.again_at:%H:%M:%S} UTC, then tries again what failed")
    if may_gather(chain, left):
        say(f"looks which of {len(left.hosts)} hosts could take the servers of the others")
        gathered = _gather(means, chain, left, survey)
        if gathered.actions:
            return FollowUp(plan=gathered)
        refused |= {refusal.ref: refusal for refusal in gathered.refusals}
    text = f"{len(chain.freed)} of {len(chain.hosts)} hosts are free, and no plan can free another now."
    conclusion = Conclusion(state=RunState.FAILED, text=text, refusals=tuple(refused.values()), where=_where(chain, survey))
    return _closing(chain, conclusion)


def _gather(means: Means, chain: Chain, left: Rest, survey: Survey) -> Plan:
    """Of the hosts that are left some take the servers of others. Those that are to take them are given back first, by a run of its own."""
    goal = goal_of(chain, left, among=True)
    plan = means.plan(goal, with_cordons_lifted(chain, left, survey))
    if not _frees(plan):
        return plan
    if closed := targets(plan) & cordoned(chain):
        return plan_release(chain, closed, "is to take servers of other hosts that are left")
    return means.plan(goal, survey)


def _frees(plan: Plan) -> bool:
    return any(action.verb is Verb.DELETE_SERVICE for action in plan.actions)


def _closing(chain: Chain, conclusion: Conclusion) -> FollowUp | Conclusion:
    """Hosts that stay take servers again before the end."""
    release = plan_release(chain)
    return FollowUp(plan=release, conclusion=conclusion) if release.actions else conclusion


def _last_look(means: Means, chain: Chain) -> dict[str, str | None]:
    """Where the servers are that are in doubt. All is done: where the cloud refuses to tell, that is no failure. Raises Unreachable."""
    try:
        return _where(chain, means.survey()) if doubtful(chain) else {}
    except Unreachable:
        raise
    except Error:
        return {}


def _where(chain: Chain, survey: Survey) -> dict[str, str | None]:
    there = {server.id: server.host for server in survey.servers}
    return {server: there.get(server) for server in doubtful(chain)}
