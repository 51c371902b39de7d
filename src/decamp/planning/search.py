"""The search for a plan near the optimum: a bound, a fractional choice of hosts, a packing of it, and repairs until it holds."""

# pyright: standard
from __future__ import annotations

from random import Random

import numpy as np

from decamp.planning.assembly import Assembly, carry_out
from decamp.planning.estate import Bools, Estate
from decamp.planning.homing import bring_home, send_home
from decamp.planning.pace import Pace
from decamp.planning.packing import NOWHERE, Packing, packed_as_proposed
from decamp.planning.refilling import refill
from decamp.planning.relaxation import Relaxation
from decamp.planning.repacking import repack

HOSTS_A_PROBLEM, FEWEST_PROBLEMS, MOST_PROBLEMS = 25, 40, 200
"""How many small problems are solved for one packing, by the number of hosts, and as many again to bring servers home: they gain a few
hosts in a hundred, or most of the bytes that need not be moved, and take most of the time.
"""

ATTEMPTS, LARGE = 2, 500
"""At as many hosts as possible; one in a cloud of more hosts than that, where the second gains one host in hundreds, or none."""

ASSEMBLED, TRIES, LOST, LEFT_PROBLEMS = 3000, 2, 0.005, 6
"""Clouds of up to so many hosts are assembled: above that, the program of all their fillings takes minutes. How many numbers of hosts are
tried, from the most downward, unless no larger share of them was lost; and how many small problems are solved for the few servers that are
left without a place.
"""


