"""Copies of several processes on one state database, sent over HTTP to a sink that counts what arrives: how near they keep to their rates.

The pass is that of every copy (`copy.stream.transfer`), hashed on the way; the state database is SQLite on disk; the source is memory.
Each line is one case: the rate that was wanted and the one that arrived from the first second on; how far the worst window of 10 s and
of 2 s was from the rate, above or below. Last, what a limit costs that is never reached, against none.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from bench.limits.copying import CHUNK, copy
from decamp.copy.stream import CHUNK_BYTES, transfer
from decamp.model.effects import Pace, unpaced
from decamp.model.limits import Limits
from decamp.run.database import open_database
from decamp.run.pacing import Rations

SECONDS = 16.0
COST_BYTES = 512 * 1024 * 1024
COST_RUNS = 5
TICK_SECONDS = 0.1
SETTLED_SECONDS = 1.0
READ_BYTES = 64 * 1024
MB = 1_000_000
UNREACHED = 1_000_000 * MB


class Case(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    limits: Limits
    processes: tuple[tuple[str, ...], ...]
    """Of each process its streams: the project of each."""

    @property
    def wanted(self) -> dict[str, int]:
        """What should arrive: in total (empty name), else of each project."""
        if self.limits.copy_rate:
            return {"": self.limits.copy_rate}
        rate = self.limits.copy_rate_per_project or UNREACHED
        return {project: rate for process in self.processes for project in process}


CASES = (
    Case(name="20 MB/s in total, 1 copy", limits=Limits(copy_rate=20 * MB), processes=(("a",),)),
    Case(name="20 MB/s in total, 8 copies", limits=Limits(copy_rate=20 * MB), processes=(("a",) * 8,)),
    Case(name="20 MB/s in total, 2 processes of 4 copies", limits=Limits(copy_rate=20 * MB), processes=(("a",) * 4,) * 2),
    Case(name="1 MB/s in total, 8 copies", limits=Limits(copy_rate=MB), processes=(("a",) * 8,)),
    Case(
        name="5 MB/s a project, 3 projects in 2 processes",
        limits=Limits(copy_rate_per_project=5 * MB),
        processes=(("a", "a", "b"), ("b", "c", "c")),
    ),
    Case(
        name="20 MB/s in total and 15 a project, 2 projects",
        limits=Limits(copy_rate=20 * MB, copy_rate_per_project=15 * MB),
        processes=(("a", "a", "b", "b"),) * 2,
    ),
)


class Sink(ThreadingHTTPServer):
    """Reads what is put to it, and counts the bytes of each path in ticks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.arrived: Counter[tuple[str, int]] = Counter()
        self.counting = threading.Lock()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sink

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        while left and (data := self.rfile.read1(min(READ_BYTES, left))):
            left -= len(data)
            with self.server.counting:
                self.server.arrived[self.path[1:], int(time.monotonic() / TICK_SECONDS)] += len(data)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def arrivals(case: Case, seconds: float) -> tuple[Counter[tuple[str, int]], int]:
    """(bytes of each project in each tick, the first tick that counts)"""
    sink = Sink()
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/decamp.sqlite"
        database = open_database(url, create=True)
        assert database  # noqa: S101 - it was created
        spawned = multiprocessing.get_context("spawn")
        ready = spawned.Barrier(len(case.processes))
        port = sink.server_address[1]
        processes = [spawned.Process(target=copy, args=(url, port, streams, case.limits, seconds, ready)) for streams in case.processes]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        database.close()
    sink.shutdown()
    sink.server_close()
    first = min((tick for _, tick in sink.arrived), default=0) + int(SETTLED_SECONDS / TICK_SECONDS)
    return sink.arrived, first


def row(arrived: Counter[tuple[str, int]], project: str, first: int) -> list[int]:
    """Bytes in each tick; of all projects where none is named."""
    last = max(tick for _, tick in arrived)
    ticks = [0] * (last - first)
    for (whose, tick), amount in arrived.items():
        if first <= tick < last and project in ("", whose):
            ticks[tick - first] += amount
    return ticks


def worst(ticks: list[int], seconds: float, rate: int) -> float:
    """How far the rate of the worst window was from what was wanted, as a part of it."""
    width = int(seconds / TICK_SECONDS)
    sums = [sum(ticks[begin : begin + width]) for begin in range(len(ticks) - width + 1)]
    return max((abs(one / (rate * seconds) - 1) for one in sums), default=float("nan"))


def kept(case: Case) -> Iterator[str]:
    arrived, first = arrivals(case, SECONDS)
    for project, rate in sorted(case.wanted.items()):
        ticks = row(arrived, project, first)
        mean = sum(ticks) / (len(ticks) * TICK_SECONDS)
        told = f"{case.name}{project and f': project {project}'}"
        yield (
            f"{told:58} wanted {rate / MB:5.1f} MB/s  got {mean / MB:6.2f}  ratio {mean / rate:.3f}  "
            f"worst 10 s {worst(ticks, 10, rate):5.1%}  worst 2 s {worst(ticks, 2, rate):5.1%}"
        )


def cpu_seconds(pace: Pace) -> float:
    """Of one pass that goes nowhere."""
    began = time.process_time()
    transfer(
        itertools.repeat(CHUNK, COST_BYTES // CHUNK_BYTES),
        lambda body: [*map(len, body)].clear(),
        size_bytes=COST_BYTES,
        algorithms=("sha512",),
        progress=lambda done, total: None,
        cancelled=lambda: False,
        pace=pace,
    )
    return time.process_time() - began


def cost() -> tuple[float, float]:
    """CPU seconds (without a limit, with one that is never reached), medians; in turn, so that a machine that drifts drifts for both."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/decamp.sqlite", create=True)
        assert database  # noqa: S101 - it was created
        pace = Rations(database).pace(Limits(copy_rate=UNREACHED), "a")
        taken = [(cpu_seconds(unpaced), cpu_seconds(pace)) for _ in range(COST_RUNS)]
        database.close()
    return statistics.median(without for without, _ in taken), statistics.median(within for _, within in taken)


def main() -> None:
    for case in CASES:
        for line in kept(case):
            print(line, flush=True)
    without, within = cost()
    told = f"{within:.2f} CPU s for {COST_BYTES >> 20} MiB where {without:.2f} go without one, ratio {within / without:.2f}"
    print(f"a limit that is never reached: {told}")


if __name__ == "__main__":
    main()
