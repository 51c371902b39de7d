import pytest

from decamp.hosts.enrolling import differences

DECLARED = {"cpu": 16, "memory_mib": 131072, "disk_gib": 900, "arch": "x86_64", "macs": ["52:54:00:0D:00:01"]}
FOUND = {"cpus": 16, "memory_mb": 131072, "local_gb": 899, "cpu_arch": "x86_64"}
MACS = frozenset({"52:54:00:0d:00:01", "52:54:00:0d:00:02"})


def compared(declared: dict[str, object] = DECLARED, found: dict[str, object] = FOUND, macs: frozenset[str] = MACS) -> tuple[str, ...]:
    return differences(declared, found, macs, memory_tolerance=0.05)


def test_a_machine_as_declared_has_no_difference() -> None:
    assert compared() == ()


def test_what_firmware_keeps_of_the_memory_is_no_difference() -> None:
    assert compared(found={**FOUND, "memory_mb": 128000}) == ()


def test_more_than_declared_is_no_difference() -> None:
    assert compared(found={**FOUND, "cpus": 32, "memory_mb": 262144, "local_gb": 1800}) == ()


def test_a_missing_dimm_cpu_and_disk_are_all_told() -> None:
    assert compared(found={**FOUND, "cpus": 8, "memory_mb": 114688, "local_gb": 0}) == (
        "CPUs: 16 declared, 8 found",
        "memory: 131072 MiB declared, 114688 MiB found",
        "disk: 900 GiB declared, 0 GiB found",
    )


def test_an_inspection_that_finds_nothing_is_a_difference() -> None:
    assert len(compared(found={})) == 3


def test_what_was_not_declared_is_not_compared() -> None:
    assert compared(declared={}, found={}, macs=frozenset()) == ()


@pytest.mark.parametrize(("macs", "told"), [(frozenset({"52:54:00:0d:00:99"}), 1), (frozenset(), 0)])
def test_another_machines_interfaces_are_told_and_unknown_ones_are_not(macs: frozenset[str], told: int) -> None:
    assert len(compared(macs=macs)) == told


def test_another_architecture_is_told() -> None:
    assert compared(found={**FOUND, "cpu_arch": "aarch64"}) == ("architecture: x86_64 declared, aarch64 found",)
