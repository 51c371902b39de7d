from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from decamp.model.documents import encode
from decamp.model.errors import BadInput
from decamp.model.ledger import Entry
from decamp.model.mapping import Mapping
from decamp.model.plan import Plan, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource, Survey
from decamp.planning.carrying import WAYS_OUT
from decamp.planning.replay import replay
from small_projects import (
    MAPPED,
    P,
    action,
    comes_after,
    did,
    flavor,
    group,
    ids,
    image,
    keypair,
    move,
    network,
    new,
    old,
    port,
    project,
    refusals,
    resource,
    router,
    rule,
    server,
    subnet,
    volume,
    without,
)


def web() -> list[Resource]:
    """A server on a port of the project's network."""
    return [port("nic"), server("web-1", ["nic"])]


def clean(before: Survey, there: Survey | None = None, *servers: str, **options: object) -> Plan:
    """The plan, which the independent checker finds nothing wrong with."""
    there = there or new(admin=before.admin)
    plan = move(before, there, *servers, **options)  # type: ignore[arg-type]
    assert replay(plan, {"old": before, "new": there}) == ()
    return plan


def on_lan() -> list[Resource]:
    """A server on a network that an operator shares."""
    shared = [network("lan", project="admin", shared=True), subnet("lan-sub", "lan", project="admin")]
    return [*shared, port("nic", "lan", "lan-sub"), server("web-1", ["nic"])]


ON_LAN = Mapping(network={"lan": "lan-new"})


def lan_there(*resources: Resource, cidr: str = "10.0.0.0/24") -> Survey:
    """Its counterpart in the new cloud."""
    return new(network("lan-new", project="admin", shared=True), subnet("lan-sub-new", "lan-new", cidr, project="admin"), *resources)


def copies(entries: Iterable[Entry]) -> list[Resource]:
    """What the new cloud then has."""
    return [resource(one.ref.kind, str(one.new_id), project="new-project") for one in entries if one.new_id and not one.adopted]


def test_a_server_brings_all_that_it_needs_and_that_its_network_and_groups_are_made_of():
    plan = clean(old(*web()), None, "web-1")
    assert plan.refusals == ()
    assert set(ids(plan)) == {
        f"adopt/project/{P}",
        "adopt/flavor/small",
        "adopt/network/public",
        "create/image/debian",
        "create/keypair/key",
        "create/network/net",
        "create/subnet/sub",
        "create/router/router",
        "create/security_group/web",
        "create/security_group_rule/web-ssh",
        "create/port/nic",
        "create/server/web-1",
        "stop_server/server/web-1",
        "lock_server/server/web-1",
    }


def test_every_need_of_what_is_made_is_made_or_adopted_before_it():
    before = old(*web(), volume("data"), server("web-2", [], ["data"]), group("peer"), rule("r", "web", "peer"), rule("q", "peer", "web"))
    plan = clean(before)
    made = {one.target: one.id for one in plan.actions if one.verb in {Verb.CREATE, Verb.ADOPT}}
    for one in plan.actions:
        if one.verb is Verb.CREATE:
            for need in one.args["resource"]["needs"]:
                assert comes_after(plan, one.id, made[Ref(*need)])


def test_a_copy_boots_when_its_port_its_router_and_its_rules_are_there():
    """Or it would find neither its metadata nor its packages, and cloud-init runs once."""
    plan = clean(old(*web()), None, "web-1")
    for earlier in ("create/port/nic", "create/router/router", "create/security_group_rule/web-ssh"):
        assert comes_after(plan, "create/server/web-1", earlier)


def test_after_names_no_action_that_follows_from_another():
    plan = clean(old(*web()), None, "web-1")
    for one in plan.actions:
        for earlier in one.after:
            assert not any(comes_after(plan, other, earlier) for other in one.after if other != earlier)


def test_equal_inputs_in_another_order_give_the_same_plan_byte_for_byte():
    resources = list(old(*web(), volume("data"), server("db", [], ["data"])).resources)
    plans: set[bytes] = set()
    for turn in range(5):
        shuffled = tuple(resources[turn:] + resources[:turn][::-1])
        plan = move(old(resources=shuffled), new(), "db", "web-1")
        plans.add(encode(msgspec.structs.replace(plan, made_from={}).sealed()))
    assert len(plans) == 1


