"""The script that checks both clouds: silent about equal clouds, and loud about each thing that is not as it was."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[3] / "tools"
sys.path.insert(0, str(TOOLS))

import moved  # noqa: E402 they are scripts, not a part of the package
import portraits  # noqa: E402
import remains  # noqa: E402
import verify  # noqa: E402

Facts = dict[str, Any]
Tamper = Callable[[Facts], object]

UP = {"state": "up", "status": "enabled"}


def mac(number: int) -> str:
    return f"fa:16:3e:00:00:{number:02x}"


def server(name: str, number: int, **more: Any) -> Facts:
    return {
        "id": f"old-{number}",
        "name": name,
        "status": "ACTIVE",
        "task_state": None,
        "locked": False,
        "flavor": {"vcpus": 1, "ram": 1024, "disk": 2},
        "key_name": "key",
        "key": "SHA256:abc",
        "metadata": {"role": name},
        "tags": ["prod"],
        "config_drive": False,
        "user_data_sha256": "u",
        "addresses": [["front", [mac(number), f"10.0.0.{number}"]]],
        "macs": [mac(number)],
        "os-extended-volumes:volumes_attached": [],
        "image": True,
        "image_id": "old-base",
        "image_sha256": "base",
        "root_sha256": f"root-{number}",
        **more,
    }


def port(number: int) -> Facts:
    return {"name": "", "mac_address": mac(number), "fixed_ips": [["front", f"10.0.0.{number}"]], "security_groups": ["web"]}


def project() -> Facts:
    golden = {"id": "old-golden", "name": "golden", "status": "active", "*": {"hw_firmware_type": "uefi"}, "sha256": "g"}
    rule = {"security_group_id": "web", "protocol": "tcp"}
    empty: Facts = {kind: [] for kind in portraits.KINDS}
    return empty | {
        "network": [{"name": "front"}],
        "subnet": [{"name": "front", "cidr": "10.0.0.0/24"}],
        "router": [{"name": "edge", "external_gateway_info": {"network": "public"}}],
        "security_group": [{"name": "web"}],
        "security_group_rule": [rule | {"port_range_min": 80, "remote_group_id": None}, rule | {"remote_group_id": "web"}],
        "server_group": [{"name": "web", "policy": "anti-affinity", "members": ["web", "web"]}],
        "port": [port(1), port(2), port(3)],
        "floating_ip": [{"description": "", "port_id": mac(1)}],
        "volume": [{"name": "data", "size": 1, "sha256": "d"}, {"name": "data", "size": 1, "sha256": "e"}],
        "volume_snapshot": [{"name": "monday", "sha256": "m"}],
        "stack": [{"stack_name": "app", "made": ["old-5"], "members": [["cache", "OS::Nova::Server"]]}],
        "container": [{"name": "media", "objects": [{"name": "index.html", "sha256": "h", "metadata": {"author": "ada"}}]}],
        "image": [{**golden, "os_hash_value": "gg"}],
        "server": [
            server("web", 1),
            server("web", 2),
            server("db", 3, image=False, image_id=None, image_sha256=None, root_sha256=None),
            server("cache-x7", 5, of_stack="app"),
        ],
        "flavor": [{"name": "small", "copied": False, "rxtx_factor": 1.0}, {"name": "big", "copied": False, "rxtx_factor": 2.0}],
        "quota": [{"name": "compute cores", "compute quota_set": 20}, {"name": "compute floating_ips", "compute quota_set": 9}],
        "user": [{"name": "ada", "email": "ada@example.org"}],
    }


def copy_of(before: Facts) -> Facts:
    """The project's copy as it should be: one server with its disk, one afresh."""
    now = copy.deepcopy(before)
    for number, one in enumerate(now["server"]):
        one["id"] = f"new-{number}"
    now["server"][0] |= {"image_id": "new-snapshot", "image_sha256": "root-1"}
    now["server"][1] |= {"image_id": "new-base", "root_sha256": "base"}
    now["server"][3] |= server("cache-q9", 9, of_stack="app")
    now["stack"][0]["made"] = ["new-3"]
    now["image"][0]["id"] = "new-golden"
    now["image"].append({"id": "new-snapshot", "name": "web (root disk)", "status": "active", "*": {}, "sha256": "root-1"})
    now["volume"].append({"name": "monday", "size": 1, "sha256": "m", "holds": "snapshot"})
    now["quota"][1]["name"] = "compute something new"
    now["flavor"] = [{"name": "small", "copied": True, "rxtx_factor": 1.0}, {"name": "big", "copied": False, "rxtx_factor": 1.0}]
    return now


