"""As a tenant on real clouds: a move that waits and is killed, hooks that fail and go well, a report, a confirm by policy."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract import Ground, ground
from desk import started, told
from tenant_application import an_application, belongings, configured

from decamp.lab import Lab
from decamp.model.refs import Ref

pytestmark = pytest.mark.lab

HOOK = """#!/bin/sh
echo "$DECAMP_HOOK $DECAMP_ATTEMPT $DECAMP_SERVER_NAME $DECAMP_SERVER_ID ${DECAMP_NEW_SERVER_ID:-none}" >> "$PWD/hooks"
test "$DECAMP_HOOK" != verify || test -e "$PWD/works"
"""
LONGEST_SECONDS = 600
WAITS_SECONDS = 2 * LONGEST_SECONDS
"""A run that waited for its time would not be over within the longest."""
HELD_SECONDS = 10
"""In which a run that does not wait has begun something."""


class Tenant:
    """His folder, his credentials, his server in the old cloud."""

    def __init__(self, here: Ground, folder: Path) -> None:
        self.here, self.folder = here, folder
        file = configured(folder)
        hook = folder / "hook"
        hook.write_text(HOOK)
        hook.chmod(stat.S_IRWXU)
        settings = yaml.safe_load(file.read_text())
        settings["hooks"] = {when: {"command": [str(hook)]} for when in ("before_stop", "after_copy", "after_start", "verify")}
        file.write_text(yaml.safe_dump(settings | {"policy": {"confirm_after_days": 0}}))
        self.born_with, self.server = belongings(here), an_application(here)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return started(self.folder, *arguments)

    def run(self, *arguments: str, status: int = 0) -> str:
        process = self.start(*arguments)
        out, err = told(process, LONGEST_SECONDS)
        assert process.returncode == status, out + err
        return out

    def read(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "-f", "json"))

    def hooks(self) -> list[str]:
        return (self.folder / "hooks").read_text().splitlines()

    def status_of_old(self) -> str:
        return self.here.tenant.compute.get_server(self.server).status


@pytest.fixture(scope="module")
def tenant(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    folder = tmp_path_factory.mktemp("tenant")
    with ground(lab.folder / "clouds.yaml", folder, "tenant") as here:
        yield Tenant(here, folder)


def test_a_move_goes_through_waiting_a_kill_a_failed_hook_and_ends_well(tenant: Tenant) -> None:
    tenant.run("plan", "move", "--manner", "snapshot", "-o", "plan.json")
    begins = datetime.now(UTC) + timedelta(seconds=WAITS_SECONDS)
    run = killed_while_it_waits(tenant, "apply", "plan.json", "--yes", "--at", begins.isoformat(timespec="seconds"))
    assert killed_while_it_waits(tenant, "resume", run) == run

    tenant.run("resume", run, "--now", status=1)
    actions = {action["Action"]: action for action in tenant.read("status", run) if action["Action"] == "run_hook"}
    assert "the old one is as it was" in str(actions["run_hook"])
    assert [line.split()[0] for line in tenant.hooks()] == ["before_stop", "after_copy", "after_start", "verify"]
    assert tenant.status_of_old() == "ACTIVE"
    left = {ref.kind for ref in belongings(tenant.here) - tenant.born_with}
    assert not left & {"server", "volume", "port"}, "something was not taken back"

    (tenant.folder / "works").touch()
    tenant.run("resume", run)
    assert tenant.status_of_old() == "SHUTOFF"
    last = tenant.hooks()[-1].split()
    made = next(ref.id for ref in belongings(tenant.here) if ref.kind == "server")
    assert last == ["verify", "2", "crash-server", tenant.server, made]


def killed_while_it_waits(tenant: Tenant, *arguments: str) -> str:
    """The run: it waits for its time, nothing of it has begun, and nobody works on it any more."""
    waiting = tenant.start(*arguments)
    while not (listed := tenant.read("runs")) or listed[0]["State"] != "running":
        assert waiting.poll() is None
        time.sleep(0.5)
    time.sleep(HELD_SECONDS)
    assert waiting.poll() is None
    (held,) = tenant.read("runs")
    assert held["Waits until"]
    assert {action["State"] for action in tenant.read("status", held["Run"])} == {"waiting"}
    assert belongings(tenant.here) == tenant.born_with
    assert not (tenant.folder / "hooks").exists()
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate()
    assert tenant.read("runs")[0]["State"] == "interrupted"
    return held["Run"]


def test_its_report_tells_of_the_server_in_html_and_json(tenant: Tenant) -> None:
    run = tenant.read("runs")[0]["Run"]
    (server,) = [item for item in tenant.read("report", run, "-o", "report.html") if item["Kind"] == "server"]
    assert (server["Name"], server["Outcome"]) == ("crash-server", "copied")
    assert server["Bytes"] > 0
    assert server["Downtime seconds"] > 0
    page = (tenant.folder / "report.html").read_text()
    assert "crash-server" in page
    assert "<script" not in page


def test_it_is_confirmed_by_policy(tenant: Tenant) -> None:
    (one,) = tenant.read("confirm", "--due")
    assert one["Outcome"] == "confirmed", one
    assert tenant.here.tenant.compute.find_server(tenant.server) is None
    assert tenant.read("confirm", "--due") == []
    assert Ref("server", tenant.server) not in belongings(tenant.here)
