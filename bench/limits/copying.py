"""One process that copies: several streams to one sink, for a time."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from contextlib import suppress
from multiprocessing.synchronize import Barrier

from decamp.copy.stream import CHUNK_BYTES, Body, transfer
from decamp.model.errors import Failed
from decamp.model.limits import Limits
from decamp.run.database import open_database
from decamp.run.pacing import Rations

CHUNK = bytes(CHUNK_BYTES)


def copy(url: str, port: int, streams: tuple[str, ...], limits: Limits, seconds: float, ready: Barrier) -> None:
    """`streams`: the project of each. The time begins when all processes are `ready`."""
    database = open_database(url, create=True)
    assert database  # noqa: S101 - it was created
    rations = Rations(database)
    ready.wait()
    until = time.monotonic() + seconds

    def one(project: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def put(body: Body) -> None:
            connection.request("PUT", f"/{project}", body=body, headers={"Content-Length": str(len(body))})

        with suppress(Failed, OSError):  # it is cancelled when the time is over
            transfer(
                itertools.repeat(CHUNK),
                put,
                size_bytes=1 << 50,
                algorithms=("sha512",),
                progress=lambda done, total: None,
                cancelled=lambda: time.monotonic() > until,
                pace=rations.pace(limits, project),
            )
        connection.close()

    threads = [threading.Thread(target=one, args=(project,)) for project in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
