"""The lab as its users see it: three clouds that work, and that come back after whatever happened to them."""

from __future__ import annotations

import os
import signal
import stat
import time
import uuid
from collections.abc import Iterator

import pytest
import yaml
from openstack.connection import Connection

from decamp import lab as labs
from decamp.lab import machines
from decamp.lab.connections import connect
from decamp.lab.layout import CloudName
from decamp.lab.supervise import Supervisor
from decamp.model.errors import BadInput, Failed

pytestmark = pytest.mark.lab

SECONDS = 90.0


@pytest.fixture
def old(lab: labs.Lab) -> Connection:
    return connect(lab, CloudName.OLD)


@pytest.fixture
def stopped_host(lab: labs.Lab) -> Iterator[str]:
    """The last host of the old cloud, with its nova-compute stopped as an operator would, and started again afterwards."""
    host = machines.old_host(lab.settings.old_hosts)
    machines.set_compute_enabled(lab, host, enabled=False, nova_runs=True)
    yield host
    machines.set_compute_enabled(lab, host, enabled=True, nova_runs=True)


def test_every_service_of_a_lab_that_is_up_is_up(lab: labs.Lab) -> None:
    _until(lambda: _all_up(lab))


def test_the_old_cloud_has_as_many_compute_hosts_as_were_asked_for(lab: labs.Lab, old: Connection) -> None:
    hosts = sorted(service.host for service in old.compute.services(binary="nova-compute") if service.state == "up")

    assert hosts == [machines.old_host(number) for number in range(1, lab.settings.old_hosts + 1)]


def test_the_new_cloud_s_compute_hosts_are_the_members_of_the_undercloud_s_stack(lab: labs.Lab) -> None:
    new, undercloud = connect(lab, CloudName.NEW), connect(lab, CloudName.UNDERCLOUD)
    stack = undercloud.orchestration.get_stack("overcloud")

    hosts = {service.host for service in new.compute.services(binary="nova-compute")}

    assert hosts == {server.name for server in undercloud.compute.servers()}
    assert len(hosts) == int(stack.parameters["ComputeCount"])
    assert {node.provision_state for node in undercloud.baremetal.nodes(details=True)} >= {"active"}


def test_a_host_offers_placement_the_size_of_its_machine(lab: labs.Lab, old: Connection) -> None:
    provider = old.placement.find_resource_provider("cmp-001")

    totals = {inventory.resource_class: inventory.total for inventory in old.placement.resource_provider_inventories(provider)}

    size = lab.settings.machine
    assert totals == {"VCPU": size.vcpus, "MEMORY_MB": size.memory_mib, "DISK_GB": size.disk_gib}


def test_files_with_passwords_can_be_read_by_their_owner_only(lab: labs.Lab) -> None:
    for name in ("clouds.yaml", "passwords.json", "mariadb-init.sql", "mariadb-client.cnf", "rabbitmq/definitions.json"):
        assert stat.S_IMODE((lab.folder / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(lab.etc(CloudName.OLD).stat().st_mode) == 0o700


def test_a_second_up_leaves_every_process_alone_and_keeps_what_others_wrote_into_clouds_yaml(lab: labs.Lab) -> None:
    entries = yaml.safe_load(lab.clouds_yaml.read_text())
    entries["clouds"]["somebody-elses"] = {"auth_type": "none", "endpoint": "http://127.0.0.1:1"}
    lab.clouds_yaml.write_text(yaml.safe_dump(entries))
    before = [(row.service, row.pid) for row in labs.status(lab.folder)]

    labs.up(lab.folder)

    assert [(row.service, row.pid) for row in labs.status(lab.folder)] == before
    assert "somebody-elses" in yaml.safe_load(lab.clouds_yaml.read_text())["clouds"]


def test_a_service_that_died_is_shown_as_down_and_started_again_by_up(lab: labs.Lab) -> None:
    pid = Supervisor(lab.folder).pid("old-placement")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _until(lambda: not Supervisor(lab.folder).is_running("old-placement"))

    rows = {(row.cloud, row.service): row for row in labs.status(lab.folder)}

    assert rows["old", "placement"].state == "down"
    assert rows["old", "placement"].detail == "not running"
    labs.up(lab.folder)
    assert Supervisor(lab.folder).is_running("old-placement")
    _until(lambda: _all_up(lab))


def test_two_labs_verbs_at_once_on_one_folder_are_refused(lab: labs.Lab) -> None:
    with labs.lab._locked(lab.folder), pytest.raises(Failed, match=r"Another `decamp lab` works on"):
        labs.up(lab.folder)


def test_a_stopped_compute_service_is_gone_for_good_once_it_is_deleted(lab: labs.Lab, old: Connection, stopped_host: str) -> None:
    (service,) = old.compute.services(binary="nova-compute", host=stopped_host)
    assert old.placement.find_resource_provider(stopped_host)

    old.compute.delete_service(service)

    # longer than the interval at which a nova-compute that runs reports, and registers itself anew
    time.sleep(12)
    assert list(old.compute.services(binary="nova-compute", host=stopped_host)) == []
    assert not old.placement.find_resource_provider(stopped_host)
    assert stopped_host not in machines.started_hosts(lab, CloudName.OLD)


def test_a_host_that_was_deleted_and_comes_back_takes_servers_again(lab: labs.Lab, old: Connection) -> None:
    host = machines.old_host(lab.settings.old_hosts)
    _until(lambda: any(service.state == "up" for service in old.compute.services(binary="nova-compute", host=host)))
    network = old.network.create_network(name=f"lab-{uuid.uuid4().hex[:8]}")
    image = old.image.create_image(f"lab-{uuid.uuid4().hex[:8]}", data=b"x" * 1024, disk_format="raw", container_format="bare")
    old.network.create_subnet(network_id=network.id, cidr="10.77.0.0/24", ip_version=4)
    try:
        server = old.compute.create_server(
            name="comes-back",
            image_id=image.id,
            flavor_id=old.compute.find_flavor("m1.tiny").id,
            networks=[{"uuid": network.id}],
            availability_zone=f"nova:{host}",
        )
        try:
            old.compute.wait_for_server(server, wait=int(SECONDS), interval=1)
            assert old.compute.get_server(server.id).compute_host == host
            disk = lab.cloud_folder(CloudName.OLD) / "nova" / "disks" / host / f"{server.id}.disk"
            assert disk.read_bytes() == b"x" * 1024
        finally:
            old.compute.delete_server(server)
            old.compute.wait_for_delete(server, interval=1, wait=int(SECONDS))
        assert not disk.exists()
    finally:
        old.image.delete_image(image)
        old.network.delete_network(network)


def test_there_is_no_compute_service_to_stop_on_a_host_that_no_machine_runs(lab: labs.Lab) -> None:
    with pytest.raises(BadInput, match="No machine of the lab runs a compute host cmp-999"):
        machines.set_compute_enabled(lab, "cmp-999", enabled=False, nova_runs=True)


def _all_up(lab: labs.Lab) -> bool:
    """One look may fail on a busy machine: the lab's probes wait for seconds only."""
    down = [row for row in labs.status(lab.folder) if row.state != "up"]
    print(down)
    return not down


def _until(holds, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
