"""Workers in the state database: who lives, for which runs, and who was found dead."""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from decamp.run import schema
from decamp.run.database import Database, seconds, timestamp

BEAT_SECONDS = 2.0
DEAD_AFTER_SECONDS = 15.0
"""Without a beat. Seven missed ones: a machine that swaps, or a database that restarts, is not taken for dead."""

_WORKERS = schema.workers


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process that performs actions."""

    id: str
    host: str
    pid: int
    born: str
    place: str


def this_process() -> Worker:
    host, pid = socket.gethostname(), os.getpid()
    return Worker(id=f"{host}-{pid}-{uuid.uuid4().hex[:8]}", host=host, pid=pid, born=_born(pid) or "", place=_place())


def enter(connection: sa.Connection, worker: Worker, *, listens: str | None) -> None:
    """It lives from now on, and works for this run; null: for all. One that is there already stays as it is."""
    there = connection.execute(sa.select(_WORKERS.c.id).where(_WORKERS.c.id == worker.id)).scalar()
    if there is None:
        values = msgspec.structs.asdict(worker) | {"listens": listens}
        connection.execute(sa.insert(_WORKERS).values(**values, started_at=timestamp(), beat=seconds(connection)))


def beat(database: Database, worker: str) -> bool:
    """False: this worker was taken for dead, and its work has been given to others."""
    with database.writing() as connection:
        changed = connection.execute(
            sa.update(_WORKERS).where(_WORKERS.c.id == worker, _WORKERS.c.gone_at.is_(None)).values(beat=seconds(connection))
        )
        return changed.rowcount == 1


def leave(database: Database, worker: str) -> None:
    with database.writing() as connection:
        connection.execute(sa.update(_WORKERS).where(_WORKERS.c.id == worker, _WORKERS.c.gone_at.is_(None)).values(gone_at=timestamp()))


def declare_dead(database: Database) -> tuple[str, ...]:
    """Ids of the workers that left or died and whose work nobody has taken over yet; from now on they write nothing."""
    with database.writing() as connection:
        now = seconds(connection)
        rows = connection.execute(sa.select(_WORKERS).where(_WORKERS.c.relieved_at.is_(None))).all()
        dead = [row.id for row in rows if not _lives(row, now)]
        if dead:
            connection.execute(sa.update(_WORKERS).where(_WORKERS.c.id.in_(dead), _WORKERS.c.gone_at.is_(None)).values(gone_at=timestamp()))
        return tuple(dead)


def relieved(database: Database, worker: str) -> None:
    """Its work waits in the queues again."""
    with database.writing() as connection:
        connection.execute(sa.update(_WORKERS).where(_WORKERS.c.id == worker).values(relieved_at=timestamp()))


def live_for(connection: sa.Connection, run: str) -> tuple[Worker, ...]:
    """Living workers that would perform actions of this run."""
    now = seconds(connection)
    rows = connection.execute(
        sa.select(_WORKERS).where(sa.or_(_WORKERS.c.listens == run, _WORKERS.c.listens.is_(None)), _WORKERS.c.gone_at.is_(None))
    )
    return tuple(Worker(id=row.id, host=row.host, pid=row.pid, born=row.born, place=row.place) for row in rows if _lives(row, now))


def _lives(row: Any, now: float) -> bool:
    """Where the process can be seen from here the kernel is asked; else the heart beat tells."""
    if row.gone_at is not None or now - row.beat > DEAD_AFTER_SECONDS:
        return False
    return row.place != _place() or _born(row.pid) == row.born


def _born(pid: int) -> str | None:
    """When the process started, in clock ticks since boot (proc(5), stat field 22); None: there is no such process, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]


def _place() -> str:
    """Where a pid means something: this boot of this kernel, this pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot, namespace = uuid.uuid4().hex, ""
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:32]
