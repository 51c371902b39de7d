import json
from pathlib import Path

import msgspec
import pytest

from decamp.hosts.machines import bare_address, bmc_address, load_instackenv, read_driver_info
from decamp.model.errors import BadInput

OLD_FORM = {
    "name": "cmp-001",
    "pm_type": "pxe_ipmitool",
    "pm_addr": "192.0.2.1",
    "pm_user": "admin",
    "pm_password": "s3cret",
    "pm_port": "6230",
    "mac": ["52:54:00:0D:00:01"],
    "cpu": "16",
    "memory": "131072",
    "disk": 900,
    "arch": "x86_64",
    "capabilities": "profile:compute,boot_option:local",
}
NEW_FORM = {
    "name": "cmp-002",
    "pm_type": "redfish",
    "pm_addr": "https://192.0.2.2",
    "pm_system_id": "/redfish/v1/Systems/1",
    "pm_user": "admin",
    "pm_password": "s3cret",
    "ports": [{"address": "52-54-00-0d-00-02", "physical_network": "ctlplane"}, {"address": "52:54:00:0d:01:02"}],
    "cpu": 16,
    "memory": 131072,
    "disk": "900",
    "capabilities": {"profile": "compute"},
}


def written(folder: Path, *nodes: dict[str, object]) -> Path:
    path = folder / "instackenv.json"
    path.write_text(json.dumps({"nodes": nodes}))
    return path


def test_both_forms_of_macs_and_strings_or_numbers_for_sizes_are_read(tmp_path: Path) -> None:
    first, second = load_instackenv(written(tmp_path, OLD_FORM, NEW_FORM)).values()
    assert first.macs == ("52:54:00:0d:00:01",)
    assert second.macs == ("52:54:00:0d:00:02", "52:54:00:0d:01:02")
    assert (first.cpu, first.memory_mib, first.disk_gib) == (second.cpu, second.memory_mib, second.disk_gib) == (16, 131072, 900)
    assert (first.capabilities, second.capabilities) == ("profile:compute,boot_option:local", "profile:compute")


def test_no_password_and_no_user_is_in_what_is_loaded(tmp_path: Path) -> None:
    machines = load_instackenv(written(tmp_path, OLD_FORM, NEW_FORM))
    assert b"s3cret" not in msgspec.json.encode(machines)
    assert b"admin" not in msgspec.json.encode(machines)


def test_sizes_may_be_left_out(tmp_path: Path) -> None:
    bare = {key: value for key, value in OLD_FORM.items() if key not in {"cpu", "memory", "disk"}}
    machine = load_instackenv(written(tmp_path, bare))["cmp-001"]
    assert (machine.cpu, machine.memory_mib, machine.disk_gib) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "cmp-001", "pm_addr": "192.0.2.9", "mac": ["52:54:00:0d:00:09"]}, "the same name cmp-001"),
        ({"name": "cmp-009", "mac": ["52:54:00:0d:00:09"]}, "the same BMC address 192.0.2.1"),
        ({"name": "cmp-009", "pm_addr": "192.0.2.9", "mac": ["52:54:00:0d:00:01"]}, "the same MAC address 52:54:00:0d:00:01"),
    ],
)
def test_two_machines_with_one_name_or_address_are_bad_input(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        load_instackenv(written(tmp_path, OLD_FORM, {**OLD_FORM, **change}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": None}, "machine 1 has no name"),
        ({"pm_addr": ""}, "cmp-001: pm_addr"),
        ({"mac": []}, "neither `mac` nor `ports`"),
        ({"mac": ["52:54:00"]}, "'52:54:00' is no MAC address"),
        ({"ports": ["52:54:00:0d:00:01"]}, "`ports` has to be a list of objects"),
        ({"cpu": "many"}, "cpu has to be a whole number, not 'many'"),
        ({"memory": []}, r"memory has to be a whole number, not \[\]"),
        ({"disk": -1}, "disk has to be more than -1"),
    ],
)
def test_each_wrong_field_has_a_sentence_that_names_it(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        load_instackenv(written(tmp_path, {**OLD_FORM, **change}))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"nodes": {}}', '{"nodes": [1]}', "\udcff"])
def test_what_is_no_instackenv_file_is_bad_input(tmp_path: Path, content: str) -> None:
    path = tmp_path / "instackenv.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BadInput, match=str(path)):
        load_instackenv(path)


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        load_instackenv(tmp_path / "nowhere.json")


def test_the_driver_gets_what_signs_in_to_the_bmc_under_its_own_names(tmp_path: Path) -> None:
    path = written(tmp_path, OLD_FORM, NEW_FORM)
    machines = load_instackenv(path)
    assert read_driver_info(path, machines["cmp-001"]) == {
        "ipmi_address": "192.0.2.1",
        "ipmi_username": "admin",
        "ipmi_password": "s3cret",
        "ipmi_port": "6230",
    }
    assert read_driver_info(path, machines["cmp-002"]) == {
        "redfish_address": "https://192.0.2.2",
        "redfish_username": "admin",
        "redfish_password": "s3cret",
        "redfish_system_id": "/redfish/v1/Systems/1",
    }


def test_a_machine_that_was_changed_since_the_plan_is_not_enrolled(tmp_path: Path) -> None:
    machine = load_instackenv(written(tmp_path, OLD_FORM))["cmp-001"]
    path = written(tmp_path, {**OLD_FORM, "pm_addr": "192.0.2.77"})
    with pytest.raises(BadInput, match="described otherwise"):
        read_driver_info(path, machine)


def test_a_pm_type_without_a_driver_is_bad_input(tmp_path: Path) -> None:
    path = written(tmp_path, {**OLD_FORM, "pm_type": "carrier_pigeon"})
    with pytest.raises(BadInput, match="'carrier_pigeon' is not known; known are fake"):
        read_driver_info(path, load_instackenv(path)["cmp-001"])


@pytest.mark.parametrize(
    ("driver_info", "address"),
    [
        ({"ipmi_address": "192.0.2.1", "ipmi_username": "admin"}, "192.0.2.1"),
        ({"redfish_address": "https://BMC-2.example/", "redfish_system_id": "/1"}, "bmc-2.example"),
        ({"address": "192.0.2.3"}, "192.0.2.3"),
        ({}, None),
    ],
)
def test_a_bmc_is_known_by_its_address_whatever_the_driver(driver_info: dict[str, str], address: str | None) -> None:
    assert bmc_address(driver_info) == address


def test_an_address_with_and_without_its_scheme_is_one_address() -> None:
    assert bare_address("https://192.0.2.2") == bare_address("192.0.2.2")
