"""What is left of a vacate when a run of it is over: which hosts, and what that failed is tried elsewhere, later or not again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from decamp.model.chain import Chain
from decamp.model.plan import LEAVES_ITS_HOST, Action, Plan, Reason, Refusal, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.run import ActionReport, ActionState
from decamp.model.setbacks import HARMFUL, Failure, Retry
from decamp.model.survey import Survey

AT_ONCE = frozenset({Failure.SERVER_CHANGED, Failure.SERVER_CAME, Failure.WRONG_HOST})
"""Where a fresh look at the cloud is all that it takes: nothing has to pass first."""


class Trouble(msgspec.Struct, kw_only=True):
    """What went wrong with one server, or with one host itself."""

    times: int = 0
    error: str = ""
    avoid: tuple[str, ...] = ()
    """Hosts that Nova would not send it to."""
    never: bool = False
    again_at: datetime | None = None
    """Not before; null: at once."""


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    hosts: tuple[str, ...]
    """To be freed still, and worth another attempt now."""
    avoid: dict[str, tuple[str, ...]]
    shun: dict[str, str]
    """Host -> why nothing is sent there: as in the goal."""
    stay: dict[str, str]
    """Server -> why it is not tried, for good or for now: as in the goal."""
    kept: dict[str, str]
    """Host -> the same of a host of which a step failed."""
    again_at: datetime | None
    """When something may be tried that is not tried now."""


def rest(chain: Chain, policy: Policy, now: datetime) -> Rest:
    """Of what the first plan was to free, by what happened since somebody last asked for it."""
    troubles = _troubles(chain, policy)
    held = {ref: said for ref, one in sorted(troubles.items()) if (said := _holds_back(one, policy, now))}
    stay = {ref.id: said for ref, said in held.items() if ref.kind == "server"}
    kept = {ref.id: said for ref, said in held.items() if ref.kind == "host"}
    return Rest(
        hosts=tuple(host for host in chain.hosts if host not in chain.freed and host not in kept),
        avoid={ref.id: one.avoid for ref, one in sorted(troubles.items()) if one.avoid and ref not in held},
        shun=_shunned(chain),
        stay=stay,
        kept=kept,
        again_at=min(
            (one.again_at for ref, one in troubles.items() if one.again_at and ref in held and not _given_up(one, policy)), default=None
        ),
    )


def refusals(rest: Rest) -> tuple[Refusal, ...]:
    """Of what is not tried any more, for the last word on a vacate."""
    servers = (Refusal(ref=Ref("server", one), reason=Reason.MIGRATION_FAILED, text=f"{one} {said}") for one, said in rest.stay.items())
    hosts = (Refusal(ref=Ref("host", one), reason=Reason.HOST_NOT_FREE, text=f"{one} {said}") for one, said in rest.kept.items())
    return (*servers, *hosts)


def goal_of(chain: Chain, rest: Rest, *, among: bool = False) -> VacateGoal:
    """Nothing is asked for that the first plan did not show."""
    first = chain.links[0].plan.goal
    kept = isinstance(first, VacateGoal) and first.keep_stopped
    return VacateGoal(
        hosts=rest.hosts, among=among, keep_stopped=kept, follows=chain.last.id, avoid=rest.avoid, shun=rest.shun, stay=rest.stay
    )


def may_gather(chain: Chain, rest: Rest) -> bool:
    """Whether hosts that are left may take each other's servers: not those that somebody wants free by name."""
    first = chain.links[0].plan.goal
    return bool(rest.hosts) and isinstance(first, VacateGoal) and not first.hosts


def with_cordons_lifted(chain: Chain, rest: Rest, old: Survey) -> Survey:
    """The cloud as it were if the hosts that are cordoned were given back."""
    lifted = cordoned(chain) - rest.kept.keys()
    hosts = (msgspec.structs.replace(host, status="enabled") if host.name in lifted else host for host in old.hosts)
    return msgspec.structs.replace(old, hosts=tuple(hosts))


def targets(plan: Plan) -> frozenset[str]:
    """Hosts that it sends servers to."""
    return frozenset(action.args["to"] for action in plan.actions if action.verb in LEAVES_ITS_HOST and action.args.get("to"))


def cordoned(chain: Chain) -> frozenset[str]:
    """Hosts that the chain disabled and that are not free. One whose nova-compute is stopped does not count: it stays so."""
    disabled: frozenset[str] = frozenset()
    for link in chain.fresh:
        disabled = (disabled | link.tried(Verb.DISABLE_SERVICE)) - link.done(Verb.ENABLE_SERVICE)
    return disabled - frozenset(host for link in chain.fresh for host in link.done(Verb.STOP_COMPUTE)) - chain.freed


