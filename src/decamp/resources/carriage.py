"""Who carries the bytes of an image: this process, or one beside it that outlives it.

Glance cannot go on with an upload that was broken off, so what has to survive the death of a worker is the connection itself. A large
image is therefore carried by a process of its own (`decamp.carrier`), which a worker starts when it first needs it, and which ends when
that worker is gone and all that it has in hand is done. What becomes of each image stands in a file beside the state database, which is
named after it: the carrier holds a lock on the file and appends notes to it, and whoever follows the copy reads them: the worker that
asked for it, or the one that resumes its run on the same machine.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from decamp.clouds import Cloud
from decamp.model.effects import Pace, unpaced
from decamp.model.errors import BadInput, Bug, Changed, Failed, Refused, Unanswered, Unreachable
from decamp.model.limits import Limits
from decamp.resources import image_bytes

LEAST_BYTES = 128 * 1024 * 1024
"""What is smaller is carried by the worker itself: sent again in a moment, and not worth a process."""

LOOK_SECONDS = 0.2
BEGIN_SECONDS = 60
"""How long a carrier may take to begin: it has nothing else to do, but the machine may have."""
STOP_SECONDS = 60
"""How long a carrier may take to hear that it is to stop: it hears nothing while the cloud takes no byte."""


class Carriage(Protocol):
    """Of one attempt."""

    @property
    def has_any(self) -> bool:
        """Whether `has` can be true of any image."""
        ...

    def has(self, target_id: str) -> bool:
        """Whether bytes are on their way into this image of the new cloud, or are all there and nobody has been told."""
        ...

    def carry(
        self,
        old: Cloud,
        source_id: str,
        new: Cloud,
        target_id: str,
        *,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        pace: Pace,
    ) -> None:
        """Returns when the bytes are there and proved. Where it `has` the image, that is gone on with.

        Raises as `image_bytes.copy_bytes` does; where this process ends but the bytes go on, Unreachable.
        """
        ...

    def forget(self, target_id: str) -> None:
        """The image is finished or given up: nothing more goes into it when this returns."""
        ...


class InThisProcess:
    """Nothing is left of it when the process dies."""

    has_any = False

    def has(self, target_id: str) -> bool:
        return False

    def carry(
        self,
        old: Cloud,
        source_id: str,
        new: Cloud,
        target_id: str,
        *,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        pace: Pace = unpaced,
    ) -> None:
        source = image_bytes.readable(old, source_id)
        image_bytes.copy_bytes(old, source, new, target_id, progress=progress, cancelled=cancelled, pace=pace)

    def forget(self, target_id: str) -> None:
        """Nothing is known of it."""


class Side(msgspec.Struct, frozen=True):
    """A cloud, as another process can open it."""

    cloud: str
    """Its entry in clouds.yaml."""
    project: str
    """Id of the project to act in."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One image to be carried."""

    old: Side
    new: Side
    source: str
    target: str
    limits: Limits
    project: str | None
    """That the limits of one project count it to."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What a carrier is told at first; orders follow. On its standard input, because the address of the state may hold a password."""

    folder: str
    clouds_file: str | None
    state_url: str


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line in an image's file. The last one counts."""

    done: int = 0
    total: int = 0
    """In bytes."""
    ended: str | None = None
    """`carried`, or the name of the class of what was raised."""
    text: str = ""


LONGEST_NOTE_BYTES = 16 * 1024
CARRIED = "carried"
RAISED = {error.__name__: error for error in (Failed, BadInput, Refused, Changed, Unreachable, Unanswered, Bug)}


