"""The process that carries large images, so that a copy outlives the worker that asked for it: `python -m decamp.carrier`.

Its standard input brings what it needs to know and then its orders, a line each; where that ends, the worker is gone, and this process
ends when what it has in hand is done. It says nothing: it notes what becomes of each image where `resources.carriage` reads it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import msgspec

from decamp.clouds import Cloud, connect
from decamp.model.effects import Pace, unpaced
from decamp.model.errors import Bug, Error
from decamp.resources import image_bytes
from decamp.resources.carriage import CARRIED, LOOK_SECONDS, RAISED, Charge, Note, Notes, Order, Side
from decamp.run.database import open_database
from decamp.run.pacing import Rations
from decamp.run.redacting import without_secrets

NOTE_SECONDS = 0.5
"""How often the bytes that went are noted."""


class _Carrier:
    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self._clouds: dict[Side, Cloud] = {}
        self._opening = threading.Lock()

    def carry(self, order: Order) -> None:
        """From the first note to the last, whatever happens."""
        notes = Notes(Path(self._charge.folder), order.target)
        with notes.kept() as note:
            try:
                image_bytes.copy_bytes(
                    self._cloud(order.old),
                    image_bytes.readable(self._cloud(order.old), order.source),
                    self._cloud(order.new),
                    order.target,
                    progress=now_and_then(lambda done, total: note(Note(done=done, total=total))),
                    cancelled=now_and_then_asked(lambda: notes.is_to_stop),
                    pace=self._pace(order),
                )
                note(Note(ended=CARRIED))
            except Exception as error:  # noqa: BLE001 - whatever it is, whoever follows the copy is told
                note(told_of(error))

    def _cloud(self, side: Side) -> Cloud:
        """One for all orders: it is safe to share, and so they share a token."""
        with self._opening:
            if side not in self._clouds:
                file = self._charge.clouds_file
                self._clouds[side] = connect(side.cloud, Path(file) if file else None).as_project(side.project)
            return self._clouds[side]

    def _pace(self, order: Order) -> Pace:
        return self._rations.pace(order.limits, order.project) if order.limits.bound_copies else unpaced

    @cached_property
    def _rations(self) -> Rations:
        database = open_database(self._charge.state_url, create=True)
        assert database is not None  # noqa: S101 - it was created
        return Rations(database)


def told_of(error: Exception) -> Note:
    """The last note where this was raised."""
    if isinstance(error, Error):
        kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in RAISED)
        return Note(ended=kind, text=without_secrets(str(error)))
    return Note(ended=Bug.__name__, text=without_secrets(f"{type(error).__name__}: {error}"))


def now_and_then(note: Callable[[int, int], object]) -> Callable[[int, int], None]:
    """The same, no more than every NOTE_SECONDS."""
    noted_at = float("-inf")

    def noting(done: int, total: int) -> None:
        nonlocal noted_at
        if (now := time.monotonic()) - noted_at >= NOTE_SECONDS or done >= total:
            noted_at = now
            note(done, total)

    return noting


def now_and_then_asked(ask: Callable[[], bool]) -> Callable[[], bool]:
    """The same, asked no more than every LOOK_SECONDS: what is true once stays so."""
    asked_at, answer = float("-inf"), False

    def asking() -> bool:
        nonlocal asked_at, answer
        if not answer and (now := time.monotonic()) - asked_at >= LOOK_SECONDS:
            asked_at, answer = now, ask()
        return answer

    return asking


def main() -> None:
    """Until the worker is gone and everything is done."""
    lines = sys.stdin.buffer
    carrier = _Carrier(msgspec.json.decode(lines.readline(), type=Charge))
    for line in lines:
        order = msgspec.json.decode(line, type=Order)
        threading.Thread(target=carrier.carry, args=(order,), name=order.target).start()


if __name__ == "__main__":
    main()
