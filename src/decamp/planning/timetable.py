"""When each server of a vacate leaves: event-driven list scheduling on the hosts' NICs, and what no schedule could undercut.

A server in flight holds a turn of both hosts, of which a host has as many as migrations that it takes at a time. What a host sends, its
migrations share in equal parts, and so they share what it receives: each goes at the smaller of its two shares. Nothing else limits
how many are in flight. Whenever something ends, whatever may begin begins; what comes first is said in `Timetable`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import msgspec

URGENT = (0.85, 0.6, 0.4)
"""A move is urgent when what is left of its hosts' or its group's work would end after this share of the lower bound. A larger share frees
hosts earlier, a smaller one leaves more room to end in time (`bench/vacate`: the order alone)."""

CLOSE = 1.02
"""A timetable within this of the lower bound is good enough to try no smaller share."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A host, as the schedule sees it."""

    name: str
    bytes_per_second: float
    """Of its NIC, in each direction."""
    turns: int
    """Migrations at a time, in and out together."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A server's move. Hosts, groups and other jobs by their numbers; equal arguments are met in this order, the most important first."""

    bytes: int
    source: int
    target: int | None
    """null: it leaves and goes nowhere."""
    group: int | None = None
    """Of whose members one is in flight at a time."""
    after: tuple[int, ...] = ()


class Started(msgspec.Struct, frozen=True, kw_only=True):
    job: int
    source_turn: int
    target_turn: int | None
    """Which of the host's turns it takes, from 0."""


class Emptied(msgspec.Struct, frozen=True, kw_only=True):
    """The last of the servers that leave a host has left it."""

    host: int
    seconds: float


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    seconds: float
    proof: str


def lower_bound(lines: Sequence[Line], jobs: Sequence[Job]) -> Bound:
    """No order of these moves takes less, whatever its priorities and whatever shares the migrations get.

    All that a host sends goes through its NIC, and so does all that it receives. A move lasts at least its bytes through the slower of its
    two NICs, alone; a host that takes k at a time has at most k of them in every second, and a group whose members go one after the
    other has one. The largest of these is the bound.
    """
    sends, receives, turns, chains = [0.0] * len(lines), [0.0] * len(lines), [0.0] * len(lines), dict[int, float]()
    best = Bound(seconds=0.0, proof="nothing is moved")
    for job in jobs:
        alone = least_seconds(lines, job)
        sends[job.source] += job.bytes / lines[job.source].bytes_per_second
        turns[job.source] += alone / lines[job.source].turns
        if job.target is not None:
            receives[job.target] += job.bytes / lines[job.target].bytes_per_second
            turns[job.target] += alone / lines[job.target].turns
        if job.group is not None:
            chains[job.group] = chains.get(job.group, 0.0) + alone
        best = _larger(best, alone, "the largest server, alone on the NICs of its two hosts")
    for line, sent, received, taken in zip(lines, sends, receives, turns, strict=True):
        best = _larger(best, sent, f"all that {line.name} sends goes through its NIC")
        best = _larger(best, received, f"all that {line.name} receives goes through its NIC")
        best = _larger(
            best, taken, f"{line.name} takes {line.turns} at a time, and each lasts as long as the slower NIC of its hosts needs"
        )
    for seconds in chains.values():
        best = _larger(best, seconds, "the members of an anti-affinity group go one after the other")
    return best


def least_seconds(lines: Sequence[Line], job: Job) -> float:
    rates = [lines[job.source].bytes_per_second]
    if job.target is not None:
        rates.append(lines[job.target].bytes_per_second)
    return job.bytes / min(rates)


def _larger(best: Bound, seconds: float, proof: str) -> Bound:
    return Bound(seconds=seconds, proof=proof) if seconds > best.seconds else best


def timetable(lines: Sequence[Line], jobs: Sequence[Job], bound: Bound) -> Timetable:
    """The first that is close to the bound, with the largest share of moves left to free hosts early; where none is, the shortest."""
    best = Timetable(lines, jobs, urgent_after=bound.seconds * URGENT[0])
    for share in URGENT[1:]:
        if best.seconds <= bound.seconds * CLOSE:
            break
        best = min(best, Timetable(lines, jobs, urgent_after=bound.seconds * share), key=lambda one: one.seconds)
    return best


