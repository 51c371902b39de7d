"""The state database: SQLite in one file by default, PostgreSQL for workers on several machines; its errors in Decamp's words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from decamp.model.errors import BadInput, Error, Failed, Unreachable
from decamp.run import schema

BUSY_TIMEOUT_SECONDS = 30
"""How long SQLite waits for another process's transaction."""
CONNECT_TIMEOUT_SECONDS = 10
OUTAGE_SECONDS = 60.0
"""A PostgreSQL that restarts is waited for so long in the middle of a run."""

Result = TypeVar("Result")


class Database:
    """Connections to the state database. Every method may raise BadInput, Failed or Unreachable, with the place in the sentence."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.where = f"state database {url.database}" if _is_sqlite(url) else f"state database {url.render_as_string(hide_password=True)}"
        self._engine = _sqlite_engine(url) if _is_sqlite(url) else _postgresql_engine(url)

    @property
    def is_sqlite(self) -> bool:
        return _is_sqlite(self.url)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.telling(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction; on SQLite it has the write lock from its beginning."""
        with self.telling(), self._engine.connect() as connection:
            connection = connection.execution_options(writing=True)
            with connection.begin():
                yield connection

    def steadily(self, work: Callable[[], Result]) -> Result:
        """Do work that may be repeated, again and again while a PostgreSQL server does not answer, for OUTAGE_SECONDS."""
        deadline = time.monotonic() + OUTAGE_SECONDS
        pause = 0.2
        while True:
            try:
                return work()
            except Unreachable:
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 5.0)

    def insert_or_leave(self, table: sa.Table, values: dict[str, Any]) -> sa.Insert:
        """An INSERT that does nothing where the row is there."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        return insert(table).values(**values).on_conflict_do_nothing()

    def only_one(self, connection: sa.Connection, what: str) -> None:
        """Of all transactions that write, only one at a time comes past here for the same thing."""
        if not self.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": what})

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Translate the errors of SQLAlchemy and its drivers."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise told(error, self.where) from error

    def close(self) -> None:
        self._engine.dispose()


def open_database(url: str, *, create: bool) -> Database | None:
    """Connect, and make the tables that are missing; `create` False: None where a SQLite file is not there yet."""
    parsed = parse(url)
    if _is_sqlite(parsed):
        path = Path(parsed.database or "")
        if not create and not path.exists():
            return None
        _make_private_file(path)
    database = Database(parsed)
    try:
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database


def parse(url: str) -> sa.URL:
    """Raises BadInput for what is neither sqlite:///PATH nor postgresql://..."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise BadInput("state: not a database URL. Give sqlite:///PATH or postgresql://USER@HOST/DATABASE.") from error
    match parsed.drivername:
        case "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise BadInput("state: runs have to outlive this process: give a file, as in sqlite:////var/lib/decamp/decamp.sqlite")
            return parsed
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise BadInput(f"state: {other} is not supported. Give sqlite:///PATH or postgresql://USER@HOST/DATABASE.")


def timestamp() -> str:
    """Now, ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(connection: sa.Connection) -> float:
    """Since the epoch, by a clock that all users of this database share."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def told(error: SQLAlchemyError | sqlite3.Error, where: str) -> Error:
    """In the words of model.errors, in one line and without the statement and its values."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = " ".join(str(cause).split())
    code = getattr(cause, "sqlstate", None) or ""
    if "disk is full" in text or "disk I/O error" in text or code.startswith("53"):
        return Failed(f"{where}: cannot be written, the disk is full or failing ({text}). Make room; nothing that was journaled is lost.")
    if "readonly database" in text or "unable to open database" in text:
        return BadInput(f"{where}: cannot be opened for writing: {text}")
    if "not a database" in text or "malformed" in text:
        return BadInput(f"{where}: not a SQLite database, or a damaged one: {text}")
    if "database is locked" in text:
        return Unreachable(f"{where}: another process kept it locked for {BUSY_TIMEOUT_SECONDS} s")
    if code.startswith("28") or "password authentication failed" in text or "no password supplied" in text:
        return BadInput(f"{where}: the credentials were not accepted")
    if code == "3D000" or ("database" in text and "does not exist" in text):
        return BadInput(f"{where}: there is no such database: create it first")
    if isinstance(cause, sqlite3.Error):
        return Failed(f"{where}: {text}")
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or isinstance(error, OperationalError | PoolTimeout) or code[:2] in {"08", "57"}:
        return Unreachable(f"{where}: no answer: {text}")
    return Failed(f"{where}: {text}")


def _is_sqlite(url: sa.URL) -> bool:
    return url.drivername == "sqlite"


def _make_private_file(path: Path) -> None:
    """The file and its folder, for the owner alone: the database knows what everybody's servers are called."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise BadInput(f"state database {path}: cannot be opened for writing: {error.strerror}") from error


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        with contextlib.suppress(sqlite3.OperationalError):  # another process does the same right now
            connection.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not wait for each other

    @event.listens_for(engine, "begin")
    def began(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")

    return engine


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(
        url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "application_name": "decamp"}
    )


def _prepare(database: Database) -> None:
    with database.reading() as connection:
        if _version(connection) == schema.VERSION:
            return
    with database.writing() as connection:
        # Two that begin at once: CREATE TABLE IF NOT EXISTS is not safe against itself in PostgreSQL.
        database.only_one(connection, "decamp_schema")
        found = _version(connection)
        if found > schema.VERSION:
            raise BadInput(f"{database.where}: written by a newer Decamp (version {found} of its tables, this one knows {schema.VERSION})")
        for version in range(found + 1, schema.VERSION + 1) if found else ():
            for statement in schema.UPGRADES[version]:
                connection.exec_driver_sql(statement)
        schema.metadata.create_all(connection)
        connection.execute(database.insert_or_leave(schema.version, {"version": schema.VERSION}))


def _version(connection: sa.Connection) -> int:
    """Of the tables that are there; 0: none are."""
    if not sa.inspect(connection).has_table("decamp_schema"):
        return 0
    return connection.execute(sa.select(sa.func.max(schema.version.c.version))).scalar() or 0
