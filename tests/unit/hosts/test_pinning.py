from typing import Any

import pytest

from decamp.hosts import pinning
from decamp.model.survey import Pinned

SERVER: dict[str, Any] = {
    "id": "4f0c",
    "name": "web-1",
    "status": "ACTIVE",
    "locked": False,
    "image": {"id": "1a2b"},
    "OS-EXT-STS:task_state": None,
    "flavor": {"vcpus": 2, "ram": 4096, "disk": 20, "ephemeral": 5, "swap": 1025, "original_name": "m1.medium", "extra_specs": {}},
}
"""As GET /servers/detail gives it at 2.73, as far as these rules look."""


def server(*, specs: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    return {**SERVER, **changes, "flavor": {**SERVER["flavor"], "extra_specs": specs or {}}}


def reason(one: dict[str, Any], *, image: dict[str, str] | None = None, vnic_types: frozenset[str] = frozenset()) -> Pinned | None:
    return pinning.pinned(one, image or {}, vnic_types)


@pytest.mark.parametrize("status", ["ACTIVE", "PAUSED", "SHUTOFF"])
def test_an_ordinary_server_is_not_pinned(status: str) -> None:
    assert reason(server(status=status)) is None


@pytest.mark.parametrize("status", ["SUSPENDED", "RESCUE", "ERROR", "SHELVED", "SOFT_DELETED", "BUILD", "SOMETHING_NEW"])
def test_a_status_that_no_migration_accepts_pins(status: str) -> None:
    assert reason(server(status=status)) is Pinned.STATE


@pytest.mark.parametrize(
    ("changes", "pinned"),
    [
        ({"locked": True}, Pinned.LOCKED),
        ({"locked": True, "locked_reason": "payroll, do not touch"}, Pinned.LOCKED),
        ({"OS-EXT-STS:task_state": "migrating"}, Pinned.TASK_IN_PROGRESS),
        ({"status": "VERIFY_RESIZE"}, Pinned.RESIZE_UNCONFIRMED),
    ],
)
def test_what_is_done_with_a_server_pins_it(changes: dict[str, Any], pinned: Pinned) -> None:
    assert reason(server(**changes)) is pinned


@pytest.mark.parametrize(
    ("changes", "pinned"),
    [
        ({"status": "SUSPENDED"}, Pinned.STATE),
        ({"OS-EXT-STS:task_state": "powering-off"}, Pinned.TASK_IN_PROGRESS),
        ({"specs": {"hw:numa_nodes": "2"}}, Pinned.NUMA),
    ],
)
def test_a_lock_which_policy_may_pass_over_hides_no_other_reason(changes: dict[str, Any], pinned: Pinned) -> None:
    assert reason(server(locked=True, **changes)) is pinned


def test_a_server_that_waits_for_confirm_can_be_moved_by_whoever_locked_it() -> None:
    assert reason(server(status="SHUTOFF", locked=True, locked_reason="moved by Decamp in run 3f2a-1: waiting for confirm or undo")) is None


@pytest.mark.parametrize(
    ("specs", "pinned"),
    [
        ({"pci_passthrough:alias": "gpu:1"}, Pinned.PCI_DEVICE),
        ({"resources:VGPU": "1"}, Pinned.ACCELERATOR),
        ({"resources1:VGPU": "1"}, Pinned.ACCELERATOR),
        ({"accel:device_profile": "fpga"}, Pinned.ACCELERATOR),
        ({"hw:mem_encryption": "True"}, Pinned.ENCRYPTED_MEMORY),
        ({"hw:cpu_policy": "dedicated"}, Pinned.CPU_PINNING),
        ({"hw:cpu_policy": "mixed"}, Pinned.CPU_PINNING),
        ({"resources:PCPU": "2"}, Pinned.CPU_PINNING),
        ({"hw:numa_nodes": "2"}, Pinned.NUMA),
        ({"hw:mem_page_size": "large"}, Pinned.NUMA),
        ({"hw:cpu_policy": "shared", "hw:mem_page_size": "small"}, None),
    ],
)
def test_a_flavor_that_ties_to_hardware_pins(specs: dict[str, str], pinned: Pinned | None) -> None:
    assert reason(server(specs=specs)) is pinned


def test_an_image_ties_as_a_flavor_does_and_the_flavor_wins() -> None:
    assert reason(server(), image={"hw_cpu_policy": "dedicated"}) is Pinned.CPU_PINNING
    assert reason(server(specs={"hw:cpu_policy": "shared"}), image={"hw_cpu_policy": "dedicated"}) is None


@pytest.mark.parametrize(("vnic_type", "pinned"), [("direct", Pinned.PCI_DEVICE), ("direct-physical", Pinned.PCI_DEVICE), ("normal", None)])
def test_a_port_that_is_a_device_of_the_host_pins(vnic_type: str, pinned: Pinned | None) -> None:
    assert reason(server(), vnic_types=frozenset({vnic_type})) is pinned


def test_traits_are_those_that_flavor_or_image_require() -> None:
    one = server(specs={"trait:HW_CPU_X86_AVX2": "required", "trait:CUSTOM_SLOW": "forbidden", "trait2:CUSTOM_NIC": "required"})
    assert pinning.required_traits(one, {"trait:CUSTOM_LICENSED": "required", "os_type": "linux"}) == (
        "CUSTOM_LICENSED",
        "CUSTOM_NIC",
        "HW_CPU_X86_AVX2",
    )


def test_a_flavors_allocations_count_root_ephemeral_and_begun_gib_of_swap() -> None:
    assert pinning.flavor_allocations(SERVER) == {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 27}


def test_a_volume_backed_server_holds_no_root_disk() -> None:
    assert pinning.flavor_allocations({**SERVER, "image": ""})["DISK_GB"] == 7
    assert pinning.migration_bytes({**SERVER, "image": ""}) == 4096 * 2**20 + 7 * 2**30


def test_extra_specs_override_what_is_allocated_and_zero_is_not_allocated() -> None:
    one = server(specs={"resources:VCPU": "0", "resources:MEMORY_MB": "0", "resources:DISK_GB": "0", "resources:CUSTOM_BAREMETAL": "1"})
    assert pinning.flavor_allocations(one) == {"CUSTOM_BAREMETAL": 1}


def test_dedicated_cpus_are_a_class_of_their_own() -> None:
    assert pinning.flavor_allocations(server(specs={"hw:cpu_policy": "dedicated"})) == {"PCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 27}
