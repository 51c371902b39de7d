"""The script that checks a cloud after a vacate: silent about one that is as it should be, and loud about each thing that is not."""

from __future__ import annotations

import copy
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[3] / "tools"
sys.path.insert(0, str(TOOLS))

import verify_vacate  # noqa: E402 it is a script, not a part of the package

Facts = dict[str, Any]
Tamper = Callable[[Facts], object]

FLAVOR = {"vcpus": 1, "ram": 1024, "disk": 2, "ephemeral": 0, "swap": 0, "original_name": "m1.small", "extra_specs": {}}
HELD = {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 2}
OF_A_VOLUME = {"VCPU": 1, "MEMORY_MB": 1024}
MAC = "fa:16:3e:00:00:05"
UP = {"state": "up", "status": "enabled", "disabled_reason": None, "zone": "east"}


def server(name: str, host: str | None, **more: Any) -> Facts:
    return {
        "name": name,
        "project": "acme",
        "host": host,
        "status": "ACTIVE",
        "task_state": None,
        "locked": False,
        "flavor": FLAVOR,
        "image": "cirros",
        "metadata": {"role": "web"},
        "tags": ["prod"],
        "key": "acme-key",
        "addresses": {},
        "volumes": [],
        "fault": None,
        **more,
    }


def migration(server_id: str, source: str, target: str, status: str = "completed", kind: str = "live-migration") -> Facts:
    return {
        "uuid": f"migration-of-{server_id}",
        "instance_uuid": server_id,
        "migration_type": kind,
        "status": status,
        "source_compute": source,
        "dest_compute": target,
        "created_at": "2026-11-25T12:00:00.000000",
        "updated_at": "2026-11-25T12:00:30.000000",
    }


def before() -> Facts:
    """Three hosts; one server each on the first two, two on the third, of which one is shelved away and one is in ERROR."""
    return {
        "taken_at": "2026-11-25T11:59:00",
        "servers": {
            "web": server("web", "cmp-1", addresses={"lan": [["10.0.0.5", MAC]]}),
            "db": server("db", "cmp-2", image=None, volumes=["root"]),
            "batch": server("batch", "cmp-3", status="SHUTOFF"),
            "old": server("old", None, status="SHELVED_OFFLOADED"),
            "bad": server("bad", "cmp-3", status="ERROR"),
        },
        "ports": {
            "p": {"server": "web", "mac": "fa:16:3e:00:00:05", "addresses": ["10.0.0.5"], "status": "ACTIVE", "bound_for": ["cmp-1"]}
        },
        "volumes": {"root": {"name": "db-root", "status": "in-use", "size": 1, "attached_to": ["db"]}},
        "services": {host: dict(UP) for host in ("cmp-1", "cmp-2", "cmp-3")},
        "hypervisors": ["cmp-1", "cmp-2", "cmp-3"],
        "providers": {
            "cmp-1": {"web": HELD},
            "cmp-2": {"db": OF_A_VOLUME, "nobody": {"VCPU": 1}},
            "cmp-3": {"batch": HELD, "bad": HELD},
        },
        "aggregates": {"ssd": ["cmp-1", "cmp-2"]},
        "agents": [["cmp-1", "neutron-openvswitch-agent"], ["cmp-2", "neutron-openvswitch-agent"]],
        "migrations": {"1": migration("db", "cmp-3", "cmp-2", "error")},
        "disks": {"web": {"cmp-1": "w"}, "batch": {"cmp-3": "b"}, "bad": {"cmp-3": "x"}},
    }


def vacated() -> Facts:
    """The same when cmp-1 was freed: its server is on cmp-2."""
    now = copy.deepcopy(before())
    now["servers"]["web"]["host"] = "cmp-2"
    now["ports"]["p"]["bound_for"] = ["cmp-2"]
    now["services"].pop("cmp-1")
    now["hypervisors"].remove("cmp-1")
    now["providers"].pop("cmp-1")
    now["providers"]["cmp-2"]["web"] = HELD
    now["aggregates"]["ssd"] = ["cmp-2"]
    now["agents"].pop(0)
    now["migrations"]["2"] = migration("web", "cmp-1", "cmp-2")
    now["disks"]["web"] = {"cmp-2": "w"}
    return now


def wrong_with(now: Facts, /, *, was: Facts | None = None, **known: list[str]) -> list[str]:
    arguments = {"freed_host": ["cmp-1"], "left_host": [], "down_host": [], "deleted": [], "stranded": [], "now": [], **known}
    findings = verify_vacate.compare(was or before(), now, verify_vacate.Known(Namespace(**arguments)))
    return [line for _, _, lines in findings.rows for line in lines]


def test_a_cloud_that_was_vacated_as_it_should_be_passes() -> None:
    assert wrong_with(vacated()) == []


