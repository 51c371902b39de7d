"""The copy's one pass against its bound: hashing the same bytes, which no verified copy can do without.

Prints, as medians of RUNS, throughput and the ratio to (a) hashlib's SHA-512 over the same chunks and nothing else, the bound of a single
thread, and (b) the usual alternative of two passes, one that carries and one that hashes afterwards. Then the peak of traced memory, twice.
"""

from __future__ import annotations

import hashlib
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator

from decamp.copy.stream import CHUNK_BYTES, transfer

SIZE_BYTES = 512 * 1024 * 1024
RUNS = 5
CHUNK = hashlib.shake_128(b"bench").digest(CHUNK_BYTES)


def chunks(size_bytes: int) -> Iterator[bytes]:
    for _ in range(size_bytes // CHUNK_BYTES):
        yield bytes(memoryview(CHUNK))  # fresh memory for each, as from a socket


def drain(body) -> None:
    for _ in body:
        pass


def decamp(size_bytes: int = SIZE_BYTES) -> None:
    transfer(
        chunks(size_bytes), drain, size_bytes=size_bytes, algorithms=("sha512",), progress=lambda done, total: None, cancelled=lambda: False
    )


def hash_alone() -> None:
    digest = hashlib.sha512()
    for chunk in chunks(SIZE_BYTES):
        digest.update(chunk)


def two_passes() -> None:
    """As a tool does that writes a file and hashes it afterwards; the copy between buffers stands for the file in the page cache."""
    held = bytearray(CHUNK_BYTES)
    for chunk in chunks(SIZE_BYTES):
        held[:] = chunk
    digest = hashlib.sha512()
    for chunk in chunks(SIZE_BYTES):
        held[:] = chunk
        digest.update(held)


def seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_mib(size_bytes: int) -> float:
    tracemalloc.start()
    decamp(size_bytes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def main() -> None:
    taken: dict[str, list[float]] = {"decamp": [], "hash": [], "two": []}
    for _ in range(RUNS):  # in turn, so that a machine that drifts drifts for all
        taken["decamp"].append(seconds(decamp))
        taken["hash"].append(seconds(hash_alone))
        taken["two"].append(seconds(two_passes))
    ours = statistics.median(taken["decamp"])
    print(f"one pass of {SIZE_BYTES >> 20} MiB, hashed on the way: {SIZE_BYTES / 2**20 / ours:.0f} MiB/s")
    print(f"time / time of SHA-512 alone (bound of one thread): {ours / statistics.median(taken['hash']):.2f}")
    print(f"time / time of two passes (carry, then hash):       {ours / statistics.median(taken['two']):.2f}")
    print(f"peak memory, 64 MiB and 512 MiB: {peak_mib(64 << 20):.1f} and {peak_mib(512 << 20):.1f} MiB")


if __name__ == "__main__":
    main()