def test_other_servers_of_the_project_and_other_projects_things_stay():
    before = old(*web(), server("web-2", [], key=None), network("other-net", project="beta"), server("foreign", project="beta"))
    assert not {"web-2", "other-net", "foreign"} & {one.target.id for one in clean(before, None, "web-1").actions}


def test_without_a_choice_everything_of_the_project_moves():
    before = old(*web(), volume("spare", info={"status": "available"}), group("unused"), server("foreign", project="beta"))
    made = ids(clean(before))
    assert {"create/volume/spare", "create/security_group/unused", "create/server/web-1"} <= set(made)
    assert "create/server/foreign" not in made


def test_servers_and_projects_are_chosen_by_id_or_by_unique_name():
    before = old(server("id-1", name="twin"), server("id-2", name="twin"), server("id-3", name="single"))
    assert "create/server/id-3" in ids(move(before, None, "single", project="alpha"))
    with pytest.raises(BadInput, match="several of that name: id-1, id-2"):
        move(before, None, "twin")
    with pytest.raises(BadInput, match="no server of that id or name is in project 'alpha'"):
        move(before, None, "nowhere")
    with pytest.raises(BadInput, match="no project of that id or name"):
        move(before, None, project="gamma")
    with pytest.raises(BadInput, match="there is no such manner"):
        move(before, None, "single", manner="teleport")


def test_things_of_one_name_are_copied_each_by_itself():
    """Also where one name would match another as a pattern does."""
    twins = [network("net-1", name="web"), network("net-2", name="web"), network("net-3", name="web.*")]
    servers = [server("id-1", name="web"), server("id-2", name="web"), server("id-3", name="w.b")]
    made = ids(clean(old(*twins, *servers)))
    assert {f"create/{one.kind}/{one.id}" for one in (*twins, *servers)} <= set(made)
    assert "create/server/id-3" in ids(move(old(*servers), None, "w.b"))


def test_a_server_of_another_project_is_said_to_be_one():
    with pytest.raises(BadInput, match="it belongs to project beta"):
        move(old(server("foreign", project="beta")), None, "foreign")


def test_projects_of_one_name_are_listed():
    before = old(project("one", "twin"), project("two", "twin"), admin=True)
    with pytest.raises(BadInput, match="several of that name: one, two"):
        move(before, project="twin")


# networks and mapping


def test_an_external_network_that_is_not_mapped_is_refused_with_its_router_and_the_server_still_moves():
    plan = clean(old(*web()), None, "web-1", mapping=Mapping())
    assert refusals(plan) == {("network", "public", "unmapped"), ("router", "router", "needs_refused")}
    assert "create/server/web-1" in ids(plan)


def test_a_server_on_a_shared_network_that_is_not_mapped_is_refused_and_nothing_is_made_for_it():
    plan = move(old(*on_lan()), None, "web-1")
    assert refusals(plan) == {
        ("network", "lan", "unmapped"),
        ("subnet", "lan-sub", "needs_refused"),
        ("port", "nic", "needs_refused"),
        ("server", "web-1", "needs_refused"),
    }
    assert plan.actions == ()


def test_a_mapped_network_is_adopted_with_its_subnet_of_the_same_range():
    plan = clean(old(*on_lan()), lan_there(), "web-1", mapping=ON_LAN)
    assert action(plan, "adopt/network/lan").args["id"] == "lan-new"
    assert action(plan, "adopt/subnet/lan-sub").args["id"] == "lan-sub-new"
    assert action(plan, "adopt/subnet/lan-sub").args["because"] == "mapping"


def test_a_mapped_network_without_a_subnet_of_that_range_is_refused():
    assert ("subnet", "lan-sub", "unmapped") in refusals(move(old(*on_lan()), lan_there(cidr="192.168.0.0/24"), "web-1", mapping=ON_LAN))


def test_an_address_that_is_taken_on_a_mapped_network_is_a_conflict():
    taken = lan_there(port("other", "lan-new", "lan-sub-new", "10.0.0.5"))
    assert ("port", "nic", "conflict") in refusals(move(old(*on_lan()), taken, "web-1", mapping=ON_LAN))


def test_a_server_whose_address_both_clouds_know_is_stopped_before_its_copy_boots():
    plan = clean(old(*on_lan()), lan_there(), "web-1", mapping=ON_LAN)
    assert comes_after(plan, "create/server/web-1", "stop_server/server/web-1")