def test_a_cloud_that_was_left_alone_passes() -> None:
    assert wrong_with(before(), freed_host=[]) == []


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (lambda now: now["servers"].pop("batch"), "batch (batch): gone"),
        (lambda now: now["servers"].update(new=server("new", "cmp-3")), "new (new): was not there before"),
        (lambda now: now["servers"]["batch"].update(status="ACTIVE"), 'batch (batch): status was "SHUTOFF", is "ACTIVE"'),
        (lambda now: now["servers"]["web"].update(status="ERROR", fault="no host"), 'web (web): status was "ACTIVE", is "ERROR" (no host)'),
        (lambda now: now["servers"]["web"].update(task_state="migrating"), "web (web): still migrating"),
        (lambda now: now["servers"]["web"].update(locked=True), "web (web): locked was false, is true"),
        (lambda now: now["servers"]["web"]["metadata"].clear(), 'web (web): metadata was {"role": "web"}, is {}'),
        (lambda now: now["servers"]["db"]["volumes"].clear(), 'db (db): volumes was ["root"], is []'),
        (lambda now: now["servers"]["web"].update(flavor={**FLAVOR, "ram": 512}), '"ram": 512'),
        (lambda now: now["servers"]["batch"].update(host="cmp-2"), "batch (batch): was on cmp-3, which nobody wanted to leave"),
        (lambda now: now["servers"]["web"].update(host="cmp-1"), "web (web): on cmp-1, which was freed"),
        (lambda now: now["servers"]["web"].update(host=None), "web (web): on no host"),
        (lambda now: now["servers"]["web"].update(host="cmp-9"), "web (web): on cmp-9, which has no compute service"),
        (lambda now: now["ports"].clear(), "port p of web (web): gone"),
        (lambda now: now["ports"]["p"].update(status="DOWN"), 'port p of web (web): status was "ACTIVE", is "DOWN"'),
        (lambda now: now["ports"]["p"].update(bound_for=["cmp-2", "cmp-3"]), "bound for cmp-2, cmp-3, and its server is on cmp-2"),
        (lambda now: now["volumes"]["root"].update(attached_to=["db", "db"]), "volume db-root (root): attached_to"),
        (lambda now: now["disks"]["web"].update({"cmp-2": "z"}), "web (web): its bytes are nowhere, though it is on cmp-2"),
        (lambda now: now["disks"].update(web={"cmp-3": "w"}), "web (web): its bytes are on cmp-3, and it is on cmp-2"),
        (lambda now: now["disks"]["web"].update({"cmp-1": "w"}), "web (web): a disk of it is on cmp-1 too"),
        (lambda now: now["disks"].update(ghost={"cmp-3": "g"}), "a disk of ghost, which is no server, is on cmp-3"),
        (lambda now: now["services"].update({"cmp-1": UP}), "cmp-1: still a compute service"),
        (lambda now: now["hypervisors"].append("cmp-1"), "cmp-1: still a hypervisor"),
        (lambda now: now["providers"].update({"cmp-1": {}}), "cmp-1: still a resource provider with 0 consumers"),
        (lambda now: now["aggregates"]["ssd"].append("cmp-1"), "cmp-1: still in the aggregate ssd"),
        (lambda now: now["agents"].append(["cmp-1", "neutron-l3-agent"]), "cmp-1: still a network agent, neutron-l3-agent"),
        (lambda now: now["services"].pop("cmp-3"), "cmp-3: its compute service is gone, and nobody freed it"),
        (lambda now: now["services"]["cmp-2"].update(status="disabled"), 'cmp-2: status was "enabled", is "disabled"'),
        (lambda now: now["services"]["cmp-2"].update(state="down"), 'cmp-2: state was "up", is "down"'),
        (lambda now: now["aggregates"]["ssd"].clear(), 'aggregate ssd: should hold ["cmp-2"], holds []'),
        (lambda now: now["providers"]["cmp-2"].pop("web"), "cmp-2: web (web) holds null, should hold"),
        (lambda now: now["providers"]["cmp-3"].update(web=HELD), "cmp-3: web (web) holds"),
        (
            lambda now: now["providers"]["cmp-3"].update({"migration-of-web": HELD}),
            "cmp-3: the completed migration migration-of-web of web (web) holds",
        ),
        (lambda now: now["providers"]["cmp-3"].update(stray=HELD), "cmp-3: an unknown consumer stray holds"),
        (lambda now: now["migrations"]["2"].update(status="running"), "migration 2 of web (web) from cmp-1 to cmp-2: running"),
        (lambda now: now["migrations"]["2"].update(status="finished"), "migration 2 of web (web) from cmp-1 to cmp-2: finished"),
        (lambda now: now["servers"]["web"].update(status="VERIFY_RESIZE"), "web (web): VERIFY_RESIZE"),
    ],
)
def test_whatever_is_not_as_it_should_be_is_told(tamper: Tamper, told: str) -> None:
    now = vacated()
    tamper(now)
    assert [line for line in wrong_with(now) if told in line], wrong_with(now)


