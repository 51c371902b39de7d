"""One machine's way from the old cloud into the new, with a failure at every step, and back to where it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hosts_ground import Ground

from decamp.hosts import baremetal, heat_role, placement
from decamp.hosts.machines import load_instackenv
from decamp.hosts.reading import list_servers, read_service, read_services, show_server
from decamp.lab import machines
from decamp.lab.layout import Lab
from decamp.model.errors import Changed, Failed, Refused
from decamp.model.plan import Verb
from decamp.model.refs import Ref

pytestmark = pytest.mark.lab


class Way:
    """The machine, and what plans say of it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        assert ground.settings.expand.instackenv
        described = load_instackenv(ground.settings.expand.instackenv)
        # the host with the fewest servers, so that little has to move
        count = {service.host: 0 for service in read_services(ground.old) if service.host in described}
        for server in list_servers(ground.old):
            if server["OS-EXT-SRV-ATTR:host"] in count:
                count[server["OS-EXT-SRV-ATTR:host"]] += 1
        self.name = min(count, key=lambda host: (count[host], host))
        self.machine = described[self.name]
        self.host = Ref("host", self.name)
        self.target = Ref("machine", self.name)
        self.size = next(one["size"] for one in machines.shared().read_all(ground.lab.machines_folder) if one["name"] == self.name)
        self.stack = Ref("stack", ground.settings.expand.stack)
        self.count = self.stack_count()
        assert self.count

    @property
    def described(self) -> dict[str, Any]:
        return msgspec.to_builtins(self.machine)

    @property
    def scale(self) -> dict[str, Any]:
        expand = self.ground.settings.expand
        assert self.count
        return {"stack": expand.stack, "parameter": expand.count_parameter, "from": self.count, "to": self.count + 1}

    def stack_count(self) -> int | None:
        expand = self.ground.settings.expand
        return heat_role.count_of(heat_role.show(self.ground.undercloud, expand.stack), expand.count_parameter)

    def state(self) -> str:
        node = baremetal.show(self.ground.undercloud, self.name)
        assert node
        return node["provision_state"]


@pytest.fixture(scope="module")
def way(lab: Lab) -> Iterator[Way]:
    way = Way(Ground(lab.folder))
    try:
        yield way
    finally:
        _undo(way)


def _undo(way: Way) -> None:
    ground, connection = way.ground, way.ground.undercloud.connection
    ground.fail(way.name)
    stack = heat_role.show(ground.undercloud, way.stack.id)
    if way.stack_count() != way.count:
        body = {"parameters": {ground.settings.expand.count_parameter: way.count}}
        connection.orchestration.patch(f"/stacks/{stack['stack_name']}/{stack['id']}", json=body)
        ground.until(lambda: _ended_since(way, stack["updated_time"]))
    if baremetal.show(ground.undercloud, way.name):
        ground.until(lambda: way.state() not in {"active", "deleting", "cleaning", "clean wait"})
        connection.baremetal.set_node_maintenance(way.name, "the test is over")
        connection.baremetal.delete_node(way.name)
    members = _members(way)
    for service in read_services(ground.new):
        if service.host not in members:
            ground.new.service("compute").delete(f"/os-services/{service.id}")
    ground.give_back(way.name, way.size)
    back = read_service(ground.old, way.name)
    if back and back.status != "enabled":
        ground.perform(Verb.ENABLE_SERVICE, way.host)


def _ended_since(way: Way, updated_time: str) -> bool:
    stack = heat_role.show(way.ground.undercloud, way.stack.id)
    return stack["updated_time"] != updated_time and stack["stack_status"] == "UPDATE_COMPLETE"


def _members(way: Way) -> set[str]:
    return {server["name"] for server in list_servers(way.ground.undercloud)}


@pytest.fixture(scope="module")
def quiesced(way: Way) -> Way:
    """Its host is cordoned, emptied, stopped, and its service is gone."""
    ground = way.ground
    ground.perform(Verb.DISABLE_SERVICE, way.host, reason="vacated by decamp")
    others = [service.host for service in read_services(ground.old) if service.status == "enabled"]
    for number, server in enumerate(list_servers(ground.old, host=way.name)):
        verb = Verb.COLD_MIGRATE if server["status"] == "SHUTOFF" else Verb.LIVE_MIGRATE
        for target in others[number % len(others) :] + others[: number % len(others)]:
            try:
                ground.perform(verb, Ref("server", server["id"]), **{"from": way.name, "to": target})
                break
            except Failed:  # a server group or a full host: the planner would have known
                continue
    ground.perform(Verb.PROVE_EMPTY, way.host)
    with pytest.raises(Refused, match="is still the compute host"):
        ground.perform(Verb.ENROLL, way.target, machine=way.described)
    ground.perform(Verb.STOP_COMPUTE, way.host)
    ground.perform(Verb.DELETE_SERVICE, way.host)
    return way