def test_a_provider_network_is_not_cloned():
    provider = network("vlan", info={"provider": {"network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 7}})
    assert ("network", "vlan", "unmapped") in refusals(move(old(provider, admin=True)))
    overlay = network("own", info={"provider": {"network_type": "vxlan", "physical_network": None, "segmentation_id": 7}})
    assert "create/network/own" in ids(move(old(overlay, admin=True)))


def test_a_mapping_to_what_is_not_there_is_bad_input_that_names_it():
    with pytest.raises(BadInput, match=r"mapping: network: 'public' -> 'elsewhere': cloud new has no network"):
        move(old(*web()), mapping=Mapping(network={"public": "elsewhere"}))


def test_a_mapping_that_names_several_things_is_bad_input_on_either_side():
    twins = new(network("a", name="twin"), network("b", name="twin"))
    with pytest.raises(BadInput, match="several of that name: a, b"):
        move(old(*web()), twins, mapping=Mapping(network={"public": "twin"}))
    before = old(network("x", name="lan"), network("y", name="lan"))
    with pytest.raises(BadInput, match="several named 'lan': x, y"):
        move(before, mapping=Mapping(network={"public": "public", "lan": "public"}))


# what is adopted


def test_an_image_with_the_same_content_is_adopted_whatever_its_name():
    plan = clean(old(*web()), new(image("other", name="Debian 12")), "web-1")
    assert action(plan, "adopt/image/debian").args["id"] == "other"
    assert action(plan, "adopt/image/debian").args["because"] == "same_content"


@pytest.mark.parametrize(
    ("mine", "there"),
    [
        pytest.param(image(), image("debian", "d2"), id="other content under the same name"),
        pytest.param(image(digest=None), image(digest=None), id="no hash on either side"),
        pytest.param(image(properties={"hw_firmware_type": "uefi"}), image(), id="same bytes that would boot otherwise"),
    ],
)
def test_an_image_is_made_anew_when_it_is_not_proved_to_be_the_same(mine: Resource, there: Resource):
    assert "create/image/debian" in ids(clean(old(mine, *web()), new(there), "web-1"))


def test_a_public_base_image_is_carried_once_and_becomes_the_tenants_own():
    before = old(*web(), server("web-2", key=None))
    plan = clean(before, None, "web-1", "web-2")
    made = action(plan, "create/image/debian")
    assert made.args["resource"]["project"] == P
    assert made.args["resource"]["spec"]["visibility"] == "private"
    assert made.changes == {"visibility": ("public", "private")}
    assert plan.forecast.bytes == 30 << 20


def test_an_operator_carries_a_public_image_as_a_public_one_of_nobodys():
    made = action(clean(old(*web(), admin=True), None, "web-1"), "create/image/debian").args["resource"]
    assert (made["project"], made["spec"]["visibility"]) == (None, "public")


def test_a_flavor_is_adopted_by_equal_specs_and_by_name_where_several_are_equal():
    there = new(flavor("aaa", name="aaa"), flavor("zzz", name="small"))
    assert action(clean(old(*web()), without(there, ("flavor", "flavor-new")), "web-1"), "adopt/flavor/small").args["id"] == "zzz"


def test_a_flavor_without_equal_is_refused_to_a_tenant_and_made_by_an_operator():
    huge = flavor("huge", vcpus=64)
    plan = move(old(huge, server("web-1", flavor="huge")), None, "web-1")
    assert refusals(plan) == {("flavor", "huge", "unmapped"), ("server", "web-1", "needs_refused")}
    assert "create/flavor/huge" in ids(clean(old(huge, server("web-1", flavor="huge"), admin=True), None, "web-1"))


def test_a_mapped_flavor_is_adopted_though_it_differs():
    plan = clean(old(flavor("huge", vcpus=64), server("web-1", flavor="huge")), None, "web-1", mapping=Mapping(flavor={"huge": "small"}))
    assert action(plan, "adopt/flavor/huge").args["id"] == "flavor-new"


def test_a_private_flavor_is_opened_to_the_moving_project_alone():
    private = flavor("gold", vcpus=9, public=False, access=[["project", P], ["project", "beta"]])
    plan = clean(old(private, project("beta", "beta"), server("web-1", flavor="gold"), admin=True), None, "web-1")
    assert action(plan, "create/flavor/gold").args["resource"]["spec"]["access"] == [["project", P]]
    assert not any(one.target == Ref("project", "beta") for one in plan.actions)


def test_a_flavor_that_is_gone_is_known_from_its_server():
    gone = server("web-1", flavor="gone-1", info={"flavor": flavor("gone-1").spec})
    assert action(clean(old(gone), None, "web-1"), "adopt/flavor/gone-1").args["id"] == "flavor-new"


def test_the_same_key_is_adopted_and_another_of_its_name_is_a_conflict():
    assert action(clean(old(*web()), new(keypair()), "web-1"), "adopt/keypair/key").args["because"] == "same_content"
    plan = move(old(*web()), new(keypair(public_key="ssh-rsa BBBB")), "web-1")
    assert refusals(plan) >= {("keypair", "key", "conflict"), ("server", "web-1", "needs_refused")}


def test_a_tenants_project_is_that_of_the_new_clouds_credentials():
    adopted = action(clean(old(*web())), f"adopt/project/{P}")
    assert (adopted.args["id"], adopted.args["because"]) == ("new-project", "credentials")


def test_a_tenants_project_is_found_though_only_its_id_is_known():
    before = without(old(*web()), ("project", P))
    assert f"adopt/project/{P}" in ids(clean(before))


def test_an_operator_makes_the_project_or_takes_an_equal_or_a_mapped_one_and_refuses_another_namesake():
    before = old(*web(), admin=True)
    assert f"create/project/{P}" in ids(clean(before))
    assert action(clean(before, new(project("there"), admin=True)), f"adopt/project/{P}").args["because"] == "same_specs"
    other = new(project("there", description="somebody else's"), admin=True)
    plan = move(before, other)
    assert ("project", P, "conflict") in refusals(plan)
    assert plan.actions == ()
    mapping = Mapping(network={"public": "public"}, project={"alpha": "there"})
    assert action(clean(before, other, mapping=mapping), f"adopt/project/{P}").args["because"] == "mapping"


# security groups


def test_the_default_group_is_adopted_and_its_missing_rules_are_made():
    before = old(
        group("default-old", name="default"), rule("in-self", "default-old", "default-old"), rule("ssh", "default-old", protocol="tcp")
    )
    there = new(rule("in-self-new", "default-new", "default-new", project="new-project"))
    plan = clean(before, there)
    assert action(plan, "adopt/security_group/default-old").args["because"] == "exists"
    assert action(plan, "adopt/security_group_rule/in-self").args["id"] == "in-self-new"
    assert "create/security_group_rule/ssh" in ids(plan)
    assert plan.refusals == ()


def test_rules_that_only_the_new_default_group_has_are_said_and_left_alone():
    there = new(rule("egress", "default-new", project="new-project", direction="egress"))
    plan = clean(old(group("default-old", name="default")), there)
    assert refusals(plan) == {("security_group", "default-old", "conflict")}
    assert "egress IPv4 any protocol to anywhere" in plan.refusals[0].text
    assert "adopt/security_group/default-old" in ids(plan)


def test_the_default_group_of_a_project_that_is_made_is_left_to_its_kind():
    plan = clean(old(group("default-old", name="default"), rule("ssh", "default-old"), admin=True))
    assert {"create/security_group/default-old", "create/security_group_rule/ssh"} <= set(ids(plan))


def test_groups_that_refer_to_each_other_come_before_all_of_their_rules():
    before = old(group("a"), group("b"), rule("a-from-b", "a", "b"), rule("b-from-a", "b", "a"), rule("a-from-a", "a", "a"))
    plan = clean(before)
    for one in ("a-from-b", "b-from-a"):
        for earlier in ("a", "b"):
            assert comes_after(plan, f"create/security_group_rule/{one}", f"create/security_group/{earlier}")


# manners


def test_a_recreated_server_runs_on_in_the_old_cloud_until_its_copy_is_proved():
    plan = clean(old(*web()), None, "web-1")
    assert comes_after(plan, "stop_server/server/web-1", "create/server/web-1")
    assert comes_after(plan, "lock_server/server/web-1", "stop_server/server/web-1")
    assert action(plan, "create/server/web-1").changes["root_disk"] == (
        "contents of the old root disk",
        "fresh from image 'debian' (debian)",
    )


def test_a_recreated_server_with_data_is_stopped_when_all_else_is_ready_and_before_its_data_is_copied():
    plan = clean(old(port("nic"), volume("data", 7), server("db", ["nic"], ["data"])), None, "db")
    assert comes_after(plan, "create/volume/data", "stop_server/server/db")
    for ready in ("create/port/nic", "create/image/debian", "create/router/router", "create/security_group_rule/web-ssh"):
        assert comes_after(plan, "stop_server/server/db", ready)
    assert comes_after(plan, "lock_server/server/db", "create/server/db")
    assert plan.forecast.bytes == (30 << 20) + (7 << 30)


def test_a_snapshot_of_the_stopped_server_takes_the_place_of_its_base_image():
    plan = clean(old(*web()), None, "web-1", manner="snapshot")
    made = action(plan, "create/server/web-1").args["resource"]
    assert made["spec"]["image"] == ["server_snapshot", "web-1"]
    assert ["server_snapshot", "web-1"] in made["needs"]
    assert comes_after(plan, "create/server_snapshot/web-1", "stop_server/server/web-1")
    assert "create/image/debian" not in ids(plan)
    assert "root_disk" not in action(plan, "create/server/web-1").changes


def test_a_server_that_is_stopped_already_is_only_locked():
    plan = clean(old(port("nic"), server("web-1", ["nic"], status="SHUTOFF")), None, "web-1", manner="snapshot")
    assert "lock_server/server/web-1" in ids(plan)
    assert "stop_server/server/web-1" not in ids(plan)
    assert comes_after(plan, "create/server_snapshot/web-1", f"adopt/project/{P}")


def test_a_volume_booted_server_is_recreated_on_a_fresh_root_volume_with_its_data():
    plan = clean(old(volume("root", 5, base="debian"), volume("data"), server("db", [], ["data"], root="root")), None, "db")
    root = action(plan, "create/volume/root")
    assert root.args["manner"] == "recreate"
    assert root.args["resource"]["spec"]["image"] == ["image", "debian"]
    assert action(plan, "create/volume/data").args["manner"] == "copy"
    assert comes_after(plan, "create/volume/root", "create/image/debian")
    assert not comes_after(plan, "create/volume/root", "stop_server/server/db")
    assert action(plan, "create/server/db").changes["root_disk"][1] == "fresh from image 'debian' (debian)"


def test_a_volume_booted_server_moved_by_snapshot_carries_its_root_volume_and_makes_no_image_of_it():
    plan = clean(old(volume("root", 5, base="debian"), server("db", root="root")), None, "db", manner="snapshot")
    assert action(plan, "create/volume/root").args["manner"] == "copy"
    assert not [one for one in ids(plan) if "image" in one or "snapshot" in one]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(without(old(*web()), ("image", "debian")), id="image deleted since"),
        pytest.param(old(port("nic"), server("web-1", ["nic"], image=None)), id="image unknown"),
        pytest.param(old(volume("root", base="gone"), server("web-1", root="root")), id="root volume's image deleted since"),
        pytest.param(old(volume("root"), server("web-1", root="root")), id="root volume of no image"),
        pytest.param(
            old(image(digest=None), volume("root", base="debian"), server("web-1", root="root")), id="root volume's image has no hash"
        ),
    ],
)
def test_a_server_without_its_base_image_is_refused_with_the_way_out(before: Survey):
    plan = move(before, None, "web-1")
    assert ("server", "web-1", "base_image_gone") in refusals(plan)
    assert "--manner snapshot" in next(one.text for one in plan.refusals if one.reason == "base_image_gone")
    assert not [one for one in plan.actions if one.target.kind == "server"]


def test_a_server_without_its_base_image_moves_by_snapshot():
    plan = clean(without(old(*web()), ("image", "debian")), None, "web-1", manner="snapshot")
    assert plan.refusals == ()


def test_ephemeral_disks_arrive_empty_and_the_plan_says_so():
    before = old(flavor("eph", ephemeral_gib=20), server("web-1", flavor="eph"))
    there = new(flavor("eph-new", ephemeral_gib=20))
    plan = clean(before, there, "web-1", manner="snapshot")
    assert action(plan, "create/server/web-1").changes["ephemeral_disks"] == ("contents of 20 GiB", "empty")


def test_zones_are_called_as_in_the_new_cloud():
    before = old(volume("data", info={"status": "in-use", "availability_zone": "az1"}), server("db", [], ["data"], availability_zone="az1"))
    mapping = Mapping(network=MAPPED.network, zone={"az1": "north"})
    plan = clean(before, None, "db", mapping=mapping)
    assert action(plan, "create/server/db").args["resource"]["spec"]["availability_zone"] == "north"
    assert action(plan, "create/volume/data").args["resource"]["spec"]["availability_zone"] == "north"


def test_server_groups_of_one_name_share_a_lock_because_nothing_else_tells_them_apart():
    before = old(resource("server_group", "g1", name="twins"), resource("server_group", "g2", name="twins"))
    plan = clean(before)
    assert action(plan, "create/server_group/g1").locks == action(plan, "create/server_group/g2").locks


@pytest.mark.parametrize(("policy", "shared"), [("anti-affinity", 1), ("affinity", 1), ("soft-anti-affinity", 0)])
def test_servers_of_a_group_that_nova_has_to_obey_are_booted_one_after_the_other(policy: str, shared: int):
    group = resource("server_group", "g", name="web", policy=policy)
    members = [server(name, group="g", server_group=["server_group", "g"]) for name in ("web-1", "web-2")]
    plan = clean(old(group, *members))
    first, second = (set(action(plan, f"create/server/{name}").locks) for name in ("web-1", "web-2"))
    assert len(first & second) == shared


# what cannot be carried


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        *(({"status": status}, "resize_unconfirmed" if status == "VERIFY_RESIZE" else "state") for status in WAYS_OUT),
        ({"status": "BUILD"}, "state"),
        ({"task_state": "migrating"}, "task_in_progress"),
        ({"stack": "shop"}, "stack_owned"),
        ({"unsupported": ["it asks for trusted image certificates"]}, "unsupported"),
    ],
)
def test_a_server_in_no_state_to_be_moved_is_refused(told: dict[str, object], reason: str):
    plan = move(old(port("nic"), server("web-1", ["nic"], info=told)), None, "web-1")
    assert ("server", "web-1", reason) in refusals(plan)
    assert WAYS_OUT.get(str(told.get("status")), "") in " ".join(refusal.text for refusal in plan.refusals)
    assert plan.actions == ()


