"""The bytes on the seed's disks: always the same for a label, partly compressible, never the same for two labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

BLOCK_BYTES = 64 * 1024
LOG_LINE = "{label} block {number} {digest} accepted connection, served, closed\n"


def image(label: str, size_bytes: int) -> bytes:
    """A disk image's content: in four blocks about two of noise, one of text and one of zeros."""
    blocks = (_block(label, number) for number in range(-(-size_bytes // BLOCK_BYTES)))
    return b"".join(blocks)[:size_bytes]


def patches(label: str, disk_bytes: int, amount_bytes: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of what a guest wrote: whole blocks, scattered over its disk, the first and the last among them."""
    blocks = disk_bytes // BLOCK_BYTES
    wanted = min(max(2, amount_bytes // BLOCK_BYTES), blocks)
    chosen = {0, blocks - 1}
    step = 0
    while len(chosen) < wanted:
        chosen.add(int.from_bytes(_noise(f"{label}/place/{step}", 8)) % blocks)
        step += 1
    for number in sorted(chosen):
        yield number * BLOCK_BYTES, _block(f"{label}/patch", number)


def _block(label: str, number: int) -> bytes:
    noise = hashlib.shake_128(f"{label}/{number}".encode())
    kind = noise.digest(1)[0] % 4
    if kind == 0 and not label.endswith("/patch"):
        return bytes(BLOCK_BYTES)
    if kind == 1:
        line = LOG_LINE.format(label=label, number=number, digest=noise.hexdigest(8)).encode()
        return (line * (BLOCK_BYTES // len(line) + 1))[:BLOCK_BYTES]
    return noise.digest(BLOCK_BYTES)


def _noise(label: str, size_bytes: int) -> bytes:
    return hashlib.shake_128(label.encode()).digest(size_bytes)