class Timetable:
    """A schedule, made as it is constructed.

    Urgent moves begin first, those with the most work behind them before the others: they decide when all is done. Whatever is not urgent
    is ordered by what is left on its source, the least first, so that the hosts that are freed become free one after the other,
    and do not all wait for the end. A job that others wait for is always urgent.
    """

    def __init__(self, lines: Sequence[Line], jobs: Sequence[Job], *, urgent_after: float) -> None:
        self.events: list[Started | Emptied] = []
        """In the order of their time."""
        self.seconds = 0.0
        """Until the last of them ends."""
        self._lines, self._jobs = lines, jobs
        self._urgent_after = urgent_after
        self._alone = [least_seconds(lines, job) for job in jobs]
        self._pending: list[list[int]] = [[] for _ in lines]
        self._to_leave = [0] * len(lines)
        self._work = [0.0] * len(lines)
        self._work_of_group: dict[int, float] = {}
        self._waits = [len(job.after) for job in jobs]
        self._dependents: dict[int, list[int]] = {}
        self._of_group: dict[int, list[int]] = {}
        self._begun = bytearray(len(jobs))
        self._turns = [list(range(line.turns)) for line in lines]
        self._busy_groups: set[int] = set()
        for number, job in enumerate(jobs):
            self._add(number, job)
        self._traffic = Traffic(lines, jobs)
        self._run()

    def _add(self, number: int, job: Job) -> None:
        self._to_leave[job.source] += 1
        for host in _ends(job):
            self._pending[host].append(number)
            self._work[host] += self._alone[number] / self._lines[host].turns
        if job.group is not None:
            self._of_group.setdefault(job.group, []).append(number)
            self._work_of_group[job.group] = self._work_of_group.get(job.group, 0.0) + self._alone[number]
        for other in job.after:
            self._dependents.setdefault(other, []).append(number)

    def _run(self) -> None:
        held: dict[int, Started] = {}
        self._begin(range(len(self._lines)), held)
        while (ended := self._traffic.next_ended()) is not None:
            self.seconds, numbers = ended
            changed: dict[int, None] = {}
            for number in numbers:
                self._end(number, held.pop(number), changed)
            self._begin(changed, held)

    def _begin(self, hosts: Iterable[int], held: dict[int, Started]) -> None:
        """All that may begin now on any of the hosts."""
        candidates = {number: self._priority(number) for host in hosts if self._turns[host] for number in self._startable(host)}
        for number in sorted(candidates, key=candidates.__getitem__):
            if self._may_begin(number):
                job = self._jobs[number]
                turns = [heapq.heappop(self._turns[host]) for host in _ends(job)]
                started = Started(job=number, source_turn=turns[0], target_turn=turns[1] if job.target is not None else None)
                held[number] = started
                self.events.append(started)
                self._begun[number] = True
                for host in _ends(job):
                    self._work[host] -= self._alone[number] / self._lines[host].turns
                if job.group is not None:
                    self._busy_groups.add(job.group)
                    self._work_of_group[job.group] -= self._alone[number]
                self._traffic.begin(number, self.seconds)

    def _startable(self, host: int) -> list[int]:
        self._pending[host] = [number for number in self._pending[host] if not self._begun[number]]
        return [number for number in self._pending[host] if self._may_begin(number)]

    def _may_begin(self, number: int) -> bool:
        job = self._jobs[number]
        return bool(
            not self._waits[number]
            and self._turns[job.source]
            and (job.target is None or self._turns[job.target])
            and (job.group is None or job.group not in self._busy_groups)
        )

    def _priority(self, number: int) -> tuple[bool, float, int]:
        job = self._jobs[number]
        behind = self._work[job.source]
        if job.target is not None and self._work[job.target] > behind:
            behind = self._work[job.target]
        if job.group is not None and self._work_of_group[job.group] > behind:
            behind = self._work_of_group[job.group]
        if self.seconds + behind > self._urgent_after or number in self._dependents:
            return False, -behind, number
        return True, self._work[job.source], number

    def _end(self, number: int, started: Started, changed: dict[int, None]) -> None:
        job = self._jobs[number]
        heapq.heappush(self._turns[job.source], started.source_turn)
        if job.target is not None and started.target_turn is not None:
            heapq.heappush(self._turns[job.target], started.target_turn)
        changed.update(dict.fromkeys(_ends(job)))
        if job.group is not None:
            self._busy_groups.discard(job.group)
            changed.update((self._jobs[other].source, None) for other in self._of_group[job.group] if not self._begun[other])
        for other in self._dependents.get(number, ()):
            self._waits[other] -= 1
            changed[self._jobs[other].source] = None
        self._to_leave[job.source] -= 1
        if not self._to_leave[job.source]:
            self.events.append(Emptied(host=job.source, seconds=self.seconds))


class Traffic:
    """The moves in flight, each at the smaller of its two shares; shares change when another one begins or ends on one of its hosts."""

    def __init__(self, lines: Sequence[Line], jobs: Sequence[Job]) -> None:
        self._lines, self._jobs = lines, jobs
        self._left: dict[int, float] = {}
        self._rates: dict[int, float] = {}
        self._since: dict[int, float] = {}
        self._sent: list[list[int]] = [[] for _ in lines]
        self._received: list[list[int]] = [[] for _ in lines]
        self._ends: list[tuple[float, int]] = []
        self._end_of: dict[int, float] = {}

    def begin(self, number: int, now: float) -> None:
        job = self._jobs[number]
        self._left[number], self._since[number] = float(job.bytes), now
        self._sent[job.source].append(number)
        if job.target is not None:
            self._received[job.target].append(number)
        self._share(job, now)

    def next_ended(self) -> tuple[float, list[int]] | None:
        """All that ends next, at one time."""
        ended: list[int] = []
        now = 0.0
        while self._ends and (not ended or self._ends[0][0] == now):
            end, number = heapq.heappop(self._ends)
            if self._end_of.get(number) == end:
                now = end
                ended.append(number)
                self._remove(number)
        for number in ended:
            self._share(self._jobs[number], now)
        return (now, ended) if ended else None

    def _remove(self, number: int) -> None:
        job = self._jobs[number]
        self._sent[job.source].remove(number)
        if job.target is not None:
            self._received[job.target].remove(number)
        for state in (self._left, self._since, self._end_of):
            del state[number]
        self._rates.pop(number)

    def _share(self, job: Job, now: float) -> None:
        """The shares anew of all that shares a NIC with the job."""
        for number in {*self._sent[job.source], *(self._received[job.target] if job.target is not None else ())}:
            other = self._jobs[number]
            rate = self._lines[other.source].bytes_per_second / len(self._sent[other.source])
            if other.target is not None:
                rate = min(rate, self._lines[other.target].bytes_per_second / len(self._received[other.target]))
            before = self._rates.get(number)
            if rate != before:
                self._left[number] -= (before or 0.0) * (now - self._since[number])
                self._since[number], self._rates[number] = now, rate
                self._end_of[number] = now + max(0.0, self._left[number]) / rate
                heapq.heappush(self._ends, (self._end_of[number], number))


def _ends(job: Job) -> tuple[int, ...]:
    return (job.source,) if job.target is None else (job.source, job.target)