def test_all_that_stands_in_the_way_is_told_not_the_first_of_it():
    plan = move(old(server("web-1", info={"status": "PAUSED", "task_state": "pausing", "stack": "shop"})), None, "web-1")
    assert {reason for _, _, reason in refusals(plan)} == {"state", "task_in_progress", "stack_owned"}


@pytest.mark.parametrize(
    ("hindrance", "reason"),
    [
        (volume("data", encrypted=True), "encrypted"),
        (volume("data", multiattach=True), "multi_attach"),
        (volume("data", info={"status": "error"}), "state"),
    ],
)
def test_a_volume_that_cannot_be_carried_holds_its_server_back(hindrance: Resource, reason: str):
    plan = move(old(hindrance, server("db", [], ["data"])), None, "db")
    assert refusals(plan) == {("volume", "data", reason), ("server", "db", "needs_refused")}


def test_a_port_of_special_hardware_and_an_accelerator_are_refused():
    gpu = flavor("gpu", extra_specs={"resources:VGPU": "1"})
    plan = move(old(port("nic", vnic_type="direct"), gpu, server("web-1", ["nic"], flavor="gpu")), new(gpu), "web-1")
    assert {("port", "nic", "unsupported"), ("server", "web-1", "accelerator"), ("server", "web-1", "needs_refused")} <= refusals(plan)


