"""Amounts of Placement's resource classes (VCPU, MEMORY_MB, DISK_GB, any custom one), as plain integers by class name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

Amounts = Mapping[str, int]


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """One resource class of one resource provider, as Placement reports it."""

    total: int
    reserved: int = 0
    allocation_ratio: float = 1.0

    def usable(self) -> int:
        """(total - reserved) x allocation_ratio, rounded down: Placement's own rule for what can be allocated."""
        return int((self.total - self.reserved) * self.allocation_ratio)


def usable(inventories: Mapping[str, Inventory]) -> dict[str, int]:
    return {resource_class: inventory.usable() for resource_class, inventory in inventories.items()}


def add(*amounts: Amounts) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in amounts:
        for resource_class, amount in one.items():
            total[resource_class] = total.get(resource_class, 0) + amount
    return total


def total(amounts: Iterable[Amounts]) -> dict[str, int]:
    return add(*amounts)


def subtract(minuend: Amounts, subtrahend: Amounts) -> dict[str, int]:
    return add(minuend, {resource_class: -amount for resource_class, amount in subtrahend.items()})


def shortage(demand: Amounts, free: Amounts) -> dict[str, int]:
    """What is missing of each class for the demand to fit into what is free; empty when it fits. A class that is not there has 0."""
    return {c: amount - free.get(c, 0) for c, amount in demand.items() if amount > max(free.get(c, 0), 0)}
