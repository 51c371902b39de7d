"""Emptying hosts of a real Nova: what counts as moved, what counts as empty, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hosts_ground import Ground

from decamp.hosts import emptiness, migrations
from decamp.hosts.reading import read_compute, read_service
from decamp.lab.layout import Lab
from decamp.model.errors import Changed, Failed
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref

pytestmark = pytest.mark.lab

HOST, TASK = "OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state"


@pytest.fixture(scope="module")
def ground(lab: Lab) -> Iterator[Ground]:
    ground = Ground(lab.folder)
    yield ground
    ground.close()


def test_a_survey_has_every_host_and_server_with_what_placement_holds(ground: Ground) -> None:
    source, _ = ground.two_hosts()
    with ground.server_on(source) as server:
        read = read_compute(ground.old)
        found = {one.id: one for one in read.servers}[server.id]
    assert (found.host, found.status, found.pinned) == (source, "ACTIVE", None)
    assert found.allocations == {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}
    host = {one.name: one for one in read.hosts}[source]
    assert host.receives
    assert host.provider
    assert host.inventories["VCPU"].total > 0
    # said of an old cloud with several zones: a test before this one may have seeded them
    assert [told for told in read.incomplete if "which zone a server's user asked for" not in told] == []


def test_the_fingerprint_of_a_survey_is_the_one_that_apply_compares(ground: Ground) -> None:
    source, _ = ground.two_hosts()
    with ground.server_on(source) as server:
        surveyed = {one.id: one for one in read_compute(ground.old).servers}[server.id].placement_fingerprint()
        action = Action(id="x", verb=Verb.LIVE_MIGRATE, target=server)
        assert ground.performers[Verb.LIVE_MIGRATE].fingerprint(action) == surveyed
    assert ground.performers[Verb.LIVE_MIGRATE].fingerprint(action) is None


def test_a_live_migrated_server_is_on_its_new_host_and_found_there_after_a_crash(ground: Ground) -> None:
    source, target = ground.two_hosts()
    way = {"from": source, "to": target}
    with ground.server_on(source) as server:
        assert ground.find(Verb.LIVE_MIGRATE, server, **way) is None
        done = ground.perform(Verb.LIVE_MIGRATE, server, **way)
        assert ground.server(server.id)[HOST] == target
        found = ground.find(Verb.LIVE_MIGRATE, server, **way)
        assert found is not None
        assert found.facts == done.facts


def test_a_live_migration_that_a_crash_left_under_way_is_taken_up_and_not_repeated(ground: Ground) -> None:
    source, target = ground.two_hosts()
    with ground.server_on(source) as server:
        ground.act(server, {"os-migrateLive": {"host": target, "block_migration": "auto"}})
        found = ground.find(Verb.LIVE_MIGRATE, server, **{"from": source, "to": target})
        (record,) = migrations.of_server(ground.old, server.id)
        assert found is not None
        assert found.facts["migration"] == record["id"]


def test_a_live_migration_that_nova_rejects_says_why_and_leaves_the_server_where_it_is(ground: Ground) -> None:
    source, _ = ground.two_hosts()
    with ground.server_on(source) as server:
        with pytest.raises(Failed, match="ended as error, with the server ACTIVE: No valid host was found"):
            ground.perform(Verb.LIVE_MIGRATE, server, **{"from": source, "to": source})
        with pytest.raises(Failed, match="Compute host nowhere could not be found"):
            ground.perform(Verb.LIVE_MIGRATE, server, **{"from": source, "to": "nowhere"})
        there = ground.server(server.id)
        assert (there[HOST], there["status"], there[TASK]) == (source, "ACTIVE", None)


def test_a_stopped_server_is_migrated_confirmed_and_stays_stopped(ground: Ground) -> None:
    source, target = ground.two_hosts()
    way = {"from": source, "to": target}
    with ground.server_on(source, stopped=True) as server:
        ground.perform(Verb.COLD_MIGRATE, server, **way)
        there = ground.server(server.id)
        assert (there[HOST], there["status"], there[TASK]) == (target, "SHUTOFF", None)
        assert ground.find(Verb.COLD_MIGRATE, server, **way) is not None


def test_a_cold_migration_that_a_crash_left_unconfirmed_holds_both_hosts_until_it_is_taken_up(ground: Ground) -> None:
    source, target = ground.two_hosts()
    with ground.server_on(source, stopped=True) as server:
        ground.act(server, {"migrate": {"host": target}})
        ground.until(lambda: ground.server(server.id)["status"] == "VERIFY_RESIZE")
        service = read_service(ground.old, source)
        assert service
        left = [text for text in emptiness.what_is_left(ground.old, service) if server.id in text]
        assert [text for text in left if "is finished" in text]
        assert ground.find(Verb.COLD_MIGRATE, server, **{"from": source, "to": target}) is not None
        assert not [text for text in emptiness.what_is_left(ground.old, service) if server.id in text]


def test_a_cold_migration_is_taken_up_right_after_its_request_and_right_after_its_confirmation(ground: Ground) -> None:
    source, target = ground.two_hosts()
    with ground.server_on(source, stopped=True) as server:
        ground.act(server, {"migrate": {"host": target}})
        assert ground.find(Verb.COLD_MIGRATE, server, **{"from": source, "to": target}) is not None
        assert ground.server(server.id)["status"] == "SHUTOFF"
    with ground.server_on(source, stopped=True) as server:
        ground.act(server, {"migrate": {"host": target}})
        ground.until(lambda: ground.server(server.id)["status"] == "VERIFY_RESIZE")
        ground.act(server, {"confirmResize": None})
        assert ground.find(Verb.COLD_MIGRATE, server, **{"from": source, "to": target}) is not None
        assert ground.server(server.id)["status"] == "SHUTOFF"


def test_a_stopped_server_keeps_its_host_from_being_empty(ground: Ground) -> None:
    source, _ = ground.two_hosts()
    with ground.server_on(source, stopped=True) as server:
        service = read_service(ground.old, source)
        assert service
        left = emptiness.what_is_left(ground.old, service)
        assert f"server {server.id} (hosts-test) is on it, SHUTOFF" in left
        assert [text for text in left if text.startswith(f"consumer {server.id} holds ")]


def test_a_cordon_is_known_by_its_mark_and_an_operators_own_is_left_as_it_is(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    target = Ref("host", host)
    try:
        assert ground.find(Verb.DISABLE_SERVICE, target, reason="vacated") is None
        outcome = ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated")
        assert outcome.facts["status"] == "enabled"
        assert ground.find(Verb.DISABLE_SERVICE, target, reason="vacated") is not None
        assert ground.find(Verb.DISABLE_SERVICE, target, reason="vacated", mark="decamp-00000000000000bb") is None
        again = ground.perform(Verb.DISABLE_SERVICE, target, reason="other", mark="decamp-00000000000000bb")
        assert again.said == "was disabled already (vacated [decamp-00000000000000aa])"
        assert again.facts["status"] == "enabled"
        service = read_service(ground.old, host)
        assert service
        assert service.disabled_reason == "vacated [decamp-00000000000000aa]"
    finally:
        ground.perform(Verb.ENABLE_SERVICE, target)


def test_a_host_that_was_disabled_before_the_run_is_not_enabled_by_its_undo(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    target = Ref("host", host)
    service = read_service(ground.old, host)
    assert service
    put = {"status": "disabled", "disabled_reason": "broken fan"}
    ground.old.service("compute").put(f"/os-services/{service.id}", json=put)
    try:
        facts = ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated").facts
        ground.perform(Verb.ENABLE_SERVICE, target, status=facts["status"], disabled_reason=facts["disabled_reason"])
        after = read_service(ground.old, host)
        assert after
        assert (after.status, after.disabled_reason) == ("disabled", "broken fan")
        assert "by somebody else" in ground.perform(Verb.ENABLE_SERVICE, target, status="enabled").said
    finally:
        ground.old.service("compute").put(f"/os-services/{service.id}", json={"status": "enabled"})


def test_a_service_with_servers_is_not_deleted_and_one_that_takes_servers_is_not_stopped(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    target = Ref("host", host)
    with pytest.raises(Changed, match="it is not stopped"):
        ground.perform(Verb.STOP_COMPUTE, target)
    with pytest.raises(Changed, match="it is not deleted"):
        ground.perform(Verb.DELETE_SERVICE, target)
    with ground.server_on(host):
        ground.perform(Verb.DISABLE_SERVICE, target, reason="vacated")
        try:
            with pytest.raises(Failed, match="Unable to delete compute service that is hosting instances"):
                ground.perform(Verb.DELETE_SERVICE, target)
        finally:
            ground.perform(Verb.ENABLE_SERVICE, target)


def test_the_beginning_of_a_hosts_name_is_not_taken_for_an_empty_host(ground: Ground) -> None:
    host, _ = ground.two_hosts()
    with pytest.raises(Changed, match="there is no compute service"):
        ground.perform(Verb.PROVE_EMPTY, Ref("host", host[:-1]))
