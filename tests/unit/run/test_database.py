"""The state database, in all the ways in which it cannot be used."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from clerk import Desk, a_plan, an_action

from decamp.model.documents import encode
from decamp.model.errors import BadInput, Failed, Unreachable
from decamp.model.run import RunState
from decamp.run.database import open_database, parse
from decamp.run.runs import open_runs


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no url at all", "not a database URL"),
        ("mysql://root@localhost/x", "mysql is not supported"),
        ("sqlite://", "runs have to outlive this process"),
        ("sqlite:///:memory:", "runs have to outlive this process"),
    ],
)
def test_a_url_that_cannot_be_used_is_told(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse(url)


@pytest.mark.parametrize("url", ["postgresql://u:p@h/d", "postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"])
def test_postgresql_is_spoken_to_with_psycopg(url: str) -> None:
    assert parse(url).drivername == "postgresql+psycopg"


def test_the_file_and_its_folder_are_for_the_owner_alone(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/state/decamp.sqlite", create=True)
    assert database
    database.close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "decamp.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "decamp.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(BadInput, match=r"decamp\.sqlite: not a SQLite database"):
        open_runs(f"sqlite:///{path}")


def test_a_damaged_database_is_told(desk: Desk) -> None:
    with desk.engine() as engine:
        engine.wait(engine.begin(a_plan(an_action("a"))))
    path = Path(desk.url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(BadInput, match="damaged"), open_runs(desk.url) as runs:
        runs.all()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be opened for writing: Not a directory"):
        open_database(f"sqlite:///{tmp_path}/file/below/decamp.sqlite", create=True)


def test_a_database_of_a_newer_decamp_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "decamp.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE decamp_schema (version INTEGER PRIMARY KEY)")
    connection.execute("INSERT INTO decamp_schema VALUES (99)")
    connection.commit()
    connection.close()
    with pytest.raises(BadInput, match="written by a newer Decamp"):
        open_runs(f"sqlite:///{path}")


def test_a_postgresql_that_does_not_answer_is_unreachable_and_its_password_stays_secret() -> None:
    with pytest.raises(Unreachable) as raised:
        open_runs("postgresql://decamp:hunter2@127.0.0.1:1/decamp")
    assert "hunter2" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)


@pytest.mark.postgres
def test_a_postgresql_database_that_is_not_there_is_told(postgresql_url: str) -> None:
    with pytest.raises(BadInput, match="there is no such database"):
        open_runs(postgresql_url.replace("/t", "/missing", 1))


@pytest.mark.postgres
def test_a_run_on_postgresql_is_as_one_on_sqlite(postgresql_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    desk = Desk(postgresql_url)
    with desk.engine() as engine:
        report = engine.wait(engine.begin(a_plan(an_action("a"), an_action("b", "a", locks=("l",)))))
    assert report.state is RunState.DONE
    with open_runs(postgresql_url) as runs:
        assert runs.report(report.id) == report
        assert len(runs.ledger.entries(report.id)) == 2
    assert capfd.readouterr() == ("", "")


APPLY = textwrap.dedent("""
    import resource, sys
    sys.path.insert(0, sys.argv[1])
    from clerk import Desk, a_plan, an_action
    from decamp.model.errors import Error
    from decamp.run.runs import open_runs
    desk = Desk(sys.argv[2])
    if sys.argv[3] == "from the beginning":
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, -1))
    else:
        desk.clerk.when["perform a"] = lambda attempt: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, -1))
    try:
        with desk.engine() as engine:
            engine.wait(engine.begin(a_plan(an_action("a"))))
    except Error as error:
        print(error)
        sys.exit(error.exit_code)
""")


@pytest.mark.parametrize("when", ["from the beginning", "in the middle of a run"])
def test_a_full_disk_ends_the_run_with_a_sentence_and_with_room_it_is_resumed(desk: Desk, when: str) -> None:
    """The limit of a file's size stands for the disk: SQLite is told the same, that no more can be written."""
    here = str(Path(__file__).parent)
    process = subprocess.run([sys.executable, "-c", APPLY, here, desk.url, when], capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == Failed.exit_code == 1
    assert "the disk is full or failing" in process.stdout
    assert len(process.stdout.splitlines()) == 1
    assert process.stderr == ""
    with desk.engine() as engine:
        if when == "from the beginning":
            run = engine.begin(a_plan(an_action("a")))
        else:
            (summary,) = engine.runs.all()
            assert summary.state is RunState.INTERRUPTED
            run = engine.resume(summary.id)
        assert engine.wait(run).state is RunState.DONE


def test_every_error_of_the_database_is_one_of_ours(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/d.sqlite", create=True)
    assert database
    with pytest.raises(Failed, match=r"state database .*: no such table"), database.reading() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    database.close()


VERSION_1 = Path(__file__).with_name("version_1.sql")
"""The tables of a state database as they were at first."""


def of_version_1(path: Path, *runs: tuple[str, str | None]) -> dict[str, str]:
    """A database with a run for each name and outcome; name -> id."""
    ids: dict[str, str] = {}
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1.read_text())
        for name, outcome in runs:
            plan = a_plan(an_action(name))
            ids[name] = f"{plan.id[:8]}-1"
            ended = outcome and "2026-01-01T01:00:00Z"
            began = "2026-01-01T00:00:00Z"
            connection.execute("INSERT INTO decamp_plan VALUES (?, ?, ?)", (plan.id, encode(plan), began))
            values = (ids[name], plan.id, 1, '{"verb":"vacate"}', None, 4, 1, began, ended, outcome, None)
            connection.execute("INSERT INTO decamp_run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()
    return ids


def test_a_database_of_the_first_version_is_upgraded_where_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "decamp.sqlite"
    ids = of_version_1(path, ("over", "done"), ("left", None))
    for _ in range(2):
        with open_runs(f"sqlite:///{path}") as runs:
            assert {run.id: run.whole for run in runs.all()} == {ids["over"]: RunState.DONE, ids["left"]: RunState.INTERRUPTED}
            chain = runs.chain(ids["over"])
            assert (chain.id, len(chain.links), chain.state) == (ids["over"], 1, RunState.DONE)


def test_an_upgraded_database_has_the_columns_and_indexes_of_a_new_one(tmp_path: Path) -> None:
    def shape(path: Path) -> dict[str, set[str]]:
        open_runs_at(path)
        with sqlite3.connect(path) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'decamp%'")]
            columns = {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in tables}
            indexes = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite%'")
            }
        connection.close()
        return columns | {"indexes": indexes}

    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    of_version_1(old)
    assert shape(old) == shape(new)


def open_runs_at(path: Path) -> None:
    database = open_database(f"sqlite:///{path}", create=True)
    assert database
    database.close()