class Search:
    """For the hosts that may be freed of one cloud."""

    def __init__(self, estate: Estate, freeable: Bools, *, seed: int = 0, pace: Pace | None = None) -> None:
        self.estate, self.freeable, self.seed, self.pace = estate, freeable, seed, pace or Pace()
        self.relaxation = Relaxation(estate, freeable)
        self.count = int(freeable.sum())
        self.problems = max(FEWEST_PROBLEMS, min(MOST_PROBLEMS, len(estate.hosts) // HOSTS_A_PROBLEM))
        has_work = bool(self.relaxation.movers.any() and estate.takes.any() and estate.resources)
        is_assembled = has_work and len(estate.hosts) <= ASSEMBLED
        self.assembly = Assembly(self.relaxation, seed=seed, pace=self.pace) if is_assembled else None
        self.residents = True
        """Whether servers of hosts that stay may be moved to make room."""

    def find(self) -> Packing:
        """What the goal asks for, as far as it is found; nothing where there is no optimiser or no time."""
        goal = self.estate.goal
        packing = self.as_many_as_possible() if goal.count is None else self.at_least(min(goal.count, self._most()))
        if packing is None:
            return Packing(self.estate)
        bring_home(packing, self.pace, most=self.problems if self.assembly is None else LEFT_PROBLEMS)
        return packing

    def _most(self) -> int:
        """More cannot be freed: to look for so many costs bytes, and finds none."""
        return self.count - (self.relaxation.fewest_kept(seconds=self.pace.seconds_left()) or 0)

    def as_many_as_possible(self) -> Packing | None:
        """The most hosts freed, and among such the least moved. Null where no program proposes anything."""
        fewest = self.relaxation.fewest_kept(seconds=self.pace.seconds_left())
        if fewest is None:
            return None
        assembled = self._as_many_assembled(fewest)
        if assembled is not None and (len(self.estate.hosts) > LARGE or self.kept(assembled) == fewest):
            return assembled
        low, best = fewest, self.attempt(fewest)
        attempts = ATTEMPTS if len(self.estate.hosts) <= LARGE else 1
        while best is not None and self.kept(best) - low > 1 and attempts > 1 and not self.pace.is_over():
            attempts -= 1
            middle = (low + self.kept(best)) // 2
            packing = self.attempt(middle)
            low = middle if packing is None or self.kept(packing) > middle else low
            best = self._better(best, packing)
        return self._better(best, assembled)

    def _as_many_assembled(self, fewest: int) -> Packing | None:
        best: Packing | None = None
        for kept in range(fewest, min(fewest + TRIES, self.count)):
            packing = self.assembled(kept)
            best = self._better(best, packing)
            if packing is None or self.pace.is_over() or self.kept(packing) - kept <= LOST * (self.count - kept):
                break
        return best

    def _better(self, *packings: Packing | None) -> Packing | None:
        """More hosts freed, or fewer bytes moved."""
        return min((one for one in packings if one is not None), key=lambda one: (self.kept(one), self.bytes(one)), default=None)

    def at_least(self, freed: int) -> Packing | None:
        """So many hosts freed, at the least bytes; fewer where that is not found. Never more."""
        best: Packing | None = None
        kept, step = self.count - freed, 1
        while kept >= 0 and not self.pace.is_over():
            assembled = self.assembled(kept)
            is_enough = assembled is not None and len(assembled.freed) >= freed
            found = [one for one in (assembled, None if is_enough else self.attempt(kept)) if one is not None]
            if not found:
                break
            best = min((*([best] if best else ()), *found), key=lambda one: (max(0, freed - len(one.freed)), self.bytes(one)))
            if len(best.freed) >= freed or kept == 0:
                break
            kept, step = max(0, kept - step), step * 2
        while best is not None and len(best.freed) > freed:
            best.take_back(max(best.freed, key=lambda host: (self.relaxation.bytes_leaving[host], -host)))
        return best

    def assembled(self, kept: int) -> Packing | None:
        """The best fillings for so many kept hosts; those for whose servers there is no room are taken back."""
        assembled = self.assembly and self.assembly.assemble(self.count - kept)
        if not self.assembly or not assembled:
            return None
        packing = Packing(self.estate)
        homeless = carry_out(packing, self.assembly.fillings, assembled)
        self.settle(packing, homeless, problems=LEFT_PROBLEMS)
        return packing

    def attempt(self, kept: int) -> Packing | None:
        """Pack what is proposed for so many kept hosts.

        Those for whose servers there is no room are taken back, so that there may be more.
        """
        proposal = self.relaxation.propose(kept, residents=False, seconds=self.pace.seconds_left())
        is_tight = proposal is None
        proposal = proposal or self.relaxation.propose(kept, seconds=self.pace.seconds_left())
        if proposal is None:
            return None
        packing, homeless = packed_as_proposed(self.relaxation, proposal, kept)
        self.settle(packing, homeless, problems=self.problems, is_tight=is_tight)
        return packing

    def settle(self, packing: Packing, homeless: list[int], *, problems: int, is_tight: bool = False) -> None:
        """`is_tight`: without moving residents there is no room for all."""
        random = Random(self.seed)  # noqa: S311 the same choices each time, not secret ones
        while homeless:
            for residents in (False, True):
                if residents >= is_tight and residents <= self.residents:
                    homeless = refill(packing, homeless, self.pace, residents=residents)
                    homeless = [server for server in homeless if not packing.make_room(server)]
                    homeless, tried = repack(packing, homeless, random, self.pace, residents=residents, most=problems)
                    problems -= tried
            for _ in range(self._hosts_to_take_back(packing, homeless)):
                packing.take_back(best_to_take_back(packing, homeless))
                homeless = packing.place(server for server in homeless if packing.at[server] == NOWHERE)
                if not homeless:
                    break
        send_home(packing)
        while eaten := packing.spare_eaten():
            columns = [self.estate.resources.index(name) for name in eaten]
            packing.take_back(max(packing.freed, key=lambda host: (self.estate.room[host, columns].sum(), -host)))

    def _hosts_to_take_back(self, packing: Packing, homeless: list[int]) -> int:
        """Before what is left is looked at again: half of what the homeless would fill, one at least."""
        if not homeless:
            return 0
        estate, size = self.estate, packing.size[self.estate.class_of]
        of_a_host = size[np.isin(estate.home, list(packing.freed))].sum() / len(packing.freed)
        return max(1, int(size[homeless].sum() / max(of_a_host, 1e-9) / 2))

    def kept(self, packing: Packing) -> int:
        return self.count - len(packing.freed)

    def bytes(self, packing: Packing) -> int:
        moved = np.array(packing.at) != self.estate.home
        return int(self.estate.bytes[moved & ~self.estate.is_shelved].sum())


def best_to_take_back(packing: Packing, homeless: list[int]) -> int:
    """The freed host on which most of them would find room beside its own servers."""
    estate = packing.estate
    hosts = np.array(sorted(packing.freed))
    room = estate.room[hosts] - estate.held()[hosts]
    takes = estate.takes[hosts]
    count = np.zeros(len(hosts))
    for server in homeless:
        number = estate.class_of[server]
        demand = estate.demand[number]
        own = estate.home[server] == hosts
        fits = takes & estate.fits_kind[number][estate.kind_of[hosts]] & ((room >= demand) | (demand == 0)).all(axis=1) & ~own
        room[fits] -= demand
        count += fits | own
    return int(hosts[np.lexsort((hosts, -count))[0]])