def wrong_with(now: Facts, *, with_disk: frozenset[str] = frozenset(), not_carried: frozenset[str] = frozenset()) -> list[str]:
    findings = verify.Findings()
    moved.check_moved(findings, "acme", project(), now, set(with_disk), set(not_carried), {"gg"}, by_operator=True)
    return [line for _, _, wrong in findings.rows for line in wrong]


def test_a_true_copy_passes_every_check() -> None:
    assert wrong_with(copy_of(project())) == []


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda now: now["server"].pop(0), "web: not in the new cloud"),
        (lambda now: now["server"].append(server("web", 9)), "no server of the old cloud had its MACs"),
        (lambda now: now["server"].append(copy.deepcopy(now["server"][0])), "two servers with the same MACs"),
        (lambda now: now["server"][0]["flavor"].update(ram=2048), "flavor / ram: 1024 became 2048"),
        (lambda now: now["server"][0]["metadata"].clear(), 'metadata / role: "web" became null'),
        (lambda now: now["server"][0]["tags"].append("extra"), 'not in the old cloud: "extra"'),
        (lambda now: now["server"][0].update(user_data_sha256=None), "user_data_sha256"),
        (lambda now: now["server"][0].update(key="gone"), "key"),
        (lambda now: now["server"][0].update(config_drive=True), "config_drive"),
        (lambda now: now["server"][0].update(status="SHUTOFF"), 'status: "ACTIVE" became "SHUTOFF"'),
        (lambda now: now["server"][0].update(locked=True), "locked"),
        (lambda now: now["port"][0].update(fixed_ips=[["front", "10.0.0.77"]]), "10.0.0.77"),
        (lambda now: now["port"][0].update(security_groups=[]), "security_groups"),
        (lambda now: now["port"].append(port(7)), mac(7)),
        (lambda now: now["server"][0].update(root_sha256="other"), "neither the old one nor the base image"),
        (lambda now: now["security_group_rule"].pop(), "missing in the new cloud"),
        (lambda now: now["security_group_rule"][1].update(remote_group_id="db"), 'remote_group_id: "web" became "db"'),
        (lambda now: now["network"].append({"name": "front"}), "not in the old cloud"),
        (lambda now: now["subnet"][0].update(cidr="10.0.0.0/25"), "10.0.0.0/25"),
        (lambda now: now["server_group"][0]["members"].pop(), "members"),
        (lambda now: now["floating_ip"].clear(), "floating_ip: missing in the new cloud"),
        (lambda now: now["volume"][0].update(sha256="zeros"), '"d" became "zeros"'),
        (lambda now: now["volume"].pop(0), "missing in the new cloud"),
        (lambda now: now["volume_snapshot"][0].update(sha256="zeros"), '"m" became "zeros"'),
        (lambda now: now["stack"][0]["members"].clear(), "OS::Nova::Server"),
        (lambda now: now["container"].clear(), "container: missing in the new cloud"),
        (lambda now: now["container"][0]["objects"][0].update(sha256="other"), 'objects / index.html / sha256: "h" became "other"'),
        (lambda now: now["container"][0]["objects"][0]["metadata"].clear(), "author"),
        (lambda now: now["image"].append({**now["image"][0], "id": "again"}), "the same bytes are 2 images"),
        (lambda now: now["image"].append({"id": "x", "name": "decamp-1", "status": "active", "sha256": "x"}), "left over"),
        (lambda now: now["image"][0]["*"].clear(), "hw_firmware_type"),
        (lambda now: now["flavor"][0].update(rxtx_factor=3.0), "rxtx_factor: 1.0 became 3.0"),
        (lambda now: now["quota"][0].update({"compute quota_set": 10}), "compute quota_set: 20 became 10"),
        (lambda now: now["user"].pop(), "ada@example.org"),
    ],
)
def test_each_thing_that_differs_is_told(tamper: Tamper, said: str) -> None:
    now = copy_of(project())
    tamper(now)
    assert any(said in line for line in wrong_with(now)), wrong_with(now)


