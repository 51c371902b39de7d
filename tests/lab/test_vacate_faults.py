"""A vacate on real services that go wrong: it ends with what can be reached, every server is accounted for, and nothing is lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
from desk import told
from openstack.exceptions import ConflictException
from vacate_ground import REFUSED, TEST_SECONDS, WAIT_SECONDS, Estate, Json, migrations_of, options, put_back

from decamp.lab import Lab, machines
from decamp.lab.layout import CloudName
from decamp.lab.machines import Fault
from decamp.lab.weather import Proxy, Weather, write_clouds

pytestmark = [pytest.mark.lab, pytest.mark.timeout(TEST_SECONDS)]

STORM_SECONDS = 60.0


@pytest.fixture(scope="module")
def seeded(lab: Lab) -> Lab:
    return put_back(lab)


@pytest.fixture
def estate(seeded: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    estate = Estate(seeded, tmp_path_factory.mktemp("faults"))
    yield estate
    for host in estate.hosts():
        machines.set_faults(seeded, host, {})
        if host not in machines.started_hosts(seeded, CloudName.OLD):
            machines.set_compute_enabled(seeded, host, enabled=True, nova_runs=True)


def test_a_vacate_that_is_cancelled_leaves_the_cloud_clean_and_undo_moves_everything_back(estate: Estate) -> None:
    plan, before = estate.plan(), estate.record()
    sources = plan["forecast"]["freed_hosts"]
    for host in sources:
        machines.set_faults(estate.lab, host, {Fault.LIVE_MIGRATION_SLOW: 8})
    arrived = estate.arrived()
    applying = estate.start("apply", "plan.json", "--yes", "--allow-refusals")
    estate.until(lambda: estate.arrived() >= arrived + 6, "some migrations to arrive")
    run = estate.run_of(plan)
    estate.run("cancel", run)
    out, err = told(applying, WAIT_SECONDS)
    assert applying.returncode not in {0, 2}, out + err

    outcomes = Counter(row["Outcome"] for row in estate.outcomes(run, "hosts"))
    freed = [row["Host"] for row in estate.outcomes(run, "hosts") if row["Outcome"] == "freed"]
    assert outcomes["stays_disabled"] == 0, outcomes
    assert outcomes["stays"] > len(sources) // 2
    estate.verify("check", str(before), *options("--freed-host", freed), *options("--left-host", set(sources) - set(freed)))

    for host in set(sources) - set(freed):
        machines.set_faults(estate.lab, host, {})
    moved = {one for one, server in estate.servers().items() if server.compute_host not in {None, *sources}}
    assert moved
    estate.run("undo", run, "--yes", "--move-back", seconds=WAIT_SECONDS)
    estate.verify("check", str(before), *options("--freed-host", freed), *options("--left-host", freed))


class Faults:
    """Who suffers what in the story below, chosen by what the plan is going to do."""

    def __init__(self, plan: Json) -> None:
        migrations = migrations_of(plan)
        cold = [action for action in migrations if action["verb"] == "cold_migrate"]
        live_from = Counter(action["args"]["from"] for action in migrations if action["verb"] == "live_migrate")
        live_to = Counter(action["args"]["to"] for action in migrations if action["verb"] == "live_migrate")
        self.breaking = Counter(action["args"]["to"] for action in cold).most_common()[-1][0]
        """Target of the fewest cold migrations: Nova's FakeFinishMigrationFailDriver."""
        self.killed, self.waiting, self.rolling_back = (host for host, _ in live_from.most_common(3))
        """Sources: its nova-compute is killed; Nova's FakeLiveMigrateDriver; every live migration off it breaks off."""
        self.unplugged = next(host for host, _ in reversed(live_to.most_common()) if host != self.breaking)
        """Target of the fewest live migrations: none of them gets in."""
        calm = [action for action in migrations if action["args"]["from"] not in {self.killed, self.rolling_back}]
        self.deleted = next(action["target"][1] for action in reversed(calm) if action["verb"] == "live_migrate")
        self.started = next(action["target"][1] for action in reversed(calm) if action in cold and action["args"]["to"] != self.breaking)

    def begin(self, lab: Lab) -> None:
        for host, faults in {
            self.breaking: {Fault.FINISH_MIGRATION_FAILS: True},
            self.waiting: {Fault.LIVE_MIGRATION_WAITS: True},
            self.rolling_back: {Fault.LIVE_MIGRATION_ROLLS_BACK: True},
            self.unplugged: {Fault.PRE_LIVE_MIGRATION_FAILS: True},
            self.killed: {Fault.LIVE_MIGRATION_SLOW: 20},
        }.items():
            machines.set_faults(lab, host, faults)


