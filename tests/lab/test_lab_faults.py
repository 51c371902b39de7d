"""The lab's faults on demand, as Nova tells them: each ends as it is said to, and only on its host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hosts_ground import Ground

from decamp.hosts import migrations
from decamp.hosts.reading import read_service, show_server
from decamp.lab import machines
from decamp.lab.layout import Lab
from decamp.lab.machines import Fault
from decamp.model.refs import Ref

pytestmark = pytest.mark.lab

HOST, TASK = "OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state"


@pytest.fixture(scope="module")
def ground(lab: Lab) -> Iterator[Ground]:
    ground = Ground(lab.folder)
    hosts = ground.two_hosts()
    yield ground
    ground.sweep(*hosts)
    ground.close()


@contextmanager
def faults(ground: Ground, host: str, given: dict[Fault, bool | float]) -> Iterator[None]:
    machines.set_faults(ground.lab, host, given)
    try:
        yield
    finally:
        machines.set_faults(ground.lab, host, {})


def migrate(ground: Ground, server: Ref, target: str) -> None:
    ground.act(server, {"os-migrateLive": {"host": target, "block_migration": "auto"}})


def migrate_cold(ground: Ground, server: Ref, target: str) -> None:
    ground.act(server, {"migrate": {"host": target}})


def there(ground: Ground, server: Ref) -> dict[str, Any]:
    found = show_server(ground.old, server.id)
    assert found is not None
    return found


def record(ground: Ground, server: Ref) -> dict[str, Any]:
    return migrations.of_server(ground.old, server.id)[0]


def settled(ground: Ground, server: Ref) -> tuple[str, str, str]:
    """The server's host and status and its migration's, once nothing goes on any more."""
    ground.until(lambda: there(ground, server)[TASK] is None and migrations.stage(record(ground, server)) is not migrations.Stage.UNDER_WAY)
    ground.until(lambda: migrations.stage(record(ground, server)) is not migrations.Stage.QUEUED)
    now = there(ground, server)
    return now[HOST], now["status"], record(ground, server)["status"]


def running(ground: Ground, server: Ref) -> dict[str, Any]:
    """The server's migration, once it tells figures."""
    listed: list[dict[str, Any]] = []

    def tells() -> bool:
        listed[:] = ground.old.service("compute").get(f"/servers/{server.id}/migrations", microversion="2.80").json()["migrations"]
        return bool(listed) and listed[0]["status"] == "running" and bool(listed[0]["memory_total_bytes"])

    ground.until(tells)
    return listed[0]


def test_a_slow_live_migration_tells_of_its_progress_and_arrives(ground: Ground) -> None:
    source, target = ground.two_hosts()
    with ground.server_on(source) as server, faults(ground, source, {Fault.LIVE_MIGRATION_SLOW: 30}):
        migrate(ground, server, target)
        first = running(ground, server)
        assert first["memory_total_bytes"] == 512 * 2**20
        assert first["disk_total_bytes"] == 2**30
        ground.until(lambda: running(ground, server)["memory_remaining_bytes"] < first["memory_remaining_bytes"])
        assert settled(ground, server) == (target, "ACTIVE", "completed")


@pytest.mark.parametrize(("verb", "end"), [("abort", ("source", "ACTIVE", "cancelled")), ("force", ("target", "ACTIVE", "completed"))])
def test_a_live_migration_that_stalls_ends_when_it_is_told_to(ground: Ground, verb: str, end: tuple[str, str, str]) -> None:
    source, target = ground.two_hosts()
    with ground.server_on(source) as server, faults(ground, source, {Fault.LIVE_MIGRATION_STALLS: True, Fault.LIVE_MIGRATION_SLOW: 1}):
        migrate(ground, server, target)
        ground.until(lambda: running(ground, server)["memory_remaining_bytes"] < 512 * 2**20 / 9)
        time.sleep(2)
        stalled = running(ground, server)
        assert stalled["memory_remaining_bytes"] > 512 * 2**20 / 11
        assert stalled["memory_processed_bytes"] > stalled["memory_total_bytes"]
        path = f"/servers/{server.id}/migrations/{stalled['id']}"
        compute = ground.old.connection.compute
        asked = (
            compute.delete(path, microversion="2.24")
            if verb == "abort"
            else compute.post(f"{path}/action", json={"force_complete": None}, microversion="2.22")
        )
        assert asked.status_code == 202, asked.text
        assert settled(ground, server) == ({"source": source, "target": target}[end[0]], *end[1:])


@pytest.mark.parametrize(
    ("fault", "side", "end"),
    [
        (Fault.LIVE_MIGRATION_ROLLS_BACK, "source", ("source", "ACTIVE", "failed")),
        (Fault.LIVE_MIGRATION_BREAKS, "source", ("source", "ERROR", "error")),
        (Fault.PRE_LIVE_MIGRATION_FAILS, "target", ("source", "ACTIVE", "failed")),
        (Fault.LIVE_MIGRATION_WAITS, "source", ("target", "ACTIVE", "completed")),
    ],
)
def test_a_live_migration_ends_as_its_fault_says(ground: Ground, fault: Fault, side: str, end: tuple[str, str, str]) -> None:
    hosts = dict(zip(("source", "target"), ground.two_hosts(), strict=True))
    with ground.server_on(hosts["source"]) as server, faults(ground, hosts[side], {fault: True}):
        migrate(ground, server, hosts["target"])
        assert settled(ground, server) == (hosts[end[0]], *end[1:])


@pytest.mark.parametrize(
    ("fault", "side", "end"),
    [
        (Fault.FINISH_MIGRATION_FAILS, "target", ("target", "ERROR", "error")),
        (Fault.COLD_MIGRATION_ROLLS_BACK, "source", ("source", "SHUTOFF", "error")),
    ],
)
def test_a_cold_migration_ends_as_its_fault_says(ground: Ground, fault: Fault, side: str, end: tuple[str, str, str]) -> None:
    hosts = dict(zip(("source", "target"), ground.two_hosts(), strict=True))
    with ground.server_on(hosts["source"], stopped=True) as server, faults(ground, hosts[side], {fault: True}):
        migrate_cold(ground, server, hosts["target"])
        assert settled(ground, server) == (hosts[end[0]], *end[1:])


def test_a_killed_compute_service_says_nothing_and_leaves_its_migration_under_way(ground: Ground) -> None:
    source, target = ground.two_hosts()
    with ground.server_on(source) as server:
        with faults(ground, source, {Fault.LIVE_MIGRATION_SLOW: 600}):
            migrate(ground, server, target)
            running(ground, server)
            machines.kill_compute(ground.lab, source, nova_runs=True)
            service = read_service(ground.old, source)
            assert service
            assert service.state == "up"
            ground.until(lambda: getattr(read_service(ground.old, source), "state", None) == "down")
            assert there(ground, server)[TASK] == "migrating"
            assert record(ground, server)["status"] == "running"
        machines.set_compute_enabled(ground.lab, source, enabled=True, nova_runs=True)
        ground.until(lambda: getattr(read_service(ground.old, source), "state", None) == "up")
        # what Nova does with it at the start of nova-compute
        ground.until(lambda: there(ground, server)[TASK] is None)
        assert there(ground, server)[HOST] == source
