"""Runs whose moves have their turns, one after the other, on DBOS in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clerk import Desk, a_plan, failing
from test_scheduling import GOAL, Clock, until

from decamp.model.effects import Attempt
from decamp.model.errors import Failed
from decamp.model.limits import Limits, Move
from decamp.model.plan import Action, Plan, Verb
from decamp.model.policy import Policy
from decamp.model.refs import Ref
from decamp.model.run import ActionState, RunState
from decamp.model.timing import Schedule, Window
from decamp.run import journal, schema, turns, workers
from decamp.run.database import Database, open_database
from decamp.run.runs import open_runs

ONE = Policy(moves=1, concurrency=4)


def of_server(verb: Verb, server: str, *after: str, **args: object) -> Action:
    return Action(id=f"{verb} {server}", verb=verb, target=Ref("server", server), after=after, args=args)


def hand_over(server: str, project: str = "p", host: str = "h") -> list[Action]:
    resource = {"kind": "server", "id": server, "project": project, "info": {"host": host}}
    return [
        of_server(Verb.STOP_SERVER, server),
        of_server(Verb.CREATE, server, f"stop_server {server}", resource=resource),
        of_server(Verb.LOCK_SERVER, server, f"create {server}"),
    ]


def moving(*servers: str) -> Plan:
    return a_plan(*[action for server in servers for action in hand_over(server)], goal=GOAL)


class Watch:
    """Which servers are being moved, told by their first and last actions."""

    def __init__(self, desk: Desk, *servers: str) -> None:
        self.moving: set[str] = set()
        self.most = 0
        self._lock = threading.Lock()
        for server in servers:
            desk.clerk.when[f"perform stop_server {server}"] = self._begins(server)
            desk.clerk.when[f"verify lock_server {server}"] = self._ends(server)

    def _begins(self, server: str) -> Callable[[Attempt], None]:
        def begins(_attempt: Attempt) -> None:
            with self._lock:
                self.moving.add(server)
                self.most = max(self.most, len(self.moving))

        return begins

    def _ends(self, server: str) -> Callable[[Attempt], None]:
        def ends(_attempt: Attempt) -> None:
            with self._lock:
                self.moving.discard(server)

        return ends


@pytest.fixture
def database(desk: Desk) -> Iterator[Database]:
    database = open_database(desk.url, create=True)
    assert database
    yield database
    database.close()


def rows(database: Database) -> dict[str, str]:
    """Move -> run, of all that have their turn."""
    with database.reading() as connection:
        return {row.name: row.run for row in connection.execute(schema.turns.select())}


def said(desk: Desk, run: str, action: str) -> str:
    with open_runs(desk.url) as runs:
        return next(one.said for one in runs.report(run).actions if one.id == action)


def test_one_server_after_the_other_is_moved_though_more_could_be_and_what_waits_says_so(desk: Desk, database: Database) -> None:
    watch = Watch(desk, "a", "b", "c")
    told: set[str] = set()
    with desk.engine(policy=ONE) as engine:
        report = engine.wait(engine.begin(moving("a", "b", "c")), lambda action: told.add(f"{action.id}: {action.said}"))
    assert report.state is RunState.DONE
    assert watch.most == 1
    assert desk.clerk.performed() == [action.id for action in moving("a", "b", "c").actions]
    assert "stop_server b: waits for its turn: 1 server is moved at a time (policy.moves)" in told
    assert rows(database) == {}


def test_runs_that_share_turns_and_have_one_place_each_do_not_wait_for_each_other_for_ever(desk: Desk, database: Database) -> None:
    """With a place for one action each, a move that waits for its turn must not take it from one that has it."""
    servers = [f"{run}{number}" for run in "ab" for number in range(3)]
    watch, few = Watch(desk, *servers), Policy(moves=2, concurrency=1)
    runs: list[str] = []
    for three in (servers[:3], servers[3:]):
        with desk.engine(policy=few, clock=Clock("2026-11-28T21:00:00Z")) as engine:
            runs.append(engine.begin(moving(*three), schedule=Schedule(not_before="2026-11-28T22:00:00Z")))
    stop = threading.Event()
    with desk.engine(policy=few, clock=Clock("2026-11-28T22:00:00Z")) as worker:
        thread = threading.Thread(target=worker.serve, args=(stop,))
        thread.start()
        until(lambda: all(worker.runs.report(run).state is RunState.DONE for run in runs), seconds=60)
        stop.set()
        thread.join(timeout=20)
    assert watch.most == 2
    assert rows(database) == {}


def test_a_server_whose_move_failed_gives_its_turn_to_the_next(desk: Desk, database: Database) -> None:
    desk.clerk.when["perform create a"] = failing(Failed("no"), times=10)
    with desk.engine(policy=ONE) as engine:
        run = engine.begin(moving("a", "b"))
        report = engine.wait(run)
        assert (report.state, report.count(ActionState.DONE)) == (RunState.FAILED, 4)
    assert rows(database) == {}
    del desk.clerk.when["perform create a"]
    with desk.engine(policy=ONE) as engine:
        engine.resume(run)
        assert engine.wait(run).state is RunState.DONE


def test_a_cancel_is_heard_while_moves_wait(desk: Desk, database: Database) -> None:
    held = threading.Event()
    desk.clerk.when["perform stop_server a"] = lambda _: until(held.is_set)
    with desk.engine(policy=ONE) as engine:
        run = engine.begin(moving("a", "b"))
        until(lambda: said(desk, run, "stop_server b"))
        engine.cancel(run)
        held.set()
        report = engine.wait(run)
    assert report.state is RunState.CANCELLED
    assert "stop_server b" not in desk.clerk.performed()
    assert rows(database) == {}


def interrupted(desk: Desk) -> str:
    """A run whose process ended when it had stopped a server."""
    reached, leave = threading.Event(), threading.Event()

    def stays(attempt: Attempt) -> None:
        reached.set()
        until(leave.is_set)
        raise Failed("too late")

    desk.clerk.when["perform create a"] = stays
    with desk.engine(policy=ONE) as engine:
        run = engine.begin(moving("a"))
        until(reached.is_set)
        threading.Timer(0.5, leave.set).start()
    del desk.clerk.when["perform create a"]
    return run


def test_an_interrupted_run_keeps_its_turn_and_goes_on_with_it(desk: Desk, database: Database) -> None:
    run = interrupted(desk)
    assert rows(database) == {"server/a": run}
    with desk.engine(policy=ONE) as engine:
        engine.resume(run)
        assert engine.wait(run).state is RunState.DONE
    assert rows(database) == {}


def test_a_turn_of_an_interrupted_run_is_refused_to_others_with_the_way_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    left = interrupted(desk)
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(workers, "DEAD_AFTER_SECONDS", 2.0)
    with desk.engine(policy=ONE) as engine:
        run = engine.begin(moving("b", "c"))
        report = engine.wait(run)
        assert report.state is RunState.FAILED
        assert report.exit_code == 3
        error = next(action.error for action in report.actions if action.id == "stop_server b")
        assert error is not None
        assert f"server/a of run {left} has it, which was interrupted: `decamp resume {left}` or `decamp cancel {left}` first" in error
        engine.settle(left)
    with desk.engine(policy=ONE) as engine:
        engine.resume(run)
        assert engine.wait(run).state is RunState.DONE


def test_when_the_window_closes_no_turn_is_held_by_a_server_that_runs(desk: Desk, database: Database) -> None:
    clock = Clock("2026-11-29T04:59:00Z")
    desk.clerk.when["perform lock_server a"] = lambda _: clock.set("2026-11-29T05:00:00Z")
    with desk.engine(clock=clock, policy=ONE) as engine:
        run = engine.begin(moving("a", "b"), schedule=Schedule(window=Window(opens="22:00", closes="05:00", zone="UTC")))
        until(lambda: engine.runs.report(run).count(ActionState.DONE) == 3)
        time.sleep(1.5)
        assert (desk.clerk.performed()[-1], rows(database)) == ("lock_server a", {})
        clock.set("2026-11-29T22:00:00Z")
        assert engine.wait(run).state is RunState.DONE


def test_who_waits_with_a_higher_priority_or_for_longer_goes_first(desk: Desk, database: Database) -> None:
    with desk.engine() as engine:
        later = Schedule(not_before="2999-01-01T00:00:00Z")
        runs = [engine.begin(moving(name), schedule=later) for name in "abcd"]
    limits = Limits(moves=1)

    def ask(run: int, priority: int = 0) -> bool:
        return bool(turns.ask(database, runs[run], [Move(name=f"server/{run}")], limits, priority).granted)

    assert ask(0)
    assert not ask(1)
    assert not ask(2)
    assert not ask(3, priority=5)
    turns.give_back(database, runs[0], ["server/0"])
    assert not ask(1)
    assert not ask(2)
    assert ask(3, priority=5)
    assert ask(3, priority=5), "what has its turn keeps it"
    turns.give_back(database, runs[3], ["server/3"])
    assert not ask(3), "it had one, and others wait for longer"
    assert not ask(2)
    assert ask(1)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_runs_that_ask_at_the_same_moment_never_have_more_turns_than_there_are(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/decamp.sqlite" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    together, most = threading.Barrier(6), list[int]()

    def worker(number: int) -> None:
        database = open_database(url, create=True)
        assert database
        run = journal.begin(database, moving(f"s{number}"), 1, workers.this_process())
        move = Move(name=f"server/s{number}")
        together.wait()
        for _ in range(5):
            if turns.ask(database, run, [move], Limits(moves=2), 0).granted:
                most.append(len(rows(database)))
                turns.give_back(database, run, [move.name])
        database.close()

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most
    assert max(most) <= 2


def test_a_run_without_limits_asks_for_no_turn(desk: Desk) -> None:
    watch = Watch(desk, "a", "b")
    desk.clerk.when["perform create a"] = lambda _: until(lambda: len(watch.moving) == 2)
    with desk.engine() as engine:
        assert engine.wait(engine.begin(moving("a", "b"))).state is RunState.DONE
    assert watch.most == 2
