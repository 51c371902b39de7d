"""DBOS, set up for Decamp: quiet, with a constant application version, without telemetry, and JSON in its tables instead of pickles."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Set
from typing import Any

from dbos import DBOS, DBOSConfig, Serializer
from sqlalchemy.exc import SQLAlchemyError

from decamp.model.errors import Failed
from decamp.run.database import Database, told

WORKFLOWS_VERSION = "decamp-workflows-4"
"""Only workers of the same version take each other's workflows over. To be raised when the steps of a workflow change, and only then."""
QUEUE_POLL_SECONDS = 0.1
WALK, ACT, FOLLOW = "decamp.walk", "decamp.act", "decamp.follow"
PRUNED_AT_ONCE = 500
"""Workflows that are looked at in one go when what is over is taken away."""


class _Json(Serializer):
    """What Decamp's workflows are given and return is plain JSON; of errors, which only a defect brings here, the words are kept."""

    def serialize(self, data: Any) -> str:
        return json.dumps({"error": f"{type(data).__name__}: {data}"} if isinstance(data, BaseException) else {"value": data})

    def deserialize(self, serialized_data: str) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        kept = json.loads(serialized_data)
        return Failed(kept["error"]) if "error" in kept else kept["value"]

    def name(self) -> str:
        return "decamp_json"


class _Ears(logging.Handler):
    """Takes DBOS's log off the terminal, and hears when it cannot write to its database."""

    def __init__(self, database: Database, broken: Callable[[Exception], None]) -> None:
        super().__init__()
        self._database, self._broken = database, broken
        self._log = logging.getLogger("decamp.run.dbos")

    def emit(self, record: logging.LogRecord) -> None:
        self._log.debug("%s", record.getMessage())
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, SQLAlchemyError):
            self._broken(told(error, self._database.where))


class Durable:
    """A launched DBOS. There is one in a process at most."""

    def __init__(
        self,
        database: Database,
        *,
        worker: str,
        queues: list[str] | None,
        walk: Callable[..., Any],
        act: Callable[..., Any],
        follow: Callable[..., Any],
        broken: Callable[[Exception], None],
    ) -> None:
        """`queues` None: take workflows from all of them, those included that are made later."""
        self._log = logging.getLogger("dbos")
        self._former = (list(self._log.handlers), self._log.propagate)
        self._log.handlers = [_Ears(database, broken)]
        self._log.propagate = False
        config: DBOSConfig = {
            "name": "decamp",
            "system_database_url": database.url.render_as_string(hide_password=False),
            "application_version": WORKFLOWS_VERSION,
            "executor_id": worker,
            "enable_otlp": False,
            "log_level": "WARNING",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 0.25,
            "sys_db_pool_size": 10,
            "serializer": _Json(),
        }
        try:
            DBOS(config=config)
            # No bound on recoveries: a run may be crashed and resumed as often as it takes.
            self.walk = DBOS.workflow(name=WALK, max_recovery_attempts=None)(walk)
            self.act = DBOS.workflow(name=ACT, max_recovery_attempts=None)(act)
            self.follow = DBOS.workflow(name=FOLLOW, max_recovery_attempts=None)(follow)
            if queues is not None:
                DBOS.listen_queues(queues)
            with database.telling():
                DBOS.launch()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        DBOS.destroy(destroy_registry=True)
        self._log.handlers, self._log.propagate = self._former

    def recover(self, worker: str) -> None:
        """Put the unfinished workflows of a dead worker back into their queues (DBOS's own recovery; whoever listens takes them)."""
        DBOS._recover_pending_workflows([worker])  # pyright: ignore[reportPrivateUsage]

    def prune(self, over: Set[str]) -> None:
        """Delete the workflows of these runs, but for those that have not quite ended."""
        while rows := DBOS.list_workflows(limit=PRUNED_AT_ONCE, load_input=False, load_output=False):
            ended = [row.workflow_id for row in rows if row.workflow_id.partition("/")[0] in over and row.status != "PENDING"]
            if not ended:
                return
            DBOS.delete_workflows(ended)
