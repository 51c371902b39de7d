"""Linear programs, put together block by block: columns, rows, and what stands where they cross."""

from __future__ import annotations

import numpy as np

from decamp.planning.estate import Bools, Ints
from decamp.planning.solver import Floats, Program


class Builder:
    """Collects columns, rows and entries."""

    def __init__(self) -> None:
        self.cost, self.lower, self.upper, self.whole = list[Floats](), list[Floats](), list[Floats](), list[Bools]()
        self.row_lower, self.row_upper, self.scales = list[Floats](), list[Floats](), list[Floats]()
        self.entries: list[tuple[Ints, Ints, Floats]] = []
        self.width = self.height = 0

    def columns(self, count: int, *, cost: object = 0, lower: object = 0, upper: object = np.inf, whole: bool = False) -> Ints:
        numbers = np.arange(self.width, self.width + count)
        self.width += count
        self.cost.append(_filled(count, cost))
        self.lower.append(_filled(count, lower))
        self.upper.append(_filled(count, upper))
        self.whole.append(np.full(count, whole))
        return numbers

    def rows(self, lower: object, upper: object, *, scale: Floats | None = None) -> Ints:
        """Each divided by its scale."""
        lowest = np.asarray(lower, dtype=float)
        scale = np.ones(len(lowest)) if scale is None else scale
        numbers = np.arange(self.height, self.height + len(lowest))
        self.height += len(lowest)
        self.row_lower.append(lowest / scale)
        self.row_upper.append(np.asarray(upper, dtype=float) / scale)
        self.scales.append(scale)
        return numbers

    def enter(self, rows: Ints, columns: Ints, values: object = 1) -> None:
        self.entries.append((rows, columns, _filled(len(columns), values)))

    def fit(self, columns: Ints, pairs: Ints, demand: Ints, room: Ints) -> None:
        """No more than there is room for: each column is how many of a row of `demand` are at a row of `room`, as its pair says."""
        scale = np.tile(np.maximum(demand.max(axis=0), 1).astype(float), len(room))
        capacity = self.rows(np.full(room.size, -np.inf), room.ravel(), scale=scale).reshape(room.shape)
        for resource in range(room.shape[1]):
            asking = demand[pairs[:, 0], resource] > 0
            self.enter(capacity[pairs[asking, 1], resource], columns[asking], demand[pairs[asking, 0], resource])

    def program(self) -> Program:
        rows = np.concatenate([entry[0] for entry in self.entries])
        columns = np.concatenate([entry[1] for entry in self.entries])
        values = np.concatenate([entry[2] for entry in self.entries]) / np.concatenate(self.scales)[rows]
        cells, place = np.unique(columns * self.height + rows, return_inverse=True)
        summed = np.bincount(place.ravel(), weights=values, minlength=len(cells)).astype(np.float64)
        filled = summed != 0
        return Program(
            cost=np.concatenate(self.cost),
            lower=np.concatenate(self.lower),
            upper=np.concatenate(self.upper),
            whole=np.concatenate(self.whole),
            row_lower=np.concatenate(self.row_lower),
            row_upper=np.concatenate(self.row_upper),
            rows=(cells[filled] % self.height).astype(np.int32),
            columns=(cells[filled] // self.height).astype(np.int32),
            values=summed[filled],
        )


def _filled(count: int, value: object) -> Floats:
    return np.broadcast_to(np.asarray(value, dtype=float), (count,)).copy()
