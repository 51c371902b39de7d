"""Cordons that look twice, stopped servers that are shelved, hosts that leave nothing behind: on a real Nova."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hosts_ground import Ground

from decamp.hosts import placement
from decamp.hosts.reading import aggregates_of, list_servers, nodes_by_host, read_service, read_services, show_server
from decamp.lab import machines
from decamp.lab.layout import Lab
from decamp.lab.machines import Fault
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Verb
from decamp.model.refs import Ref
from decamp.model.setbacks import Failure

pytestmark = pytest.mark.lab

HOST = "OS-EXT-SRV-ATTR:host"


@pytest.fixture(scope="module")
def ground(lab: Lab) -> Iterator[Ground]:
    ground = Ground(lab.folder)
    yield ground
    ground.close()


@contextmanager
def cordoned(ground: Ground, host: str) -> Iterator[Ref]:
    """Takes servers again in the end, whatever the test does with its cordon."""
    try:
        yield Ref("host", host)
    finally:
        service = read_service(ground.old, host)
        assert service
        ground.old.service("compute").put(f"/os-services/{service.id}", json={"status": "enabled"})
        ground.facts.clear()


def there(ground: Ground, server: Ref) -> tuple[str, str | None]:
    found = show_server(ground.old, server.id)
    assert found is not None
    return found["status"], found[HOST]


def test_a_server_that_came_since_the_plan_is_seen_after_the_cordon_which_stands(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    with cordoned(ground, host) as target, ground.server_on(host) as server:
        with pytest.raises(Changed, match=f"hosts-test .{server.id}, ACTIVE. has come to {host} since the plan was made") as caught:
            ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated", servers=[])
        assert caught.value.setback is not None
        assert (caught.value.setback.failure, caught.value.setback.servers) == (Failure.SERVER_CAME, (server.id,))
        service = read_service(ground.old, host)
        assert service
        assert service.status == "disabled"
        assert ground.facts["disable_service/host/" + host]["status"] == "enabled"
        with pytest.raises(Changed, match="has come"):
            ground.find(Verb.DISABLE_SERVICE, target, reason="vacated", servers=[])


def test_a_server_that_is_still_on_its_way_to_the_host_is_seen_by_its_claim(ground: Ground) -> None:
    source, host = ground.two_hosts()
    machines.set_faults(ground.lab, source, {Fault.LIVE_MIGRATION_SLOW: 15})
    try:
        with cordoned(ground, host) as target, ground.server_on(source) as server:
            ground.act(server, {"os-migrateLive": {"host": host, "block_migration": "auto"}})
            provider = placement.by_name(ground.old, host)
            assert provider
            ground.until(lambda: server.id in (placement.held(ground.old, provider) or {}))
            assert there(ground, server)[1] == source
            with pytest.raises(Changed, match="has come"):
                ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated", servers=[])
            ground.until(lambda: there(ground, server) == ("ACTIVE", host))
    finally:
        machines.set_faults(ground.lab, source, {})


def test_servers_that_the_plan_knows_or_that_have_gone_since_are_no_surprise(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    with cordoned(ground, host) as target, ground.server_on(host) as server:
        outcome = ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated", servers=[server.id, "gone-since"])
        assert {"provider", "zone", "aggregates", "agents", "status", "disabled_reason"} <= outcome.facts.keys()


def test_a_host_that_somebody_else_disabled_since_is_not_released_by_an_undo(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    with cordoned(ground, host) as target:
        ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated")
        service = read_service(ground.old, host)
        assert service
        put = {"status": "disabled", "disabled_reason": "broken fan"}
        ground.old.service("compute").put(f"/os-services/{service.id}", json=put)
        assert "by somebody else since (broken fan)" in ground.perform(Verb.ENABLE_SERVICE, target, status="enabled").said


def test_a_stopped_server_is_shelved_off_its_host_and_comes_back_stopped(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    with ground.server_on(host, stopped=True) as server:
        assert ground.find(Verb.SHELVE, server, **{"from": host}) is None
        ground.perform(Verb.SHELVE, server, **{"from": host})
        assert there(ground, server) == ("SHELVED_OFFLOADED", None)
        assert placement.held_by(ground.old, server.id) == {}
        assert ground.find(Verb.SHELVE, server, **{"from": host}) is not None
        assert ground.find(Verb.UNSHELVE, server, to=host) is None
        ground.perform(Verb.UNSHELVE, server, to=host)
        assert there(ground, server) == ("SHUTOFF", host)
        assert ground.find(Verb.UNSHELVE, server, to=host) is not None


def test_a_shelving_that_a_crash_left_under_way_is_taken_up(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    with ground.server_on(host, stopped=True) as server:
        ground.act(server, {"shelve": None})
        assert ground.find(Verb.SHELVE, server, **{"from": host}) is not None
        assert there(ground, server) == ("SHELVED_OFFLOADED", None)


def test_a_shelving_that_fails_leaves_the_server_on_its_host_and_says_why(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    machines.set_faults(ground.lab, host, {Fault.SNAPSHOT_FAILS: True})
    try:
        with ground.server_on(host, stopped=True) as server:
            with pytest.raises(Failed, match="was to be shelved, and is SHUTOFF") as caught:
                ground.perform(Verb.SHELVE, server, **{"from": host})
            assert caught.value.setback is not None
            assert (caught.value.setback.failure, caught.value.setback.servers) == (Failure.SHELVE_FAILED, (server.id,))
            assert there(ground, server) == ("SHUTOFF", host)
    finally:
        machines.set_faults(ground.lab, host, {})


@pytest.fixture
def empty_host(ground: Ground) -> str:
    held = {server[HOST] for server in list_servers(ground.old)}
    return next(one.host for one in reversed(read_services(ground.old)) if one.status == "enabled" and one.host not in held)


def test_a_host_leaves_nothing_behind_and_comes_back_into_its_aggregates(ground: Ground, empty_host: str) -> None:
    compute = ground.old.connection.compute
    aggregate = compute.post("/os-aggregates", json={"aggregate": {"name": "hosts-test-ssd"}}).json()["aggregate"]["id"]
    compute.post(f"/os-aggregates/{aggregate}/action", json={"add_host": {"host": empty_host}})
    target = Ref("host", empty_host)
    try:
        facts = ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated", servers=[]).facts
        assert facts["aggregates"] == [{"id": aggregate, "name": "hosts-test-ssd"}]
        ground.perform(Verb.PROVE_EMPTY, target)
        ground.perform(Verb.STOP_COMPUTE, target)
        deleted = ground.perform(Verb.DELETE_SERVICE, target)
        assert deleted.facts["aggregates"] == facts["aggregates"]
        assert aggregates_of(ground.old, empty_host) == []
        assert empty_host not in nodes_by_host(ground.old)
        assert not placement.exists(ground.old, facts["provider"])
        machines.set_compute_enabled(ground.lab, empty_host, True, nova_runs=True)
        ground.until(lambda: bool((service := read_service(ground.old, empty_host)) and service.state == "up" and service.provider))
        before = {name: facts[name] for name in ("status", "aggregates")}
        assert "is back in hosts-test-ssd" in ground.perform(Verb.ENABLE_SERVICE, target, **before).said
        assert aggregates_of(ground.old, empty_host) == facts["aggregates"]
    finally:
        machines.set_compute_enabled(ground.lab, empty_host, True, nova_runs=True)
        ground.until(lambda: (service := read_service(ground.old, empty_host)) is not None and service.state == "up")
        service: Any = read_service(ground.old, empty_host)
        compute.put(f"/os-services/{service.id}", json={"status": "enabled"})
        compute.post(f"/os-aggregates/{aggregate}/action", json={"remove_host": {"host": empty_host}})
        compute.delete(f"/os-aggregates/{aggregate}")
        ground.facts.clear()
