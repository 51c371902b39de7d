"""The copying of bytes in one pass."""

from __future__ import annotations

import hashlib
import itertools
import tracemalloc
from collections.abc import Iterator

import pytest

from decamp.copy.stream import CHUNK_BYTES, Body, Receipt, digests_of, transfer
from decamp.model.errors import BadInput, Failed, Unreachable

BYTES = bytes(range(256)) * 40
SIZE_BYTES = len(BYTES)


def chunks_of(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def copy(
    chunks, sink, *, size_bytes=SIZE_BYTES, algorithms=("sha512",), progress=lambda done, total: None, cancelled=lambda: False
) -> Receipt:
    return transfer(chunks, sink, size_bytes=size_bytes, algorithms=algorithms, progress=progress, cancelled=cancelled)


def test_all_bytes_arrive_in_order_and_the_receipt_carries_their_hashes():
    arrived = bytearray()
    receipt = copy(chunks_of(BYTES), lambda body: arrived.extend(b"".join(body)), algorithms=("sha512", "md5"))
    assert bytes(arrived) == BYTES
    assert receipt.bytes == len(BYTES)
    assert receipt.digests == {"sha512": hashlib.sha512(BYTES).hexdigest(), "md5": hashlib.md5(BYTES).hexdigest()}  # noqa: S324


def test_the_sink_knows_the_length_before_the_first_byte():
    lengths: list[int] = []

    def sink(body: Body) -> None:
        lengths.append(len(body))
        list(body)

    copy(chunks_of(BYTES), sink)
    assert lengths == [len(BYTES)]


def test_a_source_that_ends_early_breaks_the_stream_before_the_sink_can_take_it_for_whole():
    finished: list[bool] = []

    def sink(body: Body) -> None:
        list(body)
        finished.append(True)

    with pytest.raises(Unreachable, match="ended after 5000 of 10240 bytes"):
        copy(chunks_of(BYTES[:5000]), sink)
    assert not finished


def test_a_source_that_has_more_than_announced_is_not_a_copy():
    with pytest.raises(Failed, match="more than the 10239 bytes"):
        copy(chunks_of(BYTES), list, size_bytes=len(BYTES) - 1)


def test_a_sink_that_begins_again_is_told_that_the_bytes_are_gone():
    def retrying(body: Body) -> None:
        next(iter(body))
        list(body)

    with pytest.raises(Unreachable, match="second time"):
        copy(chunks_of(BYTES), retrying)


def test_a_sink_that_leaves_bytes_unread_has_failed():
    with pytest.raises(Failed, match="only 1000 of 10240 bytes were taken"):
        copy(chunks_of(BYTES), lambda body: next(iter(body)) and None)


def test_cancelling_stops_within_a_chunk():
    taken: list[bytes] = []

    def sink(body: Body) -> None:
        taken.extend(body)

    with pytest.raises(Failed, match="cancelled"):
        copy(chunks_of(BYTES), sink, cancelled=lambda: len(taken) >= 3)
    assert len(taken) == 3


def test_progress_ends_at_the_total():
    seen: list[tuple[int, int]] = []
    copy(chunks_of(BYTES), list, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(BYTES), len(BYTES))


def test_an_unknown_hash_algorithm_is_bad_input():
    with pytest.raises(BadInput, match="rot13"):
        copy(chunks_of(BYTES), list, algorithms=("rot13",))


def test_reading_back_gives_the_figures_of_the_transfer():
    sent = copy(chunks_of(BYTES), list)
    assert digests_of(chunks_of(BYTES, 77), ("sha512",)) == sent


def test_memory_does_not_grow_with_the_size():
    def peak_bytes(chunks: int) -> int:
        def sink(body: Body) -> None:
            for _ in body:
                pass

        tracemalloc.start()
        copy((bytes(CHUNK_BYTES) for _ in range(chunks)), sink, size_bytes=chunks * CHUNK_BYTES)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    small, large = peak_bytes(4), peak_bytes(64)
    assert large < small + CHUNK_BYTES
    assert large < 4 * CHUNK_BYTES


def test_no_more_goes_at_a_time_than_the_pace_lets_through_and_all_arrives() -> None:
    taken: list[bytes] = []
    allowed = itertools.cycle([3, 0, 1])
    receipt = transfer(
        [b"abcdefgh", b"", b"ij"],
        taken.extend,
        size_bytes=10,
        algorithms=["sha256"],
        progress=lambda done, total: None,
        cancelled=lambda: False,
        pace=lambda wanted: min(wanted, next(allowed)),
    )
    assert max(map(len, taken)) == 3
    assert b"".join(taken) == b"abcdefghij"
    assert receipt.digests["sha256"] == hashlib.sha256(b"abcdefghij").hexdigest()


def test_a_cancel_is_heard_while_nothing_may_go() -> None:
    asked: list[int] = []

    def nothing(wanted: int) -> int:
        asked.append(wanted)
        return 0

    with pytest.raises(Failed, match="stopped after 0 of 4 bytes, because the run was cancelled"):
        transfer(
            [b"abcd"],
            lambda body: [*body].clear(),
            size_bytes=4,
            algorithms=(),
            progress=lambda done, total: None,
            cancelled=lambda: len(asked) == 2,
            pace=nothing,
        )