class Notes:
    """The file of one image."""

    def __init__(self, folder: Path, target_id: str) -> None:
        self._path = folder / f"{target_id}.notes"
        self._stop = folder / f"{target_id}.stop"

    @contextmanager
    def kept(self) -> Iterator[Callable[[Note], int]]:
        """For the carrier: what appends a note. The file appears with its lock on it, so that nobody finds it without."""
        unseen = self._path.with_suffix(".new")
        with unseen.open("wb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            unseen.rename(self._path)
            yield lambda note: file.write(msgspec.json.encode(note) + b"\n")

    @property
    def is_kept(self) -> bool:
        """Whether a carrier lives that keeps it."""
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def last(self) -> Note | None:
        """Null: there is no file. A line that is still being written does not count."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_NOTE_BYTES))
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return None
        return msgspec.json.decode(lines[-2], type=Note) if len(lines) > 1 else Note()

    @property
    def is_to_stop(self) -> bool:
        return self._stop.exists()

    def stop(self) -> None:
        self._stop.touch()

    def remove(self) -> None:
        for path in (self._path, self._stop):
            path.unlink(missing_ok=True)


def under_way(folder: Path) -> int:
    """Images that are being carried, for whomever."""
    return sum(Notes(folder, path.stem).is_kept for path in folder.glob("*.notes"))


class Carrier:
    """A worker's carrier: started at its first order, and again where it has died. For any number of threads."""

    def __init__(self, folder: Path, clouds_file: Path | None, state_url: str) -> None:
        """`folder` is made when it is needed."""
        self.folder = folder
        self._charge = Charge(folder=str(folder), clouds_file=str(clouds_file) if clouds_file else None, state_url=state_url)
        self._ordering = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def order(self, order: Order) -> subprocess.Popen[bytes]:
        """Returns who was told. Raises Unreachable if there is nobody."""
        with self._ordering:
            if self._process is None or self._process.poll() is not None:
                self._process = self._started()
            self._tell(self._process, order)
            return self._process

    def _started(self) -> subprocess.Popen[bytes]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "decamp.carrier"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a terminal that interrupts or hangs up means the worker, not what outlives it
        )
        self._tell(process, self._charge)
        return process

    @staticmethod
    def _tell(process: subprocess.Popen[bytes], what: Charge | Order) -> None:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            process.stdin.write(msgspec.json.encode(what) + b"\n")
        except OSError as error:
            raise Unreachable(f"the process that carries images has ended: {error}") from error


class Detached:
    """Carries what is large by a carrier."""

    def __init__(self, carrier: Carrier, limits: Limits, project: str | None, leaving: Callable[[], bool]) -> None:
        self._carrier, self._limits, self._project, self._leaving = carrier, limits, project, leaving

    @property
    def has_any(self) -> bool:
        return any(self._carrier.folder.glob("*.notes"))

    def has(self, target_id: str) -> bool:
        notes = Notes(self._carrier.folder, target_id)
        return notes.is_kept or bool((last := notes.last) and last.ended == CARRIED)

    def carry(
        self,
        old: Cloud,
        source_id: str,
        new: Cloud,
        target_id: str,
        *,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        pace: Pace,
    ) -> None:
        notes, process = Notes(self._carrier.folder, target_id), None
        if not self.has(target_id):
            source = image_bytes.readable(old, source_id)
            if source["size"] < LEAST_BYTES:
                image_bytes.copy_bytes(old, source, new, target_id, progress=progress, cancelled=cancelled, pace=pace)
                return
            notes.remove()
            order = Order(
                old=Side(old.name, old.project_id),
                new=Side(new.name, new.project_id),
                source=source_id,
                target=target_id,
                limits=self._limits,
                project=self._project,
            )
            process = self._carrier.order(order)
        self._follow(notes, process, target_id, progress, cancelled)

    def _follow(
        self,
        notes: Notes,
        process: subprocess.Popen[bytes] | None,
        target_id: str,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> None:
        told, begins_until = False, time.monotonic() + BEGIN_SECONDS
        while True:
            begins = process is not None and process.poll() is None and time.monotonic() < begins_until
            lives = (begins and notes.last is None) or notes.is_kept
            last = notes.last or Note()  # looked at after that: a carrier notes how it ended before it is gone
            if last.ended == CARRIED:
                return
            if last.ended:
                notes.remove()
                raise RAISED.get(last.ended, Bug)(last.text)
            if not lives:
                raise Unreachable(f"the process that carried image {target_id} ended after {last.done} bytes: the copy begins anew")
            if last.total:
                progress(last.done, last.total)
            if self._leaving():
                raise Unreachable(f"image {target_id} is carried on by a process of its own")
            if cancelled() and not told:
                notes.stop()
                told = True
            time.sleep(LOOK_SECONDS)

    def forget(self, target_id: str) -> None:
        notes = Notes(self._carrier.folder, target_id)
        if notes.is_kept:
            notes.stop()
            until = time.monotonic() + STOP_SECONDS
            while notes.is_kept and time.monotonic() < until:
                time.sleep(LOOK_SECONDS)
        notes.remove()
