"""The simulated machines: what runs on them, and the inventory that describes them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from decamp.cli.main import main
from decamp.lab import layout, machines
from decamp.lab.layout import CloudName, Lab, Settings
from decamp.lab.machines import Fault
from decamp.model.errors import BadInput, Failed

shared = machines.shared()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = layout.create(tmp_path, Settings(old_hosts=3))
    machines.create_all(made)
    return made


def test_at_first_the_old_machines_run_the_old_cloud_and_the_others_are_blank(lab: Lab) -> None:
    assert machines.running_hosts(lab, CloudName.OLD) == ["cmp-001", "cmp-002", "cmp-003"]
    assert machines.running_hosts(lab, CloudName.NEW) == []


@pytest.mark.parametrize(
    "change",
    [
        {"power": "off"},
        {"ramdisk": True},
        {"system": None},
        {"compute_enabled": False},
        {"compute_killed": True},
        {"system": {"cloud": "new", "host": "novacompute-2"}},
    ],
    ids=["powered off", "in the ramdisk", "wiped", "service stopped", "service killed", "deployed anew"],
)
def test_a_machine_s_old_compute_host_is_gone_when_it_is(lab: Lab, change: dict[str, object]) -> None:
    shared.change(lab.machines_folder, "cmp-002", lambda machine: machine.update(change))

    assert machines.running_hosts(lab, CloudName.OLD) == ["cmp-001", "cmp-003"]


def test_a_machine_that_was_deployed_is_a_host_of_the_new_cloud_under_its_new_name(lab: Lab) -> None:
    system = {"cloud": "new", "host": "overcloud-novacompute-2"}
    shared.change(lab.machines_folder, "cmp-002", lambda machine: machine.update(system=system))

    assert machines.running_hosts(lab, CloudName.NEW) == ["overcloud-novacompute-2"]


def test_a_machine_is_found_by_any_of_its_nodes_macs_however_they_are_spelled(lab: Lab) -> None:
    mac = next(machine["mac"] for machine in shared.read_all(lab.machines_folder) if machine["name"] == "cmp-003")
    shared.change(lab.machines_folder, "cmp-003", lambda machine: machine.update(mac=mac.upper()))

    assert shared.find(lab.machines_folder, {"00:00:00:00:00:01", mac})["name"] == "cmp-003"
    assert shared.find(lab.machines_folder, {"00:00:00:00:00:01"}) is None


def test_the_inventory_has_one_machine_for_each_old_host_none_of_them_twice(lab: Lab) -> None:
    machines.write_instackenv(lab)

    nodes = json.loads(lab.instackenv.read_text())["nodes"]
    assert [node["name"] for node in nodes] == ["cmp-001", "cmp-002", "cmp-003"]
    assert len({node["pm_addr"] for node in nodes}) == len({node["mac"][0] for node in nodes}) == 3


def test_the_inventory_declares_what_was_bought_not_what_is_in_the_machine(lab: Lab) -> None:
    shared.change(lab.machines_folder, "cmp-001", lambda machine: machine["size"].update(memory_mib=8192))

    machines.write_instackenv(lab)

    assert json.loads(lab.instackenv.read_text())["nodes"][0]["memory"] == str(lab.settings.machine.memory_mib)


def test_stopping_a_compute_service_returns_only_when_it_has_ended(lab: Lab) -> None:
    running = lab.cloud_folder(CloudName.OLD) / "nova" / "running"
    running.mkdir(parents=True)
    (running / "cmp-001").touch()
    ended_at: list[float] = []

    def nova() -> None:
        while "cmp-001" in shared.running_hosts(lab.machines_folder, "old"):
            time.sleep(0.01)
        time.sleep(0.2)
        ended_at.append(time.monotonic())
        (running / "cmp-001").unlink()

    thread = threading.Thread(target=nova)
    thread.start()
    machines.set_compute_enabled(lab, "cmp-001", enabled=False, nova_runs=True, seconds=10)
    thread.join()

    assert time.monotonic() >= ended_at[0]


def test_a_compute_service_that_goes_on_running_is_a_failure(lab: Lab) -> None:
    running = lab.cloud_folder(CloudName.OLD) / "nova" / "running"
    running.mkdir(parents=True)
    (running / "cmp-001").touch()

    with pytest.raises(Failed, match="nova-compute of cmp-001 did not stop"):
        machines.set_compute_enabled(lab, "cmp-001", enabled=False, nova_runs=True, seconds=0.1)


def test_a_compute_service_that_was_killed_comes_back_when_it_is_started(lab: Lab) -> None:
    machines.kill_compute(lab, "cmp-002", nova_runs=False)
    assert machines.running_hosts(lab, CloudName.OLD) == ["cmp-001", "cmp-003"]
    assert [shared.was_killed(lab.machines_folder, host) for host in ("cmp-001", "cmp-002")] == [False, True]

    machines.set_compute_enabled(lab, "cmp-002", enabled=True, nova_runs=False)
    assert machines.running_hosts(lab, CloudName.OLD) == ["cmp-001", "cmp-002", "cmp-003"]
    assert not shared.was_killed(lab.machines_folder, "cmp-002")


def test_faults_are_those_of_one_host_until_they_are_taken_away(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    def fault(*words: str) -> int:
        return main(["lab", "fault", "--dir", str(lab.folder), "cmp-002", *words])

    assert fault("live_migration_slow", "--seconds", "5") == fault("finish_migration_fails") == 0
    assert machines.faults_of(lab, "cmp-002") == {Fault.LIVE_MIGRATION_SLOW: 5, Fault.FINISH_MIGRATION_FAILS: True}
    assert shared.fault(lab.machines_folder, "cmp-002", "live_migration_slow") == 5
    assert shared.fault(lab.machines_folder, "cmp-001", "live_migration_slow") is None

    assert fault("live_migration_slow", "--clear") == 0
    assert machines.faults_of(lab, "cmp-002") == {Fault.FINISH_MIGRATION_FAILS: True}
    assert fault("--clear") == 0
    assert machines.faults_of(lab, "cmp-002") == {}
    assert "--seconds belongs to" not in capsys.readouterr().err
    assert fault("live_migration_slow") == fault("spawn_fails", "--seconds", "1") == 2
    assert capsys.readouterr().err.count("--seconds belongs to live_migration_slow") == 2


def test_a_host_that_no_machine_runs_is_bad_input(lab: Lab) -> None:
    with pytest.raises(BadInput, match="No machine of the lab runs a compute host cmp-1"):
        machines.set_compute_enabled(lab, "cmp-1", enabled=False, nova_runs=False)
    with pytest.raises(BadInput, match="No machine of the lab runs a compute host cmp-1"):
        machines.set_faults(lab, "cmp-1", {})
