import pytest
from hypothesis import given
from hypothesis import strategies as st

from decamp.model.amounts import Inventory, add, shortage, subtract

AMOUNTS = st.dictionaries(st.sampled_from(["VCPU", "MEMORY_MB", "DISK_GB", "CUSTOM_FPGA"]), st.integers(0, 10_000))


@pytest.mark.parametrize(
    ("total", "reserved", "ratio", "usable"),
    [(32, 0, 4.0, 128), (131072, 4096, 1.0, 126976), (3, 0, 1.5, 4), (10, 10, 16.0, 0), (8, 0, 0.9, 7)],
)
def test_usable_is_what_placement_would_allocate(total: int, reserved: int, ratio: float, usable: int) -> None:
    assert Inventory(total=total, reserved=reserved, allocation_ratio=ratio).usable() == usable


@given(AMOUNTS, AMOUNTS)
def test_what_is_subtracted_was_added(left: dict[str, int], right: dict[str, int]) -> None:
    assert {c: n for c, n in subtract(add(left, right), right).items() if n} == {c: n for c, n in left.items() if n}


@given(AMOUNTS, AMOUNTS)
def test_there_is_a_shortage_exactly_where_the_demand_is_larger(demand: dict[str, int], free: dict[str, int]) -> None:
    assert set(shortage(demand, free)) == {c for c, n in demand.items() if n > free.get(c, 0)}


def test_a_class_that_is_not_there_is_short_by_all_of_the_demand() -> None:
    assert shortage({"CUSTOM_FPGA": 2}, {"VCPU": 8}) == {"CUSTOM_FPGA": 2}
