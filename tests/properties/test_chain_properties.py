"""Whatever fails and whenever: runs of a vacate that follow each other come to an end, free what can be freed, and tell the truth of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decamp.following import Means, follow
from decamp.model.accounts import exit_code, host_accounts, server_accounts, servers_of, unmoved
from decamp.model.chain import Chain, HostOutcome, Link, ServerOutcome
from decamp.model.documents import sha256
from decamp.model.plan import Action, Plan, VacateGoal, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.run import ActionReport, ActionState, Conclusion, Later, RunState
from decamp.model.setbacks import Failure, Setback
from decamp.model.survey import Survey
from decamp.planning.follow_up import rest
from decamp.planning.replay import replay
from decamp.planning.vacate import plan_vacate
from decamp.run.walking import Walk, Wave
from small_clouds import host, ran, server, survey

MOST_RUNS = 60
STATUS = {Verb.DISABLE_SERVICE: "disabled", Verb.ENABLE_SERVICE: "enabled"}
UNSEEN = Failure.SERVER_CHANGED
"""It has arrived all the same, and the run did not see it."""
Fails = Callable[[Action], Failure | None]


class World:
    """An old cloud in memory: runs of plans change it, and fail as they are told to."""

    def __init__(self, old: Survey, policy: Policy, fails: Fails) -> None:
        self.hosts, self.servers = {one.name: one for one in old.hosts}, {one.id: one for one in old.servers}
        self.policy, self.fails = policy, fails
        self.now = datetime.now(UTC) - timedelta(hours=5)
        self.unseen: set[str] = set()

    def survey(self) -> Survey:
        return survey(self.hosts.values(), self.servers.values())

    def plan(self, goal: VacateGoal, old: Survey) -> Plan:
        made = plan_vacate(old, self.policy, goal=goal, made_from={"old": sha256(old)})
        assert not replay(made, {"old": old}, self.policy)
        return made

    def run(self, plan: Plan, number: int) -> Link:
        walk = Walk(plan, {}, 50, Wave(hosts=self.policy.wave_hosts, share=self.policy.drain_share))
        actions, reports = {action.id: action for action in plan.actions}, dict[str, ActionReport]()
        while not walk.is_drained() and (begun := walk.begin()):
            for one in begun:
                reports[one] = self._do(actions[one])
                walk.end(one, reports[one].state)
                walk.blocked()
        skipped = {
            action.id: ActionReport(id=action.id, verb=action.verb, target=action.target, state=ActionState.SKIPPED, attempts=0)
            for action in plan.actions
        }
        told = (reports.get(action.id, skipped[action.id]) for action in plan.actions)
        return ran(plan, number, told, began_at=self.now.isoformat())

    def _do(self, action: Action) -> ActionReport:
        self.now += timedelta(seconds=1)
        name, failure = action.target.id, None
        if action.verb in {Verb.LIVE_MIGRATE, Verb.COLD_MIGRATE}:
            failure = self.fails(action)
            arrives = failure in {None, UNSEEN}
            change = {"status": "ERROR"} if failure is Failure.SERVER_ERROR else {"host": action.args["to"]} if arrives else {}
            self.servers[name] = msgspec.structs.replace(self.servers[name], **change)
            self.unseen |= {name} if failure is UNSEEN else set()
        elif action.verb is Verb.PROVE_EMPTY:
            assert name not in {one.host for one in self.servers.values()}
        elif action.verb is Verb.DELETE_SERVICE:
            del self.hosts[name]
        elif action.verb in STATUS:
            self.hosts[name] = msgspec.structs.replace(self.hosts[name], status=STATUS[action.verb])
        told = {"error": failure.value, "error_kind": "failed"} if failure else {}
        return ActionReport(
            id=action.id,
            verb=action.verb,
            target=action.target,
            state=ActionState.FAILED if failure else ActionState.DONE,
            attempts=1,
            started_at=self.now.isoformat(),
            ended_at=self.now.isoformat(),
            setback=Setback(failure=failure, servers=(name,), host=action.args["to"]) if failure else None,
            **told,
        )

    def chain(self, goal: VacateGoal) -> Chain:
        """All runs, from the first to the conclusion; of a run that never ends MOST_RUNS."""
        links, means = [self.run(self.plan(goal, self.survey()), 1)], Means(survey=self.survey, plan=self.plan, policy=self.policy)
        while len(links) < MOST_RUNS:
            what = follow(means, Chain(links=tuple(links)), lambda _said: None)
            if isinstance(what, Later):
                continue
            conclusion = what if isinstance(what, Conclusion) else what.conclusion
            if conclusion:
                links[-1] = with_report(links[-1], conclusion=conclusion)
            if isinstance(what, Conclusion):
                links[-1] = with_report(links[-1], concluded_at=self.now.isoformat(), whole=what.state)
                break
            links.append(self.run(what.plan, len(links) + 1))
        return Chain(links=tuple(links))


def with_report(link: Link, **fields: object) -> Link:
    return msgspec.structs.replace(link, report=msgspec.structs.replace(link.report, **fields))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Some small hosts and a large one, which everybody wants to go to and often nobody gets into."""
    random = Random(draw(st.integers(0, 10**6)))  # noqa: S311 repeatable
    count = draw(st.integers(2, 5))
    hosts = [host(f"h{number}") for number in range(count)] + [host("large", vcpus=64, memory_mib=65536)]
    servers = [
        server(f"s{number}{which}", f"h{number}", vcpus=random.choice((1, 2, 3)), memory_mib=1024)
        for number in range(count)
        for which in range(random.randint(1, 3))
    ]
    servers += [server(f"large{which}", "large", vcpus=4) for which in range(6)]
    is_open = draw(st.booleans())
    troubles = (Failure.ROLLED_BACK, Failure.ROLLED_BACK, Failure.STALLED, Failure.NO_VALID_HOST, Failure.SERVER_ERROR, UNSEEN)

    def fails(action: Action) -> Failure | None:
        if not is_open and "large" in {action.args["from"], action.args["to"]}:
            return Failure.ROLLED_BACK
        return random.choice(troubles) if random.random() < 0.25 else None

    policy = Policy(retry_seconds=0.0, wave_hosts=draw(st.sampled_from((1, 2, 50))), drain_share=draw(st.sampled_from((0.1, 1.0))))
    return World(survey(hosts, servers), policy, fails)


