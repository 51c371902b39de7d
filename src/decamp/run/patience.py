"""How long a service that does not answer is waited for: exponential backoff with jitter, bounded; and what it was asked for before."""

from __future__ import annotations

import random

import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    total_seconds: float = 6 * 3600
    """A cloud's control plane that is upgraded over night comes back within this."""
    arrives_seconds: float = 10.0
    """What a request without an answer asked for is looked for this long, before it is asked for again. Services write down what they are
    to make within a few seconds, but not always at once: a server of Nova's is nowhere while its networks and volumes are checked."""

    def pause(self, failures: int, elapsed_seconds: float, jitter: float | None = None) -> float | None:
        """Seconds to wait after so many failures in a row; None: enough. `jitter` in 0..1 spreads workers that failed together."""
        if elapsed_seconds >= self.total_seconds:
            return None
        full = min(self.longest_seconds, self.first_seconds * 2 ** min(failures - 1, 30))
        share = random.random() if jitter is None else jitter  # noqa: S311 - nothing is secret about a pause
        return min(full * (0.5 + share / 2), self.total_seconds - elapsed_seconds)
