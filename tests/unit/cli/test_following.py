"""What is drawn while a run goes on."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from decamp.cli.following import picture
from decamp.model.accounts import figures, host_accounts, server_accounts
from decamp.model.chain import Chain, HostOutcome, ServerOutcome
from decamp.model.plan import Action, Forecast, Plan, VacateGoal, Verb
from decamp.model.refs import Ref
from decamp.model.run import ActionReport, ActionState, RunState
from small_clouds import ran

GIB = 2**30


def chain(*states: ActionState, seconds: float = 60) -> Chain:
    """One host a server, each with a migration in one of these states that began a minute ago."""
    began = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    actions, reports = [], []
    for number, state in enumerate(states):
        host, server = Ref("host", f"h{number}"), Ref("server", f"s{number}")
        cordon = Action(id=f"disable/{host.id}", verb=Verb.DISABLE_SERVICE, target=host, args={"servers": [server.id]})
        args = {"from": host.id, "to": "keep", "bytes": 4 * GIB}
        move = Action(id=f"move/{server.id}", verb=Verb.LIVE_MIGRATE, target=server, args=args)
        actions += [cordon, move]
        ended = datetime.now(UTC).isoformat() if state is ActionState.DONE else None
        progress = (GIB, 4 * GIB) if state is ActionState.RUNNING else None
        reports += [
            ActionReport(id=cordon.id, verb=cordon.verb, target=host, state=ActionState.DONE, attempts=1),
            ActionReport(
                id=move.id, verb=move.verb, target=server, state=state, started_at=began, ended_at=ended, progress=progress, attempts=1
            ),
        ]
    plan = Plan(goal=VacateGoal(max=True), made_from={}, actions=tuple(actions), forecast=Forecast(seconds=120))
    return Chain(links=(ran(plan, 1, reports, state=RunState.RUNNING, began_at=began),))


def drawn(chain: Chain, lines: int) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(picture(chain, lines))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_figures_count_what_is_moved_and_what_is_on_its_way() -> None:
    told = figures(chain(ActionState.DONE, ActionState.RUNNING, ActionState.WAITING), datetime.now(UTC))
    assert (told.hosts_freed, told.hosts, told.servers_moved, told.servers) == (0, 3, 1, 3)
    assert (told.bytes, told.bytes_total) == (5 * GIB, 12 * GIB)
    assert 0.9 * 5 * GIB / 60 <= told.bytes_per_second <= 1.1 * 5 * GIB / 60
    # 5 of 12 parts took 60 s, and 120 s were forecast for all
    assert told.seconds_left is not None
    assert 70 <= told.seconds_left <= 84
    assert [one.id for one in told.in_flight] == ["move/s1"]


def test_nothing_is_measured_at_the_beginning_so_the_forecast_counts() -> None:
    assert figures(chain(ActionState.WAITING, seconds=0), datetime.now(UTC)).seconds_left == 120


def test_as_many_migrations_are_drawn_as_fit_and_the_rest_is_counted() -> None:
    lines = drawn(chain(*[ActionState.RUNNING] * 9), lines=4)
    assert "0 of 9 hosts free, 0 of 9 servers moved, 9 GiB of 36 GiB" in lines[0]
    assert len([line for line in lines if "move/s" in line]) == 4
    assert "1 GiB of 4 GiB" in lines[1]
    assert lines[-1] == "... and 5 actions more"


def test_every_host_and_server_is_under_way_until_the_chain_is_concluded() -> None:
    it = chain(ActionState.DONE, ActionState.FAILED)
    assert {one.outcome for one in host_accounts(it)} == {HostOutcome.UNDER_WAY}
    assert [one.outcome for one in server_accounts(it)] == [ServerOutcome.MOVED, ServerOutcome.UNDER_WAY]
