"""How far runs that follow each other have come, and what became of every host and every server: pure, so that all who ask see the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from decamp.model.chain import Chain, Figures, HostAccount, HostOutcome, InFlight, Link, ServerAccount, ServerOutcome
from decamp.model.errors import Failed, Refused
from decamp.model.plan import LEAVES_ITS_HOST, Action, Plan, Refusal, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionState, RunState
from decamp.model.setbacks import HARMFUL

OF_LATE_SECONDS = 60.0
"""What counts for the rate."""


def bytes_of(plan: Plan, action: Action) -> int:
    """What a migration is expected to move: as its arguments say, else its share of the plan's forecast."""
    if action.verb not in LEAVES_ITS_HOST:
        return 0
    told = action.args.get("bytes")
    return int(told) if told is not None else plan.forecast.bytes // max(1, plan.forecast.migrations)


def servers_of(chain: Chain) -> tuple[str, ...]:
    """Those that the first plan knew on the hosts that it was to free."""
    first = chain.links[0].plan
    known = [server for action in first.actions if action.verb is Verb.DISABLE_SERVICE for server in action.args.get("servers", ())]
    planned = [action.target.id for action in first.actions if action.verb in LEAVES_ITS_HOST]
    return tuple(dict.fromkeys((*known, *planned)))


def unmoved(chain: Chain, servers: Iterable[str]) -> tuple[str, ...]:
    """Those of which no action is done that got them off their host, or of which the last one brought them back there."""
    moves = _moves(chain)
    return tuple(server for server in servers if server not in moves)


def doubtful(chain: Chain) -> tuple[str, ...]:
    """Servers that came to harm, of which a migration failed, or that no run saw leave: only the cloud can say where they are."""
    failed = {
        one.target.id
        for link in chain.links
        for one in link.report.actions
        if one.verb in LEAVES_ITS_HOST and one.state is ActionState.FAILED
    }
    return tuple(sorted({*unmoved(chain, servers_of(chain)), *_harmed(chain), *failed}))


def exit_code(chain: Chain) -> int:
    """0 done; 1 where a server came to harm; 3 where the hosts that stay are refused; else as the last run's."""
    if _harmed(chain):
        return Failed.exit_code
    if chain.state is RunState.DONE:
        return 0
    refused = {one.ref for one in _last_refusals(chain)}
    staying = {Ref("host", host) for host in chain.hosts} - {Ref("host", host) for host in chain.freed}
    return Refused.exit_code if staying and staying <= refused else chain.last.exit_code or 1


def host_accounts(chain: Chain) -> tuple[HostAccount, ...]:
    """In the order of the first plan."""
    why = _last_words(chain)
    freed_by = {host: link.report.id for link in chain.links for host in link.done(Verb.DELETE_SERVICE)}
    tried_by = {
        action.target.id: link.report.id for link in chain.links for action in link.plan.actions if action.verb is Verb.DISABLE_SERVICE
    }
    disabled: frozenset[str] = frozenset()
    for link in chain.links:
        disabled = (disabled | link.tried(Verb.DISABLE_SERVICE)) - link.done(Verb.ENABLE_SERVICE)

    def account(host: str) -> HostAccount:
        if host in freed_by:
            return HostAccount(host=host, outcome=HostOutcome.FREED, run=freed_by[host])
        if not chain.last.concluded_at:
            return HostAccount(host=host, outcome=HostOutcome.UNDER_WAY, run=tried_by[host])
        outcome = HostOutcome.STAYS_DISABLED if host in disabled else HostOutcome.STAYS
        text = why.get(Ref("host", host), chain.conclusion.text if chain.conclusion else "")
        return HostAccount(host=host, outcome=outcome, run=tried_by[host], text=text)

    return tuple(map(account, chain.hosts))


def server_accounts(chain: Chain) -> tuple[ServerAccount, ...]:
    why, moves, came_from = _last_words(chain), _moves(chain), _came_from(chain)
    refused = {
        one.ref.id: one.reason.value for one in (*(one for link in chain.links for one in link.plan.refusals), *_last_refusals(chain))
    }
    found = chain.conclusion.where if chain.conclusion else {}
    harmed, freed = _harmed(chain), chain.freed

    def account(server: str) -> ServerAccount:
        host, move = came_from[server], moves.get(server)
        now = found.get(server, move[1] if move else None if host in freed else host)
        if server in harmed:
            return ServerAccount(server=server, outcome=ServerOutcome.HARMED, host=now, text=why.get(Ref("server", server), ""))
        if move and (now == move[1] or move[0] is not ServerOutcome.MOVED):
            return ServerAccount(server=server, outcome=move[0], host=move[1], text=move[2])
        if now is None:
            return ServerAccount(server=server, outcome=ServerOutcome.GONE, text="it left by itself")
        if now != host:
            return ServerAccount(server=server, outcome=ServerOutcome.MOVED, host=now, text="no run saw it arrive")
        if not chain.last.concluded_at:
            return ServerAccount(server=server, outcome=ServerOutcome.UNDER_WAY, host=host)
        text = why.get(Ref("server", server), chain.conclusion.text if chain.conclusion else "")
        return ServerAccount(server=server, outcome=ServerOutcome.STAYS, host=host, reason=refused.get(server, ""), text=text)

    return tuple(map(account, servers_of(chain)))


