"""The heart of a worker: it beats in the database, sees who stopped beating, and gives the work of the dead to the living."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from decamp.model.errors import Error, Unreachable
from decamp.run import workers
from decamp.run.database import Database

_log = logging.getLogger(__name__)


class Heart:
    """A thread that beats every BEAT_SECONDS.

    Fencing is threefold. A worker that is taken for dead is marked so before its work is given away, and its own next beat tells it.
    DBOS gives every execution of a workflow a token of ownership, and refuses what a former owner journals. An action's row has a token
    as well, so that the ledger takes nothing from a former holder either.
    """

    def __init__(
        self,
        database: Database,
        worker: str,
        *,
        recover: Callable[[str], None],
        taken_for_dead: Callable[[], None],
        broken: Callable[[Error], None],
    ) -> None:
        """`recover` puts the unfinished workflows of a dead worker back into their queues, and may be called twice for one."""
        self._database, self._worker = database, worker
        self._recover, self._taken_for_dead, self._broken = recover, taken_for_dead, broken
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="decamp-heart", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=workers.BEAT_SECONDS * 2)

    def _beat_on(self) -> None:
        while True:
            try:
                if not workers.beat(self._database, self._worker):
                    self._taken_for_dead()
                    return
                relieve_the_dead(self._database, self._recover)
            except Unreachable as error:
                _log.debug("no heart beat: %s", error)
            except Error as error:
                self._broken(error)
                return
            if self._stop.wait(workers.BEAT_SECONDS):
                return


def relieve_the_dead(database: Database, recover: Callable[[str], None]) -> tuple[str, ...]:
    """Give the work of every dead worker back to the queues; their ids. Several workers may do this at once."""
    dead = workers.declare_dead(database)
    for worker in dead:
        recover(worker)
        workers.relieved(database, worker)
    return dead
