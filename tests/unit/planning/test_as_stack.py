"""An application as a template: what it makes, what it asks for, what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from decamp.model.errors import BadInput
from decamp.planning.as_stack import Template, as_stack
from decamp.resources.stack_template import Definition, namings
from small_projects import group, move, old, port, resource, router, rule, server, subnet, volume


def written(*resources: Any, **goal: Any) -> Template:
    before = old(*resources)
    return as_stack(before, move(before, **goal))


def made(template: Template) -> dict[str, str]:
    return {name: one["type"] for name, one in template.document["resources"].items()}


def properties(template: Template, name: str) -> dict[str, Any]:
    return template.document["resources"][name]["properties"]


def application() -> list[Any]:
    return [
        port("nic"),
        volume("data", 3),
        server("db", ["nic"], ["data"]),
        resource("floating_ip", "198.51.100.7", [("port", "nic"), ("network", "public")], port=["port", "nic"]),
        router(gateway={"network": ["network", "public"]}, interfaces=[{"subnet": ["subnet", "sub"], "ip_address": "10.0.0.1"}]),
        subnet(gateway_ip="10.0.0.1"),
    ]


def test_what_belongs_to_an_application_is_made():
    assert made(written(*application())) == {
        "network_net": "OS::Neutron::Net",
        "subnet_sub": "OS::Neutron::Subnet",
        "router_router": "OS::Neutron::Router",
        "router_router_interface_1": "OS::Neutron::RouterInterface",
        "security_group_web": "OS::Neutron::SecurityGroup",
        "port_nic": "OS::Neutron::Port",
        "volume_data": "OS::Cinder::Volume",
        "server_db": "OS::Nova::Server",
        "server_db_volume_1": "OS::Cinder::VolumeAttachment",
        "floating_ip_198_51_100_7": "OS::Neutron::FloatingIP",
    }


def test_what_an_application_uses_of_its_cloud_is_asked_for_and_checked():
    """What the plan found in the new cloud is the default."""
    parameters = written(*application()).document["parameters"]
    asked = {name: (one["default"], one["constraints"][0]["custom_constraint"]) for name, one in parameters.items()}
    assert asked == {
        "flavor_small": ("flavor-new", "nova.flavor"),
        "image_debian": ("debian", "glance.image"),
        "keypair_key": ("key", "nova.keypair"),
        "network_public": ("public", "neutron.network"),
    }


def test_resources_name_each_other_and_nothing_of_the_old_cloud():
    template = written(*application())
    assert properties(template, "server_db")["networks"] == [{"port": {"get_resource": "port_nic"}}]
    assert properties(template, "port_nic")["fixed_ips"] == [{"subnet": {"get_resource": "subnet_sub"}, "ip_address": "10.0.0.5"}]
    defaults = {one["default"] for one in template.document["parameters"].values()}
    named = {one.value for one in namings(Definition(template=template.document, files={}, environment={}))}
    assert named <= defaults


def test_user_data_are_a_hidden_parameter_where_there_are_any_or_nobody_can_tell():
    told = written(server("one", user_data_sha256="abc"), server("two"), server("three", info={"unreadable": ["user_data"]}))
    asked = {name for name, one in told.document["parameters"].items() if one.get("hidden")}
    assert asked == {"user_data_one", "user_data_three"}
    assert properties(told, "server_one")["user_data"] == {"get_param": "user_data_one"}
    assert "user_data" not in properties(told, "server_two")


def test_rules_of_a_group_are_its_own_but_for_those_that_name_another():
    """Groups may name each other, which resources of a template may not."""
    rules = [
        rule("self", "web", "web"),
        rule("other", "web", "db"),
        rule("back", "db", "web"),
        rule("out", "web", direction="egress", protocol="tcp"),
    ]
    template = written(group("db"), *rules, port("nic", groups=["web", "db"]), server("one", ["nic"]))
    inline = properties(template, "security_group_web")["rules"]
    assert sorted((one["direction"], "remote_mode" in one) for one in inline) == [
        ("egress", False),
        ("ingress", False),
        ("ingress", True),
    ]
    assert properties(template, "security_group_web_rule_1")["remote_group"] == {"get_resource": "security_group_db"}
    assert properties(template, "security_group_db_rule_1")["remote_group"] == {"get_resource": "security_group_web"}
    assert any("security_group 'db' (db) lets nothing out" in one for one in template.left_out)


def test_a_root_volume_is_made_of_its_image_and_booted_from():
    template = written(volume("root", 8, base="debian", bootable=True), server("one", root="root"))
    assert properties(template, "volume_root")["image"] == {"get_param": "image_debian"}
    assert "image" not in properties(template, "server_one")
    assert properties(template, "server_one")["block_device_mapping_v2"] == [
        {"volume_id": {"get_resource": "volume_root"}, "boot_index": 0, "delete_on_termination": False}
    ]


def test_servers_of_one_name_have_names_of_their_own():
    assert {"server_web", "server_web_2"} <= made(written(server("a", name="web"), server("b", name="web"))).keys()


def test_only_the_servers_that_are_named_are_written():
    before = old(*application(), server("mail"))
    assert "server_mail" not in made(as_stack(before, move(before, None, "db")))


def test_what_a_template_does_not_make_is_told():
    template = written(*application(), resource("trunk", "trunk", [("port", "nic")], port=["port", "nic"]))
    assert "trunk 'trunk' (trunk) is not created by the template." in template.left_out


def test_a_project_without_servers_is_bad_input():
    with pytest.raises(BadInput, match="has no servers"):
        written()