def test_an_image_that_is_nowhere_in_the_new_cloud_is_told() -> None:
    findings = verify.Findings()
    moved.check_images(findings, "acme", project(), copy_of(project()), moved.BESIDE, {"another"})
    assert findings.rows[-1][2] == ["golden: not in the new cloud"]


def test_an_attribute_that_one_cloud_does_not_show_is_said_and_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    now = copy_of(project())
    for one in now["network"]:
        one["trunked"] = True
    findings = verify.Findings()
    moved.check_moved(findings, "acme", project(), now, set(), set(), {"gg"})
    findings.print()
    assert findings.wrong == 0
    assert "shown by one cloud alone: network.trunked" in capsys.readouterr().out


def test_what_a_stack_made_is_compared_where_the_stack_was_not_moved_as_such() -> None:
    now = copy_of(project())
    assert {"cache-x7: not in the new cloud", "cache-q9: no server of the old cloud had its MACs"} == set(
        wrong_with(now, not_carried=frozenset({"stack"}))
    )
    now["server"][3] |= server("cache-x7", 5)
    assert wrong_with(now, not_carried=frozenset({"stack"})) == []


def test_only_what_an_operator_brought_over_is_compared_with_what_operators_make() -> None:
    now = copy_of(project())
    now["user"].clear()
    findings = verify.Findings()
    moved.check_moved(findings, "acme", project(), now, set(), set(), {"gg"})
    assert findings.wrong == 0


def test_a_disk_that_was_to_be_carried_over_may_not_be_fresh() -> None:
    assert any("to be carried over" in line for line in wrong_with(copy_of(project()), with_disk=frozenset({"web"})))


def test_a_root_volume_may_be_fresh_where_its_server_started_afresh_and_a_data_volume_may_not() -> None:
    attached = [{"name": "root", "boots": True}, {"name": "data", "boots": False}]
    before: Facts = {
        "server": [server("db", 1, **{"os-extended-volumes:volumes_attached": attached})],
        "volume": [{"name": name, "sha256": f"{name}-used", "fresh_sha256": "base"} for name in ("root", "data")],
    }
    copies = [{"name": name, "sha256": "base"} for name in ("root", "data")]
    told = moved.root_volumes_may_be_fresh(before, copies, set())
    assert [one["sha256"] for one in told] == ["root-used", "base"]
    assert moved.root_volumes_may_be_fresh(before, copies, {"db"}) == copies


def test_what_the_plan_said_it_leaves_behind_is_not_compared() -> None:
    now = copy_of(project())
    now["server"][0]["user_data_sha256"] = None
    assert wrong_with(now, not_carried=frozenset({"user_data_sha256"})) == []


@pytest.mark.parametrize(
    ("tamper", "there", "said"),
    [
        (lambda now: None, ["keypair mine"], ""),
        (lambda now: now["server"][0].update(status="SHUTOFF"), [], 'status: "ACTIVE" became "SHUTOFF"'),
        (lambda now: now["server"][0].update(locked=True), [], "locked"),
        (lambda now: now["floating_ip"].clear(), [], "floating_ip: missing"),
        (lambda now: now["volume"][0].update(sha256=None), [], ""),
        (lambda now: now["stack"].clear(), [], ""),
        (lambda now: None, ["network front (n1)"], "network front (n1): left over in the new cloud"),
    ],
)
def test_after_an_undo_all_is_as_before_in_both_clouds(tamper: Tamper, there: list[str], said: str) -> None:
    now = project()
    tamper(now)
    findings = verify.Findings()
    remains.check_undone(findings, "acme", project(), now, ["keypair mine"], there)
    assert bool(findings.wrong) == bool(said)
    assert said in str(findings.rows)