def figures(chain: Chain, now: datetime) -> Figures:
    servers, last = servers_of(chain), chain.links[-1]
    expected = [_expected(link.plan) for link in chain.links]
    moved = [_moved(link, one) for link, one in zip(chain.links, expected, strict=True)]
    under_way = {ActionState.WAITING, ActionState.RUNNING} if not last.report.concluded_at else set[ActionState]()
    left = sum(max(0, expected[-1][one.id] - moved[-1].get(one.id, 0)) for one in last.report.actions if one.state in under_way)
    until = datetime.fromisoformat(last.report.concluded_at) if last.report.concluded_at else now
    done = sum(sum(one.values()) for one in moved)
    return Figures(
        state=chain.state,
        doing=last.report.said,
        wave=len(chain.links),
        hosts_freed=len(chain.freed),
        hosts=len(chain.hosts),
        servers_moved=len(servers) - len(unmoved(chain, servers)),
        servers=len(servers),
        bytes=done,
        bytes_total=done + left,
        bytes_per_second=round(_rate(chain, moved, until), 1),
        seconds=_between(chain.links[0].report.began_at, until),
        seconds_left=_seconds_left(last, sum(expected[-1].values()), sum(moved[-1].values()), until),
        in_flight=tuple(
            InFlight(id=one.id, started_at=one.started_at, said=one.said, progress=one.progress, bytes=expected[-1][one.id])
            for one in last.report.actions
            if one.state is ActionState.RUNNING
        ),
    )


def _expected(plan: Plan) -> dict[str, int]:
    return {action.id: bytes_of(plan, action) for action in plan.actions}


def _moved(link: Link, expected: dict[str, int]) -> dict[str, int]:
    """Action -> bytes: as reported, else as expected where it is done; those of one that is under way as far as it tells."""
    moved: dict[str, int] = {}
    for one in link.report.actions:
        if one.verb not in LEAVES_ITS_HOST or one.id in link.gone:
            continue
        if one.state is ActionState.DONE:
            moved[one.id] = one.bytes or expected[one.id]
        elif one.state is ActionState.RUNNING and one.progress:
            moved[one.id] = one.progress[0]
    return moved


def _rate(chain: Chain, moved: list[dict[str, int]], now: datetime) -> float:
    """Bytes a second of late; each migration's are spread evenly over the time that it took."""
    total = 0.0
    for link, amounts in zip(chain.links[-2:], moved[-2:], strict=True):
        for one in link.report.actions:
            if one.started_at and (amount := amounts.get(one.id)):
                end = datetime.fromisoformat(one.ended_at) if one.ended_at else now
                ago = max(0.0, (now - end).total_seconds())
                total += amount * min(1.0, max(0.0, OF_LATE_SECONDS - ago) / max(0.001, _between(one.started_at, end)))
    return total / max(1.0, min(OF_LATE_SECONDS, _between(chain.links[0].report.began_at, now)))


def _seconds_left(link: Link, total: int, moved: int, now: datetime) -> float | None:
    """The more is done, the less the forecast counts against what was measured."""
    if link.report.whole is not RunState.RUNNING or link.report.ended_at or not link.report.actions:
        return None
    share = min(1.0, moved / total) if total else link.report.count(ActionState.DONE) / len(link.report.actions)
    took = _between(link.report.began_at, now)
    if share == 0:
        return round(max(0.0, link.plan.forecast.seconds - took), 1)
    return round((1 - share) * (took + (1 - share) * link.plan.forecast.seconds), 1)


def _between(begin: str, end: datetime) -> float:
    return max(0.0, (end - datetime.fromisoformat(begin)).total_seconds())


def _moves(chain: Chain) -> dict[str, tuple[ServerOutcome, str | None, str]]:
    """Server -> how it left its host by an action that is done, where it is now, and what was said; not of one that came back to it."""
    moves: dict[str, tuple[ServerOutcome, str | None, str]] = {}
    came_from = _came_from(chain)
    for link in chain.links:
        targets = {action.id: action.args.get("to") for action in link.plan.actions}
        for one in link.report.actions:
            if one.verb not in LEAVES_ITS_HOST or one.state is not ActionState.DONE:
                continue
            if one.id in link.gone:
                moves[one.target.id] = (ServerOutcome.GONE, None, one.said)
            elif one.verb is Verb.SHELVE:
                moves[one.target.id] = (ServerOutcome.SHELVED, None, one.said)
            else:
                moves[one.target.id] = (ServerOutcome.MOVED, targets[one.id], one.said)
    return {server: move for server, move in moves.items() if move[1] is None or move[1] != came_from.get(server)}


def _harmed(chain: Chain) -> frozenset[str]:
    """Servers of which the last migration did that."""
    harmed: set[str] = set()
    for link in chain.links:
        for one in link.report.actions:
            if one.verb in LEAVES_ITS_HOST and one.state is ActionState.DONE:
                harmed.discard(one.target.id)
            elif one.setback and one.setback.failure in HARMFUL:
                harmed |= set(one.setback.servers)
    return frozenset(harmed)


def _came_from(chain: Chain) -> dict[str, str]:
    """Server -> the host that the first plan found it on."""
    came_from: dict[str, str] = {}
    for action in chain.links[0].plan.actions:
        if action.verb is Verb.DISABLE_SERVICE:
            came_from.update(dict.fromkeys(action.args.get("servers", ()), action.target.id))
        elif action.verb in LEAVES_ITS_HOST:
            came_from.setdefault(action.target.id, action.args["from"])
    return came_from


def _last_words(chain: Chain) -> dict[Ref, str]:
    """What was said last against a host or a server: by an action that failed, or by a plan."""
    words: dict[Ref, str] = {}
    for link in chain.links:
        words.update({refusal.ref: refusal.text for refusal in link.plan.refusals})
        words.update({one.target: one.error for one in link.report.actions if one.state is ActionState.FAILED and one.error})
    return words | {refusal.ref: refusal.text for refusal in _last_refusals(chain)}


def _last_refusals(chain: Chain) -> tuple[Refusal, ...]:
    return chain.conclusion.refusals if chain.conclusion else ()
