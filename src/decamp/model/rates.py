"""Rates as people write them."""

from __future__ import annotations

import re

_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kKMGT]?i?)(?P<what>B|bit)/s", re.ASCII)
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}


def bytes_per_second(text: str) -> int:
    """Of `2GB/s`, `500 MiB/s`, `10Gbit/s`. Raises ValueError, in a sentence."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no rate: write it as 2GB/s, 500MiB/s or 10Gbit/s")
    prefix = match["unit"]
    base = 1024 if prefix.endswith("i") else 1000
    rate = int(float(match["number"]) * base ** _POWERS[prefix.removesuffix("i").replace("K", "k")]) // (8 if match["what"] == "bit" else 1)
    if rate < 1:
        raise ValueError(f"{text!r} lets nothing through")
    return rate