def test_a_vacate_in_a_cloud_that_goes_wrong_ends_with_what_can_be_reached_and_loses_nothing(estate: Estate) -> None:
    plan, before = estate.plan(), estate.record()
    faults, servers = Faults(plan), estate.servers()
    arrived = estate.arrived()
    faults.begin(estate.lab)
    begun = time.monotonic()
    with Proxy(estate.lab.url(CloudName.OLD, "nova")) as proxy:
        write_clouds(estate.lab.clouds_yaml, estate.path / "clouds.yaml", "old", {"compute": f"{proxy.url}/v2.1"})
        first = estate.start("apply", "plan.json", "--yes", "--allow-refusals")
        # at once, so that it is gone before its turn to be moved comes
        estate.compute.delete_server(faults.deleted)
        estate.until(lambda: _starts(estate, faults.started), f"server {faults.started} to let its owner start it")
        run = estate.run_of(plan)
        estate.until(lambda: estate.arrived() >= arrived + 4, "the first migrations to arrive")
        first.kill()
        first.communicate()
        resumed = estate.start("resume", run)
        estate.until(lambda: _is_leaving(estate, faults.killed), f"a migration off {faults.killed} to be under way")
        machines.kill_compute(estate.lab, faults.killed, nova_runs=True)
        with proxy.during(Weather.UNAVAILABLE):
            time.sleep(STORM_SECONDS)
        out, err = told(resumed, WAIT_SECONDS)
        print(out, err)
        assert "Traceback" not in out + err
        assert proxy.seen[Weather.UNAVAILABLE] > 0
    seconds = time.monotonic() - begun

    hosts = {row["Host"]: row for row in estate.outcomes(run, "hosts")}
    freed = {host for host, row in hosts.items() if row["Outcome"] == "freed"}
    staying = set(plan["forecast"]["freed_hosts"]) - freed
    assert {faults.killed, faults.rolling_back} <= staying
    assert {hosts[host]["Outcome"] for host in staying} == {"stays"}
    assert all(hosts[host]["Why"] for host in staying)
    assert len(freed) > len(staying)
    assert resumed.returncode in {1, 3}
    estate.policy(never_touch_hosts=[faults.killed, faults.rolling_back, faults.breaking, faults.unplugged])
    for host in staying - {faults.killed, faults.rolling_back}:
        estate.run("plan", "vacate", "--host", host, "-o", f"{host}.json", status=REFUSED)

    now = estate.servers()
    broken = [one for one, server in now.items() if server.status == "ERROR" and servers[one].status != "ERROR"]
    accounts = {row["Server"]: row for row in estate.outcomes(run, "servers")}
    assert set(broken) == {
        one.server_id
        for one in estate.compute.migrations(migration_type="migration")
        if one.dest_compute == faults.breaking and one.status == "error"
    }
    assert all(accounts[one]["Outcome"] == "harmed" and "ERROR" in accounts[one]["Said"] for one in broken), [
        accounts[one] for one in broken
    ]
    stranded = [one for one, server in now.items() if server.status == "MIGRATING"]
    assert all(now[one].compute_host == faults.killed and accounts[one]["Outcome"] == "stays" for one in stranded)
    assert accounts[faults.deleted]["Outcome"] == "gone"
    assert accounts[faults.started]["Outcome"] == "moved" or servers[faults.started].compute_host in staying
    assert now[faults.started].status == "ACTIVE"
    estate.verify(
        "check",
        str(before),
        *options("--freed-host", freed),
        *options("--left-host", staying),
        *options("--down-host", [faults.killed]),
        *options("--deleted", [faults.deleted]),
        *options("--stranded", stranded),
        *options("--now", [f"{faults.started}=ACTIVE", *(f"{one}=ERROR" for one in broken)]),
    )
    print(f"{len(freed)} of {len(hosts)} hosts freed after all; {len(broken)} servers in ERROR, as Nova left them; {seconds:.0f} s")


def _starts(estate: Estate, server: str) -> bool:
    """Nova refuses it while the server is on its way to another host."""
    try:
        estate.compute.start_server(server)
    except ConflictException:
        return False
    return True


def _is_leaving(estate: Estate, host: str) -> bool:
    return any(one.source_compute == host and one.status == "running" for one in estate.compute.migrations())