def test_a_host_that_was_not_there_before_was_not_freed() -> None:
    assert "cmp-7: was no compute host before" in wrong_with(vacated(), freed_host=["cmp-1", "cmp-7"])


def test_what_is_said_beforehand_is_not_told() -> None:
    now = vacated()
    now["servers"].pop("batch")
    now["providers"]["cmp-3"].pop("batch")
    now["disks"].pop("batch")
    now["servers"]["web"]["status"] = "SHUTOFF"
    now["services"]["cmp-3"]["state"] = "down"
    now["migrations"]["3"] = migration("bad", "cmp-3", "cmp-2", "running")
    assert len(wrong_with(now)) == 5
    assert wrong_with(now, deleted=["batch"], now=["web=SHUTOFF"], down_host=["cmp-3"]) == []
    assert wrong_with(vacated(), deleted=["batch"]) == ["batch (batch): was to be gone, and is there"]


def test_a_server_that_was_leaving_a_host_when_it_died_may_hold_both_hosts_and_be_nowhere_else() -> None:
    now = before()
    now["services"]["cmp-1"]["state"] = "down"
    now["servers"]["web"] |= {"status": "MIGRATING", "task_state": "migrating"}
    now["migrations"]["2"] = migration("web", "cmp-1", "cmp-2", "running")
    now["providers"]["cmp-1"] = {now["migrations"]["2"]["uuid"]: HELD}
    now["providers"]["cmp-2"]["web"] = HELD
    now["disks"]["web"] = {"cmp-1": "w", "cmp-2": "w"}
    known = {"freed_host": [], "down_host": ["cmp-1"]}
    assert len(wrong_with(now, **known)) == 7
    assert wrong_with(now, **known, stranded=["web"]) == []
    assert wrong_with(now, **known, stranded=["web", "batch"]) == [
        "batch (batch): was said to be stranded on a host that died, and is on cmp-3"
    ]


def test_servers_may_leave_a_host_that_was_to_be_freed_and_stays() -> None:
    now = vacated()
    now["services"]["cmp-1"], now["providers"]["cmp-1"] = UP, {}
    now["hypervisors"], now["aggregates"] = before()["hypervisors"], before()["aggregates"]
    assert wrong_with(now, freed_host=[], left_host=["cmp-1"]) == []
    assert wrong_with(now, freed_host=[]) == ["web (web): was on cmp-1, which nobody wanted to leave, and is on cmp-2"]


def test_a_server_that_nova_left_in_error_between_two_hosts_has_lost_nothing_as_long_as_its_bytes_are_somewhere() -> None:
    now = vacated()
    now["servers"]["web"] |= {"status": "ERROR", "fault": "finish failed"}
    now["disks"]["web"] = {"cmp-1": "w"}
    assert wrong_with(now, now=["web=ERROR"]) == []
    now["disks"]["web"] = {}
    assert wrong_with(now, now=["web=ERROR"]) == ["web (web): its bytes are nowhere, though it is on cmp-2"]


def test_a_shelved_server_leaves_no_disk_behind() -> None:
    now = vacated()
    now["disks"]["old"] = {"cmp-3": "o"}
    was = before()
    was["disks"]["old"] = {"cmp-3": "o"}
    assert wrong_with(now, was=was) == ["old (old): shelved, and its disk is on cmp-3"]


def test_what_nova_refused_is_told_only_where_nothing_was_to_be_refused(capsys: pytest.CaptureFixture[str]) -> None:
    now = vacated()
    now["migrations"]["3"] = migration("web", "cmp-1", "cmp-3", "error")
    assert wrong_with(now) == []
    findings = verify_vacate.Findings()
    verify_vacate.check_refusals(findings, before(), now, {"web": ["live-migration: failed in compute_pre_live_migration"], "db": []})
    findings.print()
    told = capsys.readouterr().out
    assert "migration 3 of web (web) to cmp-3: error" in told
    assert "web (web): live-migration: failed in compute_pre_live_migration" in told
    assert "migration 1" not in told


def test_the_figures_are_those_of_what_was_done_since_the_record() -> None:
    known = verify_vacate.Known(Namespace(freed_host=["cmp-1"], left_host=[], down_host=[], deleted=[], stranded=[], now=[]))
    told = verify_vacate.figures(before(), vacated(), known)
    assert told == "1 of 3 hosts freed, 2 occupied; 1 migrations within 30 s: 1 live-migration completed"


def test_a_cloud_that_cannot_be_reached_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "before.json").write_text(json.dumps(before()))
    auth = {"auth_url": "http://127.0.0.1:1/v3", "username": "u", "password": "p", "project_name": "p"}
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {"old": {"auth": auth}}}))
    status = verify_vacate.main(["--clouds-file", str(tmp_path / "clouds.yaml"), "check", str(tmp_path / "before.json")])
    assert status == 2
    assert "it could not be checked" in capsys.readouterr().err