@pytest.fixture(scope="module")
def enrolled(quiesced: Way) -> Way:
    quiesced.ground.perform(Verb.ENROLL, quiesced.target, machine=quiesced.described)
    return quiesced


@pytest.fixture(scope="module")
def manageable(enrolled: Way) -> Way:
    enrolled.ground.fail(enrolled.name, power="the BMC does not answer")
    with pytest.raises(Failed, match=r"it is enroll; Ironic says: .*the BMC does not answer"):
        enrolled.ground.perform(Verb.MANAGE, enrolled.target)
    enrolled.ground.fail(enrolled.name)
    enrolled.ground.perform(Verb.MANAGE, enrolled.target)
    return enrolled


@pytest.fixture(scope="module")
def available(manageable: Way) -> Way:
    manageable.ground.perform(Verb.PROVIDE, manageable.target)
    return manageable


@pytest.fixture(scope="module")
def scaled_out(available: Way) -> Way:
    available.ground.perform(Verb.SCALE_OUT, available.stack, **available.scale)
    return available


@pytest.fixture(scope="module")
def joined(scaled_out: Way) -> Way:
    expected = {"VCPU": scaled_out.machine.cpu, "MEMORY_MB": scaled_out.machine.memory_mib, "DISK_GB": scaled_out.machine.disk_gib}
    scaled_out.ground.perform(Verb.JOIN_HOST, scaled_out.target, machine=scaled_out.name, expected=expected)
    return scaled_out


def test_a_deleted_service_leaves_no_hypervisor_and_no_provider_behind(quiesced: Way) -> None:
    ground = quiesced.ground
    noted = ground.facts[f"{Verb.DISABLE_SERVICE}/host/{quiesced.name}"]
    assert read_service(ground.old, quiesced.name) is None
    assert not placement.exists(ground.old, noted["provider"])
    assert noted["hypervisor"] not in {one["hypervisor_hostname"] for one in _hypervisors(ground)}
    assert ground.find(Verb.DELETE_SERVICE, quiesced.host) is not None
    assert ground.find(Verb.STOP_COMPUTE, quiesced.host) is not None


def _hypervisors(ground: Ground) -> list[dict[str, Any]]:
    return ground.old.service("compute").get("/os-hypervisors").json()["hypervisors"]


def test_a_machine_is_enrolled_once_and_no_secret_of_it_is_told(enrolled: Way) -> None:
    ground = enrolled.ground
    found = ground.find(Verb.ENROLL, enrolled.target, machine=enrolled.described)
    assert found is not None
    with pytest.raises(Changed, match="has the MAC address"):
        ground.perform(Verb.ENROLL, enrolled.target, machine=enrolled.described, mark="decamp-00000000000000bb")
    told = [one for one in baremetal.export(ground.undercloud) if one.name == enrolled.name]
    assert [one.info["macs"] for one in told] == [list(enrolled.machine.macs)]
    assert told[0].info["bmc_address"] == enrolled.machine.pm_addr
    assert b"password" not in msgspec.json.encode(told)


def test_ports_that_a_crash_left_unmade_are_made(enrolled: Way) -> None:
    ground = enrolled.ground
    for port in ground.undercloud.connection.baremetal.ports(node=baremetal.show(ground.undercloud, enrolled.name)["uuid"]):  # pyright: ignore
        ground.undercloud.connection.baremetal.delete_port(port)
    assert ground.find(Verb.ENROLL, enrolled.target, machine=enrolled.described) is not None


def test_a_failed_inspection_says_what_ironic_says_and_can_be_tried_again(manageable: Way) -> None:
    ground = manageable.ground
    ground.fail(manageable.name, inspect="the ramdisk never called back")
    with pytest.raises(Failed, match=r"it is inspect failed; Ironic says: .*the ramdisk never called back"):
        ground.perform(Verb.INSPECT, manageable.target, declared=manageable.described)
    ground.fail(manageable.name)
    ground.perform(Verb.INSPECT, manageable.target, declared=manageable.described)
    assert manageable.state() == "manageable"


def test_a_missing_dimm_stops_the_machine_while_it_is_manageable(manageable: Way) -> None:
    ground = manageable.ground
    doubled = {**manageable.described, "memory_mib": 2 * (manageable.machine.memory_mib or 0)}
    with pytest.raises(Failed, match=r"is not what was declared: memory: \d+ MiB declared, \d+ MiB found"):
        ground.perform(Verb.INSPECT, manageable.target, declared=doubled)
    assert manageable.state() == "manageable"