def test_volumes_and_ports_in_use_by_a_refused_server_stay_with_it():
    before = old(port("nic"), volume("data"), server("db", ["nic"], ["data"], status="PAUSED"), port("free", address="10.0.0.9"))
    plan = clean(before)
    assert {("volume", "data", "needs_refused"), ("port", "nic", "needs_refused"), ("server", "db", "state")} == refusals(plan)
    assert "create/port/free" in ids(plan)


def floating(port: str = "nic") -> Resource:
    return resource("floating_ip", "fip", [("network", "public"), ("port", port)], name="203.0.113.9", port=["port", port])


def test_a_floating_ip_gets_a_new_address_after_its_router_and_its_server():
    plan = clean(old(*web(), router(), floating()), None, "web-1")
    made = action(plan, "create/floating_ip/fip")
    assert made.changes["address"][0] == "203.0.113.9"
    assert made.args["resource"]["spec"].get("address") is None
    assert comes_after(plan, made.id, "create/server/web-1")
    assert comes_after(plan, made.id, "create/router/router")


def test_a_floating_ip_gets_the_address_that_the_mapping_says():
    mapping = Mapping(network=MAPPED.network, floating_ip={"203.0.113.9": "198.51.100.9"})
    made = action(clean(old(*web(), floating()), None, "web-1", mapping=mapping), "create/floating_ip/fip")
    assert made.args["resource"]["spec"]["address"] == "198.51.100.9"