@given(worlds(), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_chain_ends_when_nothing_can_be_freed_any_more_and_its_accounts_are_true(world: World, by_name: bool) -> None:
    homes = {one.id: one.host for one in world.servers.values()}
    goal = VacateGoal(hosts=tuple(sorted(world.hosts))[:2]) if by_name else VacateGoal(max=True)
    chain = world.chain(goal)
    assert chain.conclusion, f"it goes on after {MOST_RUNS} runs"

    left = rest(chain, world.policy, datetime.now(UTC))
    if chain.conclusion.state is not RunState.DONE and left.hosts:
        asked = VacateGoal(hosts=left.hosts, among=not by_name, avoid=left.avoid, shun=left.shun, stay=left.stay)
        assert world.plan(asked, world.survey()).forecast.freed_hosts == ()

    for account in host_accounts(chain):
        assert (account.outcome is HostOutcome.FREED) == (account.host not in world.hosts)
    assert {one.status for one in world.hosts.values()} == {"enabled"}
    assert (exit_code(chain) == 0) == (set(chain.hosts) <= chain.freed)

    accounts = {account.server: account for account in server_accounts(chain)}
    for name, account in accounts.items():
        there = world.servers[name]
        assert account.host == there.host
        assert (account.outcome is ServerOutcome.HARMED) == (there.status == "ERROR")
        assert account.outcome is not ServerOutcome.MOVED or there.host != homes[name]
        assert account.text or account.outcome is ServerOutcome.MOVED
    at_home = {name for name in accounts if world.servers[name].host == homes[name]}
    assert at_home - world.unseen <= set(unmoved(chain, servers_of(chain))) <= at_home | world.unseen
    if by_name:
        sent = {action.args["to"] for link in chain.links for action in link.plan.actions if action.verb is Verb.LIVE_MIGRATE}
        assert not sent & set(goal.hosts)


def lets_nobody_in(action: Action) -> Failure | None:
    return Failure.ROLLED_BACK if action.args["to"] == "keep" else None


def test_a_host_that_takes_the_servers_of_another_is_given_back_by_a_run_before_that() -> None:
    servers = [server("s1", "h1"), server("s2", "h2"), server("k1", "keep"), server("k2", "keep")]
    world = World(survey([host("h1"), host("h2"), host("keep")], servers), Policy(retry_seconds=0.0, drain_share=1.0), lets_nobody_in)
    chain = world.chain(VacateGoal(max=True))
    (freed,) = chain.freed
    (kept,) = {"h1", "h2"} - chain.freed
    assert [link.plan.goal.among for link in chain.links][-1]  # type: ignore[union-attr]
    release = chain.links[-2].plan
    assert [(action.verb, action.target) for action in release.actions] == [(Verb.ENABLE_SERVICE, Ref("host", kept))]
    assert "take servers" in release.actions[0].why
    assert world.servers[f"s{freed[1:]}"].host == kept