def test_what_a_project_has_left_in_the_old_cloud_is_told() -> None:
    findings = verify.Findings()
    remains.check_emptied(findings, "acme", [])
    assert findings.wrong == 0
    remains.check_emptied(findings, "acme", ["image golden (i1)"])
    assert findings.rows[-1][2] == ["image golden (i1): still in the old cloud"]


def hosts(*names: str, consumers: dict[str, list[str]] | None = None) -> Facts:
    inventory = {"VCPU": 16, "MEMORY_MB": 16384, "DISK_GB": 200}
    return {
        "services": dict.fromkeys(names, UP),
        "hypervisors": sorted(names),
        "providers": {name: {"inventories": inventory, "consumers": (consumers or {}).get(name, [])} for name in names},
    }


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (lambda now: now["services"].update({"c": UP}), "c: still a compute service"),
        (lambda now: now["hypervisors"].append("c"), "c: still a hypervisor"),
        (lambda now: now["providers"].update({"c": {}}), "c: still a resource provider"),
        (lambda now: now["services"].pop("a"), "a: lost, and nobody freed it"),
        (lambda now: now["services"].update({"a": {"state": "up", "status": "disabled"}}), "a: up, disabled"),
    ],
)
def test_a_freed_host_leaves_no_trace_and_the_others_stay(trace: Tamper, said: str) -> None:
    now = hosts("a", "b")
    findings = verify.Findings()
    verify.check_freed(findings, hosts("a", "b", "c"), now, ["c"])
    assert findings.wrong == 0
    trace(now)
    verify.check_freed(findings, hosts("a", "b", "c"), now, ["c"])
    assert any(said in line for line in findings.rows[-1][2])


def test_a_server_that_was_lost_stopped_or_left_on_a_freed_host_is_told() -> None:
    here = {"project": "other", "task_state": None, "locked": False, "status": "ACTIVE", "host": "a"}
    before = {"old": {"servers": {str(number): {**here, "name": f"s{number}"} for number in range(4)}}}
    now = copy.deepcopy(before["old"]) | {"hosts": hosts("a", "b")}
    now["servers"]["0"]["host"] = "b"
    findings = verify.Findings()
    verify.check_others(findings, before, now, set(), {"c"})
    assert findings.rows[0] == ("old: everybody else's servers", "4 as before, 1 of them on another host", [])
    del now["servers"]["1"]
    now["servers"]["2"]["status"] = "SHUTOFF"
    now["servers"]["3"]["host"] = "c"
    verify.check_others(findings, before, now, set(), {"c"})
    assert findings.rows[1][2] == ["s1 (1): gone", "s2 (2): status was ACTIVE, is SHUTOFF", "s3 (3): on c, which is not up"]


@pytest.mark.parametrize(
    ("now", "confirmed", "said"),
    [
        ({"status": "SHUTOFF", "locked": True, "task_state": None}, False, ""),
        ({"status": "ACTIVE", "locked": True, "task_state": None}, False, "ACTIVE"),
        ({"status": "SHUTOFF", "locked": False, "task_state": None}, False, "not locked"),
        (None, False, "deleted in the old cloud, and nobody confirmed it"),
        (None, True, ""),
        ({"status": "SHUTOFF", "locked": True, "task_state": None}, True, "still in the old cloud"),
    ],
)
def test_old_servers_are_stopped_and_locked_until_the_move_is_confirmed(now: Facts | None, confirmed: bool, said: str) -> None:
    before = {"projects": {"acme": {"server": [{"id": "1", "name": "web"}]}}}
    findings = verify.Findings()
    verify.check_old_servers(findings, "acme", before, {"servers": {"1": now} if now else {}}, confirmed=confirmed)
    assert findings.wrong == bool(said)
    assert said in str(findings.rows)