@pytest.mark.parametrize("wanted", ["203.0.113.9", "198.51.100.9"])
def test_an_address_that_either_cloud_has_is_not_asked_for(wanted: str):
    mapping = Mapping(network=MAPPED.network, floating_ip={"203.0.113.9": wanted})
    there = new(resource("floating_ip", "other", name="198.51.100.9"))
    plan = clean(old(*web(), floating()), there, "web-1", mapping=mapping)
    assert refusals(plan) == {("floating_ip", "fip", "conflict")}
    assert "create/server/web-1" in ids(plan)


def test_a_floating_ip_stays_with_the_server_that_is_refused():
    plan = clean(old(port("nic"), server("web-1", ["nic"], status="PAUSED"), floating()))
    assert ("floating_ip", "fip", "needs_refused") in refusals(plan)


def test_only_an_administrator_stops_a_locked_server_that_runs():
    locked = [port("nic"), server("web-1", ["nic"], locked=True, locked_reason="books")]
    assert ("server", "web-1", "locked") in refusals(move(old(*locked), None, "web-1"))
    assert "stop_server/server/web-1" in ids(clean(old(*locked, admin=True), None, "web-1"))
    stopped = [port("nic"), server("web-1", ["nic"], status="SHUTOFF", locked=True)]
    assert "create/server/web-1" in ids(clean(old(*stopped), None, "web-1"))


