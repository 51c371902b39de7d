"""One pass of bytes from a source to a sink, in fixed memory: counted, hashed on the way, cancellable, never on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Protocol

import msgspec

from decamp.model.effects import Pace, unpaced
from decamp.model.errors import BadInput, Failed, Unreachable

CHUNK_BYTES = 2 * 1024 * 1024
"""Read and sent at a time. Large enough that a chunk's overhead is lost in its transfer, small enough for many copies at once."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What went through."""

    bytes: int
    digests: dict[str, str]
    """Name of the hash algorithm, as hashlib spells it -> hex digest of all the bytes."""


class Body(Sized, Iterable[bytes], Protocol):
    """What a sink is given: chunks, and their total length beforehand (so that a sink can announce it). It can be read once."""

    passed_bytes: int
    """So far."""


def transfer(
    chunks: Iterable[bytes],
    sink: Callable[[Body], None],
    *,
    size_bytes: int,
    algorithms: Iterable[str],
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
    pace: Pace = unpaced,
) -> Receipt:
    """Read `chunks` through to `sink`, which has to read all of its argument before it returns.

    Raises Unreachable if the source ends early or the sink asks for the bytes twice (both happen when a connection breaks: the whole
    transfer may be made again), and Failed if the source has more than `size_bytes`, the sink leaves bytes unread, or it was cancelled.
    """
    flow = _Flow(chunks, size_bytes, algorithms, progress, cancelled, pace)
    sink(flow)
    if flow.passed_bytes != size_bytes:
        raise Failed(f"only {flow.passed_bytes} of {size_bytes} bytes were taken by the receiving side")
    return Receipt(bytes=flow.passed_bytes, digests=flow.digests())


def digests_of(chunks: Iterable[bytes], algorithms: Iterable[str]) -> Receipt:
    """The same figures of bytes that go nowhere: to prove what a cloud holds by reading it back."""
    hashes = _hashes(algorithms)
    passed = 0
    for chunk in chunks:
        passed += len(chunk)
        for one in hashes.values():
            one.update(chunk)
    return Receipt(bytes=passed, digests={name: one.hexdigest() for name, one in hashes.items()})


class _Flow:
    """The bytes under way. HTTP clients send its length beforehand, so that the receiver can tell a broken stream from a whole one."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        size_bytes: int,
        algorithms: Iterable[str],
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        pace: Pace,
    ) -> None:
        self.passed_bytes = 0
        self._chunks = chunks
        self._size_bytes = size_bytes
        self._hashes = _hashes(algorithms)
        self._progress = progress
        self._cancelled = cancelled
        self._pace = pace
        self._begun = False

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        if self._begun:
            raise Unreachable("the receiving side asked for the bytes a second time, but they are streamed once: the copy begins anew")
        self._begun = True
        return self._read()

    def digests(self) -> dict[str, str]:
        return {name: one.hexdigest() for name, one in self._hashes.items()}

    def _read(self) -> Iterator[bytes]:
        for chunk in self._paced():
            self.passed_bytes += len(chunk)
            if self.passed_bytes > self._size_bytes:
                raise Failed(f"the source has more than the {self._size_bytes} bytes that it announced")
            for one in self._hashes.values():
                one.update(chunk)
            yield chunk
            self._progress(self.passed_bytes, self._size_bytes)
        if self.passed_bytes < self._size_bytes:
            raise Unreachable(f"the source ended after {self.passed_bytes} of {self._size_bytes} bytes")

    def _paced(self) -> Iterator[bytes]:
        """The chunks, or such pieces of them as may go."""
        for chunk in self._chunks:
            begin = 0
            while begin < len(chunk):
                if self._cancelled():
                    raise Failed(f"stopped after {self.passed_bytes} of {self._size_bytes} bytes, because the run was cancelled")
                going = self._pace(len(chunk) - begin)
                if going:
                    yield chunk[begin : begin + going]
                    begin += going


def _hashes(algorithms: Iterable[str]) -> dict[str, hashlib._Hash]:
    try:
        return {name: hashlib.new(name, usedforsecurity=False) for name in sorted(set(algorithms))}
    except ValueError as error:
        raise BadInput(f"a hash algorithm that this Python does not know: {error}") from error