def test_orphaned_and_doubled_allocations_are_told() -> None:
    findings = verify.Findings()
    here = {"servers": {"1": {"name": "s1"}, "2": {"name": "s2"}}}
    verify.check_allocations(findings, "old", {**here, "hosts": hosts("a", "b", consumers={"a": ["1"], "b": ["2"]})})
    assert findings.wrong == 0
    verify.check_allocations(findings, "old", {**here, "hosts": hosts("a", "b", consumers={"a": ["1", "9"], "b": ["1"]})})
    assert [line.partition(": ")[2] for line in findings.rows[1][2]] == [
        "holds allocations on 2 providers",
        "holds an allocation, and is no server",
        "holds no allocation",
    ]


def test_only_what_belongs_to_moved_projects_may_be_new() -> None:
    empty: Facts = {kind: {} for kind in ("images", "volumes", "snapshots", "networks", "servers")}
    now = copy.deepcopy(empty)
    now["images"]["i"] = ["acme's", "acme"]
    findings = verify.Findings()
    verify.check_leftovers(findings, "new", empty, now, {"acme"})
    assert findings.wrong == 0
    now["images"]["j"] = ["decamp-12", "other"]
    now["servers"]["k"] = {"name": "canary", "project": "admin", "status": "ERROR"}
    verify.check_leftovers(findings, "new", empty, now, {"acme"})
    assert len(findings.rows[1][2]) == 3


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda now: now["nodes"]["c"].update(state="deploy failed"), "its node is deploy failed, not active"),
        (lambda now: now["nodes"].pop("c"), "its node is not there"),
        (lambda now: now["hosts"]["services"].pop("compute-2"), "the compute service of compute-2 is not there"),
        (lambda now: now["hosts"]["providers"]["compute-2"]["inventories"].clear(), "no inventory in Placement"),
        (lambda now: now["stacks"]["overcloud"]["parameters"].update(ComputeCount="2"), '"3" became "2"'),
        (lambda now: now["stacks"]["overcloud"]["parameters"].update(NtpServer=""), "NtpServer"),
        (lambda now: now["stacks"]["overcloud"].update(status="UPDATE_FAILED"), "UPDATE_FAILED"),
    ],
)
def test_a_machine_counts_only_when_node_stack_and_compute_host_agree(tamper: Tamper, said: str) -> None:
    before = {"stacks": {"overcloud": {"status": "CREATE_COMPLETE", "parameters": {"ComputeCount": "2", "NtpServer": "ntp"}}}, "nodes": {}}
    now: Facts = {
        "stacks": {"overcloud": {"status": "UPDATE_COMPLETE", "parameters": {"ComputeCount": "3", "NtpServer": "ntp"}}},
        "nodes": {"c": {"state": "active", "instance": "i", "maintenance": False}},
        "servers": {"i": {"name": "compute-2"}},
        "hosts": hosts("compute-0", "compute-1", "compute-2"),
    }
    findings = verify.Findings()
    verify.check_undercloud(findings, before, now, now["hosts"], ["c"], "ComputeCount")
    assert findings.wrong == 0
    tamper(now)
    verify.check_undercloud(findings, before, now, now["hosts"], ["c"], "ComputeCount")
    assert any(said in line for _, _, wrong in findings.rows for line in wrong)


def test_what_is_wrong_is_printed_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    findings = verify.Findings()
    findings.add("this", [], "fine")
    findings.add("that", ["one is wrong", "another too"])
    findings.print()
    assert capsys.readouterr().out.splitlines()[-1] == "VERIFICATION FAILED: 2 things are wrong in 1 of 2 checks."


def test_a_project_that_was_not_recorded_cannot_be_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "before.json").write_text(json.dumps({"projects": {}}))
    assert verify.main(["check", str(tmp_path / "before.json"), "--moved", "acme"]) == 2
    assert "without --project acme" in capsys.readouterr().err


def test_it_imports_nothing_of_decamp() -> None:
    imported, waiting = {"verify"}, ["verify"]
    while waiting:
        text = (TOOLS / f"{waiting.pop()}.py").read_text()
        assert "import decamp" not in text
        assert "from decamp" not in text
        ours = {name for name in re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE) if (TOOLS / f"{name}.py").exists()}
        waiting += ours - imported
        imported |= ours
    assert {"portraits", "network_kinds", "looks", "clouds"} < imported