def test_a_trunk_is_there_before_its_parent_port_is_bound():
    trunk = resource("trunk", "trunk", [("port", "nic"), ("port", "vlan")], port=["port", "nic"], sub_ports=[{"port": ["port", "vlan"]}])
    plan = clean(old(*web(), port("vlan", address="10.0.0.8"), trunk), None, "web-1")
    assert comes_after(plan, "create/server/web-1", "create/trunk/trunk")
    assert comes_after(plan, "create/trunk/trunk", "create/port/vlan")


def of_type(*types: Resource) -> list[Resource]:
    data = resource("volume", "data", [("volume_type", "fast")], size_gib=1, volume_type=["volume_type", "fast"], info={"status": "in-use"})
    return [data, *types]


def volume_type(id: str = "fast", **spec: Any) -> Resource:
    return resource("volume_type", id, project=None, **{"extra_specs": {"volume_backend_name": "ceph"}, "public": True, **spec})


def test_a_volume_type_of_the_same_name_stands_for_it_whatever_its_backend():
    there = new(volume_type("ssd", name="fast", extra_specs={"volume_backend_name": "nvme"}))
    assert action(clean(old(*of_type(volume_type())), there), "adopt/volume_type/fast").args["id"] == "ssd"


@pytest.mark.parametrize(
    ("there", "reason"), [([], "unmapped"), ([volume_type("ssd", name="fast", extra_specs={"multiattach": "<is> True"})], "conflict")]
)
def test_a_volume_type_that_users_could_tell_apart_is_mapped(there: list[Resource], reason: str):
    assert ("volume_type", "fast", reason) in refusals(clean(old(*of_type(volume_type())), new(*there)))
    mapping = Mapping(network=MAPPED.network, volume_type={"fast": "gold"})
    mapped = clean(old(*of_type(volume_type())), new(*there, volume_type("gold")), mapping=mapping)
    assert action(mapped, "adopt/volume_type/fast").args["id"] == "gold"


def test_an_operator_makes_a_volume_type_that_names_no_backend():
    plan = clean(old(*of_type(volume_type(extra_specs={})), admin=True), new(admin=True))
    assert "create/volume_type/fast" in ids(plan)


@pytest.mark.parametrize("wanted", [True, False])
def test_snapshots_of_volumes_go_when_they_are_asked_for_and_are_said_to_stay_when_not(wanted: bool):
    saved = resource("volume_snapshot", "monday", [("volume", "data")], volume=["volume", "data"], size_gib=1)
    plan = clean(old(volume("data"), server("db", [], ["data"]), saved), None, "db", with_snapshots=wanted)
    assert ("create/volume_snapshot/monday" in ids(plan)) is wanted
    assert ("snapshots" in action(plan, "create/volume/data").changes) is not wanted