def plan_release(chain: Chain, hosts: Iterable[str] | None = None, why: str = "was cordoned to be freed, and stays") -> Plan:
    """Give back what is cordoned, of these hosts if they are given; without actions where there is nothing.

    What an operator disabled the performer leaves so.
    """
    kept = sorted(cordoned(chain) if hosts is None else cordoned(chain) & frozenset(hosts))
    return Plan(
        goal=VacateGoal(hosts=tuple(kept), follows=chain.last.id),
        made_from={"run": chain.last.id},
        actions=tuple(
            Action(
                id=f"{Verb.ENABLE_SERVICE}/host/{host}",
                verb=Verb.ENABLE_SERVICE,
                target=Ref("host", host),
                locks=(f"host:{host}",),
                changes={"status": ("disabled", "enabled")},
                why=f"{host} {why}.",
            )
            for host in kept
        ),
    ).sealed()


def _given_up(trouble: Trouble, policy: Policy) -> bool:
    return trouble.never or trouble.times >= policy.migration_attempts


def _holds_back(trouble: Trouble, policy: Policy, now: datetime) -> str | None:
    """Why it is not tried, for good or for now; null: it is."""
    if _given_up(trouble, policy):
        return f"was tried {'once' if trouble.times == 1 else f'{trouble.times} times'}, and is not tried again. {trouble.error}"
    if trouble.again_at and trouble.again_at > now:
        return f"is tried again later. {trouble.error}"
    return None


def _troubles(chain: Chain, policy: Policy) -> dict[Ref, Trouble]:
    troubles: dict[Ref, Trouble] = {}
    for link in chain.fresh:
        actions = {action.id: action for action in link.plan.actions}
        for report in link.report.actions:
            if report.state is ActionState.FAILED:
                _add(troubles.setdefault(report.target, Trouble()), actions[report.id], report, policy)
    return troubles


def _shunned(chain: Chain) -> dict[str, str]:
    """Targets that harmed a server, or that several servers did not get into, one after the other, where it was not for their source."""
    ended = [
        (report, action)
        for link in chain.fresh
        for report, action in zip(link.report.actions, link.plan.actions, strict=True)
        if report.verb in LEAVES_ITS_HOST and report.ended_at
    ]
    let_go: set[str] = set()
    against: dict[str, dict[str, str]] = {}
    """Target -> the servers that failed since one arrived there, and their sources."""
    shunned: dict[str, str] = {}
    for report, action in sorted(ended, key=lambda one: one[0].ended_at or ""):
        source, target = action.args["from"], action.args.get("to")
        if target is None:
            continue
        if report.state is ActionState.DONE:
            let_go.add(source)
            against.pop(target, None)
        elif report.state is ActionState.FAILED and report.setback:
            if report.setback.failure in HARMFUL:
                shunned[target] = f"what was sent there came to harm. {report.error}"
            elif report.setback.failure is Failure.ROLLED_BACK:
                against.setdefault(target, {})[report.target.id] = source
    for target, sources in against.items():
        if len(sources) > 1 and (len(set(sources.values())) > 1 or let_go & set(sources.values())):
            shunned.setdefault(target, f"{len(sources)} servers, one after the other, did not get in.")
    return dict(sorted(shunned.items()))


def _add(trouble: Trouble, action: Action, report: ActionReport, policy: Policy) -> None:
    trouble.times += 1
    trouble.error = report.error or ""
    trouble.again_at = None
    failure = report.setback.failure if report.setback else None
    retry = failure.retry if failure else _retry(report)
    to = (report.setback.host if report.setback else None) or action.args.get("to")
    if retry is Retry.NEVER:
        trouble.never = True
    elif retry is Retry.ELSEWHERE and to is not None and action.verb in LEAVES_ITS_HOST:
        trouble.avoid = tuple(sorted({*trouble.avoid, to}))
    elif failure not in AT_ONCE and report.error_kind != "changed" and report.ended_at:
        pause = policy.retry_seconds * 2 ** (trouble.times - 1)
        trouble.again_at = datetime.fromisoformat(report.ended_at) + timedelta(seconds=pause)


def _retry(report: ActionReport) -> Retry:
    """Of an error that does not say."""
    return Retry.LATER if report.error_kind in {"changed", "unreachable"} else Retry.ELSEWHERE
