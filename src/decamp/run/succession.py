"""What comes after a run that is over: the run that takes up its rest, or nothing. Asked again after a crash, it begins nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from decamp.model.chain import Chain, FollowUp
from decamp.model.errors import Unreachable
from decamp.model.run import Conclusion, Later
from decamp.run import chains
from decamp.run.database import Database
from decamp.run.patience import Patience
from decamp.run.runs import Runs

Say = Callable[[str], None]
Follow = Callable[[Chain, Say], FollowUp | Later | Conclusion]
"""Decides what follows a chain of runs whose last is over; it says what it does meanwhile. Unreachable is tried again."""

LOOK_SECONDS = 0.5
"""While it waits: for a cancel, another round, the end of this process."""


class Succession(msgspec.Struct, frozen=True, kw_only=True):
    """What decides it is given from outside: here nothing is known of clouds, nor of plans."""

    database: Database
    follow: Follow
    patience: Patience
    leave: Callable[[], None]
    """Raises what ends this thread, if the process is about to end."""

    def take_up(self, run: str, round: int) -> str | None:
        """The run that follows, begun or found; None: nothing follows, or another round has begun. Raises what `follow` raises."""
        first, failures = time.monotonic(), 0
        while True:
            self.leave()
            now = self._standing(run)
            if now.followed_by is not None:
                return now.followed_by
            if now.round != round or now.concluded:
                return None
            try:
                chain = Runs(self.database).chain(run)
                answer = self.follow(chain, lambda text: self._say(run, round, text))
            except Unreachable as error:
                failures += 1
                pause = self.patience.pause(failures, time.monotonic() - first)
                if pause is None:
                    raise
                self._say(run, round, f"no answer, tried {failures} times, once more in {pause:.0f} s: {error}")
                self._wait(run, round, now, pause)
                continue
            first, failures = time.monotonic(), 0
            match answer:
                case FollowUp() as follow_up:
                    if begun := self._begin(chain, round, follow_up):
                        return begun
                case Later():
                    self._say(run, round, answer.text)
                    self._wait(run, round, now, answer.seconds)
                case Conclusion() as conclusion:
                    self.database.steadily(lambda: chains.conclude(self.database, run, round, conclusion))
                    return None

    def _begin(self, chain: Chain, round: int, follow_up: FollowUp) -> str | None:
        known = chain.last.cancel_asked_at is not None
        return self.database.steadily(lambda: chains.take_up(self.database, chain.last.id, round, follow_up, cancelled=known))

    def _standing(self, run: str) -> chains.Standing:
        return self.database.steadily(lambda: chains.standing(self.database, run))

    def _say(self, run: str, round: int, text: str) -> None:
        self.leave()
        self.database.steadily(lambda: chains.say(self.database, run, round, text))

    def _wait(self, run: str, round: int, before: chains.Standing, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._standing(run) == before:
            self.leave()
            time.sleep(min(left, LOOK_SECONDS))
