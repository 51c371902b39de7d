"""Who lives, and who is taken for dead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa
from clerk import a_plan, an_action

from decamp.run import journal, schema, workers
from decamp.run.database import Database, open_database
from decamp.run.failover import relieve_the_dead
from decamp.run.locks import take


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/decamp.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    database = open_database(url, create=True)
    assert database
    yield database
    database.close()


def enter(database: Database, worker: workers.Worker, listens: str | None = None) -> workers.Worker:
    with database.writing() as connection:
        workers.enter(connection, worker, listens=listens)
    return worker


def live(database: Database, run: str) -> set[str]:
    with database.reading() as connection:
        return {worker.id for worker in workers.live_for(connection, run)}


def silent(database: Database, worker: workers.Worker) -> None:
    """Its last beat was a minute ago."""
    with database.writing() as connection:
        connection.execute(sa.update(schema.workers).where(schema.workers.c.id == worker.id).values(beat=schema.workers.c.beat - 60))


def elsewhere(worker: workers.Worker) -> workers.Worker:
    return msgspec.structs.replace(worker, id=f"{worker.id}-elsewhere", place="another machine", pid=1)


def test_a_worker_lives_for_the_run_that_it_listens_to_or_for_all(database: Database) -> None:
    one = enter(database, workers.this_process(), listens="r1")
    everybodys = enter(database, workers.this_process())
    assert live(database, "r1") == {one.id, everybodys.id}
    assert live(database, "r2") == {everybodys.id}


def test_a_worker_whose_process_is_gone_from_this_machine_is_dead_at_once(database: Database) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = workers.this_process()
    born = workers._born(process.pid)  # pyright: ignore[reportPrivateUsage]
    assert born
    worker = enter(database, msgspec.structs.replace(worker, pid=process.pid, born=born))
    assert workers.declare_dead(database) == ()
    process.kill()
    process.communicate()
    assert workers.declare_dead(database) == (worker.id,)
    assert live(database, "any") == set()


def test_a_process_that_has_the_pid_of_a_dead_worker_is_not_taken_for_it(database: Database) -> None:
    worker = enter(database, msgspec.structs.replace(workers.this_process(), born="1"))
    assert workers.declare_dead(database) == (worker.id,)


def test_a_worker_on_another_machine_lives_as_long_as_it_beats(database: Database) -> None:
    worker = enter(database, elsewhere(workers.this_process()))
    assert workers.declare_dead(database) == ()
    silent(database, worker)
    assert live(database, "any") == set()
    assert workers.declare_dead(database) == (worker.id,)


def test_one_that_was_taken_for_dead_is_told_by_its_next_beat(database: Database) -> None:
    worker = enter(database, workers.this_process())
    assert workers.beat(database, worker.id)
    silent(database, worker)
    workers.declare_dead(database)
    assert not workers.beat(database, worker.id)


def test_the_work_of_the_dead_and_of_those_who_left_is_given_away_once(database: Database) -> None:
    dead, left, living = (enter(database, workers.this_process()) for _ in range(3))
    silent(database, dead)
    workers.leave(database, left.id)
    recovered: list[str] = []
    assert set(relieve_the_dead(database, recovered.append)) == {dead.id, left.id}
    assert set(recovered) == {dead.id, left.id}
    assert relieve_the_dead(database, recovered.append) == ()
    assert workers.beat(database, living.id)


def test_one_whose_recovery_failed_midway_is_recovered_by_the_next(database: Database) -> None:
    dead = enter(database, workers.this_process())
    silent(database, dead)

    def crash(_worker: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relieve_the_dead(database, crash)
    recovered: list[str] = []
    relieve_the_dead(database, recovered.append)
    assert recovered == [dead.id]


def test_locks_are_taken_all_or_none_and_kept_over_a_crash(database: Database) -> None:
    run = journal.begin(database, a_plan(an_action("a"), an_action("b")), 1, workers.this_process())
    assert take(database, ("h2", "h1"), run, "a") is None
    assert take(database, ("h1", "h2"), run, "a") is None
    holder = take(database, ("h0", "h1"), run, "b")
    assert holder
    assert (holder.name, holder.action) == ("h1", "a")
    assert take(database, ("h0",), run, "c") is None, "b kept a lock though it did not get all"