def test_the_count_is_not_raised_without_a_free_node(manageable: Way) -> None:
    with pytest.raises(Failed, match="The count was not touched"):
        manageable.ground.perform(Verb.SCALE_OUT, manageable.stack, **manageable.scale)
    assert manageable.stack_count() == manageable.count


def test_a_machine_that_was_provided_is_found_so_after_a_crash(available: Way) -> None:
    assert available.ground.find(Verb.PROVIDE, available.target) is not None
    with pytest.raises(Changed, match="`provide` begins from manageable"):
        available.ground.perform(Verb.PROVIDE, available.target)


def test_a_stack_that_fails_has_its_old_count_again_and_all_other_parameters(available: Way) -> None:
    ground = available.ground
    before = heat_role.show(ground.undercloud, available.stack.id)["parameters"]
    ground.fail(available.name, deploy="no boot device")
    with pytest.raises(Failed, match=f"UPDATE_FAILED: .* ComputeCount is {available.count} again, as it was"):
        ground.perform(Verb.SCALE_OUT, available.stack, **available.scale)
    ground.fail(available.name)
    assert heat_role.show(ground.undercloud, available.stack.id)["parameters"] == before
    assert ground.find(Verb.SCALE_OUT, available.stack, **available.scale) is None
    ground.until(lambda: available.state() == "available")


def test_a_raised_count_is_found_after_a_crash_and_a_stale_plan_is_refused(scaled_out: Way) -> None:
    assert scaled_out.ground.find(Verb.SCALE_OUT, scaled_out.stack, **scaled_out.scale) is not None
    with pytest.raises(Changed, match="as when the plan was made"):
        scaled_out.ground.perform(Verb.SCALE_OUT, scaled_out.stack, **scaled_out.scale)


def test_a_host_with_less_than_its_machine_has_does_not_join(scaled_out: Way) -> None:
    with pytest.raises(Failed, match=r"with less than machine .* has: VCPU: \d+ in Placement, 640 in the machine"):
        scaled_out.ground.perform(Verb.JOIN_HOST, scaled_out.target, machine=scaled_out.name, expected={"VCPU": 640})


def test_a_canary_that_fails_cordons_the_host_and_one_that_lives_lifts_that(joined: Way) -> None:
    ground = joined.ground
    canary = ground.settings.expand.canary
    assert canary
    host = ground.facts[f"{Verb.JOIN_HOST}/machine/{joined.name}"]["host"]
    after = (f"{Verb.JOIN_HOST}/machine/{joined.name}",)
    huge = ground.new.connection.compute.create_flavor(name="hosts-test-huge", vcpus=1, ram=999999, disk=1)
    try:
        with pytest.raises(Failed, match=r"became ERROR: No valid host was found\. The host was disabled"):
            ground.perform(Verb.CANARY, joined.target, after=after, image=canary.image, flavor=huge.id)
    finally:
        ground.new.connection.compute.delete_flavor(huge)
    assert read_service(ground.new, host).status == "disabled"  # pyright: ignore
    outcome = ground.perform(Verb.CANARY, joined.target, after=after, image=canary.image, flavor=canary.flavor)
    assert outcome.facts == {"host": host}
    assert read_service(ground.new, host).status == "enabled"  # pyright: ignore
    assert not [server for server in list_servers(ground.new) if "canary" in server["name"]]


def test_a_canary_that_a_crash_left_is_deleted_before_the_next(joined: Way) -> None:
    ground = joined.ground
    canary = ground.settings.expand.canary
    assert canary
    image = ground.new.connection.image.find_image(canary.image, ignore_missing=False)
    flavor = ground.new.connection.compute.find_flavor(canary.flavor, ignore_missing=False)
    mark = "decamp-00000000000000cc"
    body = {"name": "left", "imageRef": image.id, "flavorRef": flavor.id, "networks": "none", "tags": [mark]}
    answer = ground.new.service("compute").post("/servers", json={"server": body})
    assert answer.status_code == 202, answer.text
    left = answer.json()["server"]["id"]
    ground.until(lambda: (show_server(ground.new, left) or {}).get("status") == "ACTIVE")
    after = (f"{Verb.JOIN_HOST}/machine/{joined.name}",)
    assert ground.find(Verb.CANARY, joined.target, after=after, mark=mark, image=image.id, flavor=flavor.id) is None
    assert not [server for server in list_servers(ground.new) if server["name"] == "left"]