def test_a_subnet_of_another_project_s_pool_keeps_its_range_without_the_pool():
    def of_pool(owner: str) -> list[Resource]:
        of = {"network": ["network", "net"], "subnet_pool": ["subnet_pool", "pool"]}
        return [
            resource("subnet", "cut", [("network", "net"), ("subnet_pool", "pool")], **of),
            resource("subnet_pool", "pool", project=owner),
        ]

    theirs = clean(old(*of_pool("others")))
    assert action(theirs, "create/subnet/cut").args["resource"]["spec"]["subnet_pool"] is None
    assert "create/subnet_pool/pool" not in ids(theirs)
    assert comes_after(clean(old(*of_pool(P))), "create/subnet/cut", "create/subnet_pool/pool")


def test_a_qos_policy_takes_an_operator():
    limited = [resource("port", "nic", [("network", "net"), ("subnet", "sub"), ("qos_policy", "qos")]), resource("qos_policy", "qos")]
    assert {("qos_policy", "qos", "unmapped"), ("port", "nic", "needs_refused")} <= refusals(clean(old(*limited)))
    assert "create/qos_policy/qos" in ids(clean(old(*limited, admin=True), new(admin=True)))


def test_what_is_needed_and_not_in_the_survey_is_named():
    plan = move(without(old(*web()), ("security_group", "web"), ("security_group_rule", "web-ssh")), None, "web-1")
    assert {("security_group", "web", "not_found"), ("port", "nic", "needs_refused")} <= refusals(plan)


def test_what_a_copy_will_lack_stands_in_its_changes():
    before = old(port("nic"), server("web-1", ["nic"], info={"not_carried": ["its user data", "its lock"]}))
    assert action(clean(before, None, "web-1"), "create/server/web-1").changes["not_carried"] == ("its user data; its lock", None)


# moves after moves


def test_what_an_earlier_run_made_is_used_again():
    before = old(*web(), port("nic-2", address="10.0.0.6"), server("web-2", ["nic-2"]))
    first = clean(before, None, "web-1")
    entries = did(first)
    second = clean(before, new(*copies(entries)), "web-2", ledger=entries)
    adopted = action(second, "adopt/network/net").args
    assert (adopted["id"], adopted["because"]) == ("net-copy", "moved_earlier")
    assert [one for one in ids(second) if one.startswith("create/")] == ["create/port/nic-2", "create/server/web-2"]


def test_a_server_that_has_moved_is_not_moved_again_and_not_stopped():
    before = old(*web())
    entries = did(clean(before, None, "web-1"))
    again = clean(before, new(*copies(entries)), "web-1", ledger=entries, manner="snapshot")
    assert ids(again) == ["adopt/server/web-1"]
    assert again.refusals == ()


def test_what_was_removed_from_the_new_cloud_or_undone_is_made_again():
    before = old(*web())
    entries = did(clean(before, None, "web-1"))
    assert "create/server/web-1" in ids(clean(before, new(), "web-1", ledger=entries))
    undone = [msgspec.structs.replace(e, removed_at="2026-11-23T02:00:00Z") for e in entries]
    assert "create/server/web-1" in ids(clean(before, new(*copies(entries)), "web-1", ledger=undone))


def test_a_copy_that_was_never_proved_is_a_conflict_as_long_as_it_is_there():
    before = old(*web(), port("nic-2", address="10.0.0.6"), server("web-2", ["nic-2"]))
    done = did(clean(before, None, "web-1"))
    entries = [msgspec.structs.replace(one, verified_at=None) if one.ref.kind == "network" else one for one in done]
    assert ("network", "net", "conflict") in refusals(move(before, new(*copies(entries)), "web-2", ledger=entries))
    assert "create/network/net" in ids(clean(before, new(), "web-2", ledger=entries))


def test_routers_with_other_subnets_bring_those_along():
    before = old(network("net-2"), subnet("sub-2", "net-2", "10.1.0.0/24"), router("router", ["sub", "sub-2"]), *web())
    assert comes_after(clean(before, None, "web-1"), "create/router/router", "create/subnet/sub-2")


def test_the_old_and_the_new_cloud_are_two():
    with pytest.raises(BadInput, match="both as the old and as the new"):
        move(old(), msgspec.structs.replace(new(), cloud="old"))


def test_a_thousand_servers_are_planned():
    pairs = [(port(f"nic-{n}", address=f"10.0.{n // 250}.{n % 250}"), server(f"s-{n}", [f"nic-{n}"])) for n in range(1000)]
    plan = move(old(*(one for pair in pairs for one in pair)))
    assert sum(one.verb is Verb.LOCK_SERVER for one in plan.actions) == 1000
    assert plan.forecast.servers == 1000
