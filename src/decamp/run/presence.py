"""One process at work: whether it may go on, what broke it, and how it ends without tearing anything."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from sqlalchemy.exc import SQLAlchemyError

from decamp.model.errors import Bug, Error
from decamp.run.database import told
from decamp.run.performing import Stopped

_log = logging.getLogger(__name__)


class Presence:
    """Shared by all threads of a worker."""

    def __init__(self, where: str) -> None:
        """`where` the state database is, for sentences about it."""
        self._where = where
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._active = 0
        self._broken: Exception | None = None

    @property
    def is_broken(self) -> bool:
        return self._broken is not None

    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """All that goes on is to come to a safe point."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def break_off(self, error: Exception) -> None:
        """This worker cannot go on: the first reason counts."""
        if self._broken is None:
            self._broken = told(error, self._where) if isinstance(error, SQLAlchemyError) else error
        self.stop()

    def raise_if_broken(self) -> None:
        match self._broken:
            case None:
                return
            case Error() as error:
                raise error
            case error:
                raise Bug(f"the run stopped at a defect in Decamp, please report it: {type(error).__name__}: {error}") from error

    def leave_if_stopping(self) -> None:
        """Raises Stopped."""
        if self._stop.is_set():
            raise Stopped

    def await_change(self, seconds: float) -> None:
        """Until an execution of this process ends, or it is to stop, or so long."""
        with self._changed:
            self._changed.wait(seconds)

    def await_safe_points(self, seconds: float) -> bool:
        """Whether all executions came to one in time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._active and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._active

    def guarded(self, workflow: Callable[..., str]) -> Callable[..., str]:
        """An execution that cannot go on leaves its workflow unfinished, to be recovered: only what the workflow returns ends it."""

        def guarded(*args: object) -> str:
            with self._counted():
                try:
                    return workflow(*args)
                except Exception as error:
                    if not self._stop.is_set():
                        _log.debug("a workflow stopped", exc_info=error)
                        self._break_off_unless_fenced(error)
                    raise Stopped from error

        return guarded

    def _break_off_unless_fenced(self, error: Exception) -> None:
        """DBOS tells an execution that lost its workflow to another worker by an error; that is no defect."""
        if type(error).__name__ not in {"DBOSWorkflowConflictIDError", "DBOSWorkflowCancelledError"}:
            self.break_off(error)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self._active += 1
        try:
            yield
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()
