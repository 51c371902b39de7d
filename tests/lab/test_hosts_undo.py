"""A vacate that comes to a halt before its host is gone, and the way back from it, by the commands, on a real Nova."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts_ground import Ground
from test_command_line import Desk

from decamp import files
from decamp.hosts.reading import list_servers, read_compute, read_service, read_services
from decamp.lab import Lab
from decamp.model.documents import sha256
from decamp.model.plan import VacateGoal
from decamp.model.policy import Policy
from decamp.model.survey import Survey
from decamp.planning.vacate import plan_vacate

pytestmark = pytest.mark.lab

HOST = "OS-EXT-SRV-ATTR:host"


@pytest.fixture(scope="module")
def ground(lab: Lab) -> Iterator[Ground]:
    ground = Ground(lab.folder)
    yield ground
    ground.close()


def survey(ground: Ground) -> Survey:
    read = read_compute(ground.old)
    return Survey(cloud="old", taken_at="2026-11-25T00:00:00Z", admin=True, hosts=read.hosts, servers=read.servers, groups=read.groups)


def test_an_undo_gives_hosts_back_and_brings_servers_home_where_it_is_asked_to(ground: Ground, lab: Lab, tmp_path: Path) -> None:
    held = {server[HOST] for server in list_servers(ground.old)}
    source = next(one.host for one in read_services(ground.old) if one.status == "enabled" and one.host not in held)
    desk = Desk(lab, tmp_path)
    desk.settings["stop_compute"] = {"command": ["false"]}
    desk.write()
    with ground.server_on(source) as live, ground.server_on(source, stopped=True) as cold:
        old = survey(ground)
        plan = plan_vacate(old, Policy(), goal=VacateGoal(hosts=(source,)), made_from={"old": sha256(old)})
        files.write(plan, tmp_path / "plan.json")
        desk.run("apply", "plan.json", "--yes", status=3)
        assert {ground.server(one.id)[HOST] for one in (live, cold)}.isdisjoint({source})
        run = json.loads(desk.run("runs", "-f", "json")[0])[-1]["Run"]

        _, said = desk.run("undo", run, "--move-back", "--yes")

        service = read_service(ground.old, source)
        assert service
        assert service.status == "enabled"
        assert [(ground.server(one.id)[HOST], ground.server(one.id)["status"]) for one in (live, cold)] == [
            (source, "ACTIVE"),
            (source, "SHUTOFF"),
        ]
        assert "stays where it is" not in said
