"""Linear programs, with whole-numbered variables or without, solved by HiGHS in a process of its own (`solving`), where it is installed.

Equal problems have equal answers: one thread, and limits counted in steps. A limit in seconds is a caller's own wish, and may only cut
short. An optimiser that dies takes no plan with it: what it died of has no answer, and the planner goes on without. The same for one that
does not come to an end.
"""

from __future__ import annotations

import atexit
import importlib.util
import math
import subprocess
import sys
import threading
import time
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIP_NODES = 500
"""Of the branch-and-bound tree. What is found by then is valid, and so is its bound."""
MIP_GAP = 1e-4
"""Good enough: so near to what is still possible."""
SIMPLEX_ITERATIONS = 2_000_000
MIN_SECONDS = 0.1
PATIENCE_SECONDS = 600.0
"""Waited for an optimiser beyond its limit, and for one without: four times what a whole plan of 10,000 hosts takes."""
LENGTH_BYTES = 8


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    nodes: int = MIP_NODES
    gap: float = MIP_GAP
    seconds: float | None = None


class Program(msgspec.Struct, kw_only=True):
    """Minimise cost x, with lower <= x <= upper and row_lower <= A x <= row_upper; A by its entries that are not 0."""

    cost: Floats
    lower: Floats
    upper: Floats
    whole: NDArray[np.bool_] | None = None
    row_lower: Floats
    row_upper: Floats
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: Floats


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """An array, or the lack of one, on its way between processes."""

    dtype: str
    content: bytes


class Question(msgspec.Struct, frozen=True, kw_only=True):
    program: dict[str, Packed | None]
    limits: Limits


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    values: Packed | None
    """null: no point."""
    prices: Packed | None = None
    bound: float = 0


class Solution(msgspec.Struct, kw_only=True):
    values: Floats
    prices: Floats
    """By row: what one more of it would cost (its dual value); of no use where there are whole-numbered variables."""
    bound: float
    """No point that the program allows costs less."""


@cache
def is_installed() -> bool:
    return importlib.util.find_spec("highspy") is not None


def solve(program: Program, *, nodes: int = MIP_NODES, gap: float = MIP_GAP, seconds: float = math.inf) -> Solution | None:
    """The cheapest point; null where there is none, or none was found within the limits, or no optimiser is installed, or it died."""
    if not is_installed() or seconds <= MIN_SECONDS:
        return None
    limits = Limits(nodes=nodes, gap=gap, seconds=None if seconds == math.inf else seconds)
    fields = {name: pack(getattr(program, name)) for name in Program.__struct_fields__}
    question = msgspec.msgpack.encode(Question(program=fields, limits=limits))
    told = _OPTIMISER.ask(question, seconds=(limits.seconds or 0) + PATIENCE_SECONDS)
    if told is None:
        return None
    answer = msgspec.msgpack.decode(told, type=Answer)
    if answer.values is None or answer.prices is None:
        return None
    return Solution(values=unpack(answer.values), prices=unpack(answer.prices), bound=answer.bound)


def close() -> None:
    """Ends the optimiser's process; the next question begins another."""
    _OPTIMISER.close()


def pack(array: NDArray[Any] | None) -> Packed | None:
    return None if array is None else Packed(dtype=array.dtype.str, content=array.tobytes())


def unpack(packed: Packed) -> NDArray[Any]:
    return np.frombuffer(packed.content, dtype=packed.dtype)


class Optimiser:
    """A process that answers questions, one after the other; each goes and comes behind eight bytes that say how long it is."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def ask(self, question: bytes, *, seconds: float = PATIENCE_SECONDS) -> bytes | None:
        """Null where the process dies of it: twice, as it may have died of something else before; or takes too long, and is ended."""
        with self._turn:
            until = time.monotonic() + seconds
            told = self._exchange(question, until)
            return told if told is not None or time.monotonic() >= until else self._exchange(question, until)

    def close(self) -> None:
        with self._turn:
            self._end()

    def _exchange(self, question: bytes, until: float) -> bytes | None:
        told = None
        try:
            if self._process is None:
                # a session of its own: Ctrl-C is for the planner, which then ends with what it has
                self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            late = threading.Timer(until - time.monotonic(), self._process.kill)
            late.daemon = True
            late.start()
            try:
                told = _exchanged(self._process, question)
            finally:
                late.cancel()
        except OSError:
            pass
        finally:
            if told is None:
                self._end()
        return told

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _exchanged(process: subprocess.Popen[bytes], question: bytes) -> bytes | None:
    if process.stdin is None or process.stdout is None:
        return None
    process.stdin.write(len(question).to_bytes(LENGTH_BYTES) + question)
    process.stdin.flush()
    length = process.stdout.read(LENGTH_BYTES)
    told = process.stdout.read(int.from_bytes(length))
    return told if len(length) == LENGTH_BYTES and len(told) == int.from_bytes(length) else None


_OPTIMISER = Optimiser((sys.executable, "-P", "-m", "decamp.planning.solving"))
atexit.register(close)
