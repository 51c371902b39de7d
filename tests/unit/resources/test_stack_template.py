"""Templates as documents: what they name of their cloud is found, and called otherwise, wherever it stands."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from decamp.resources.stack_template import HIDDEN, Definition, Naming, externals, hidden, is_native, namings, renamed, with_ids

IMAGE = "11111111-2222-4333-8444-555555555555"


def defined(
    resources: dict[str, Any], schemas: dict[str, Any] | None = None, *, files: dict[str, str] | None = None, **environment: Any
) -> Definition:
    template = {"heat_template_version": "2018-08-31", "parameters": schemas or {}, "resources": resources}
    return Definition(template=template, files=files or {}, environment=environment)


def server(**properties: Any) -> dict[str, Any]:
    return {"type": "OS::Nova::Server", "properties": properties}


def upper(definition: Definition) -> Definition:
    return renamed(definition, lambda naming: f"{naming.kind}:{naming.value}")


def told(definition: Definition) -> set[tuple[str, str]]:
    return {(one.kind, one.value) for one in namings(definition)}


def test_what_properties_name_is_found_in_lists_and_below():
    one = server(image="debian", flavor="small", networks=[{"network": "inner"}, {"port": {"get_resource": "nic"}}])
    rest = {"nic": {"type": "OS::Neutron::Port", "properties": {"security_groups": ["web", {"get_resource": "sg"}]}}}
    assert told(defined({"web": one, **rest})) == {
        ("image", "debian"),
        ("flavor", "small"),
        ("network", "inner"),
        ("security_group", "web"),
    }


def test_a_group_is_a_server_group_among_scheduler_hints_alone():
    config = {"type": "OS::Heat::SoftwareConfig", "properties": {"group": "script"}}
    assert told(defined({"c": config, "web": server(scheduler_hints={"group": "spread"})})) == {("server_group", "spread")}


@pytest.mark.parametrize(
    "schema", [{"type": "string"}, {"type": "string", "constraints": [{"custom_constraint": "glance.image"}]}], ids=["used", "constrained"]
)
def test_a_parameter_that_gives_a_name_is_called_anew_where_it_is_given(schema: dict[str, Any]):
    used = (
        server(image={"get_param": "base"}) if "constraints" not in schema else server(image={"if": ["x", {"get_param": "base"}, "other"]})
    )
    definition = defined({"web": used}, {"base": schema}, parameters={"base": "debian"})
    assert upper(definition).environment["parameters"] == {"base": "image:debian"}


def test_a_parameter_that_is_not_given_is_called_anew_in_its_default():
    definition = defined({"web": server(flavor={"get_param": "size"})}, {"size": {"type": "string", "default": "small"}})
    assert upper(definition).template["parameters"]["size"]["default"] == "flavor:small"


def test_lists_that_are_given_as_text_are_called_anew_one_by_one():
    port = {"type": "OS::Neutron::Port", "properties": {"security_groups": {"get_param": "groups"}}}
    definition = defined({"p": port}, {"groups": {"type": "comma_delimited_list"}}, parameters={"groups": "web,db"})
    assert upper(definition).environment["parameters"]["groups"] == "security_group:web,security_group:db"


def test_other_parameters_and_properties_stay_as_they_are():
    definition = defined(
        {"web": server(name="debian", metadata={"role": "debian"})}, {"os": {"type": "string"}}, parameters={"os": "debian"}
    )
    assert upper(definition) == definition


def test_nested_templates_and_groups_of_them_are_followed():
    inner = {
        "heat_template_version": "2018-08-31",
        "parameters": {"os": {"type": "string"}},
        "resources": {"one": server(image={"get_param": "os"}, flavor="small")},
    }
    group = {
        "type": "OS::Heat::ResourceGroup",
        "properties": {"count": 2, "resource_def": {"type": "pair.yaml", "properties": {"os": "debian"}}},
    }
    definition = upper(defined({"group": group}, files={"pair.yaml": yaml.safe_dump(inner), "setup.sh": "image: debian"}))
    assert definition.template["resources"]["group"]["properties"]["resource_def"]["properties"]["os"] == "image:debian"
    assert yaml.safe_load(definition.files["pair.yaml"])["resources"]["one"]["properties"]["flavor"] == "flavor:small"
    assert definition.files["setup.sh"] == "image: debian"


def test_a_type_that_the_environment_gives_another_name_is_followed():
    inner = yaml.safe_dump({"heat_template_version": "2018-08-31", "resources": {"one": server(image={"get_param": "os"})}})
    own = {"type": "Our::Server", "properties": {"os": "debian"}}
    definition = defined({"x": own}, files={"file:///s.yaml": inner}, resource_registry={"Our::Server": "file:///s.yaml"})
    assert told(definition) == {("image", "debian")}


def test_files_in_which_nothing_changes_keep_their_words():
    text = "# ours\nheat_template_version: 2018-08-31\nresources: {}\n"
    assert upper(defined({}, files={"a.yaml": text})).files == {"a.yaml": text}


def test_a_template_that_holds_itself_ends():
    inner = yaml.safe_dump(
        {"heat_template_version": "2018-08-31", "resources": {"again": {"type": "a.yaml", "properties": {"image": "x"}}}}
    )
    assert told(defined({"a": {"type": "a.yaml", "properties": {}}}, files={"a.yaml": inner})) == {("image", "x")}


def test_ids_are_replaced_wherever_they_stand():
    text = f"attach {IMAGE} and {IMAGE}x"
    assert with_ids({"files": {"run.sh": text}, IMAGE: [IMAGE, 1]}, {IMAGE: "new"}) == {
        "files": {"run.sh": "attach new and newx"},
        "new": ["new", 1],
    }


def test_what_is_hidden_is_named_and_never_called_anew():
    definition = defined({"web": server(key_name={"get_param": "key"})}, {"key": {"hidden": True}}, parameters={"key": HIDDEN, "b": "c"})
    assert hidden(definition) == ("key",)
    assert upper(definition).environment["parameters"]["key"] == HIDDEN


def test_external_resources_are_named_and_are_no_members():
    definition = defined({"net": {"type": "OS::Neutron::Net", "external_id": IMAGE}})
    assert externals(definition) == {IMAGE}
    assert namings(definition) == (Naming("network", IMAGE),)


def test_a_template_of_cloudformation_is_told_from_heat_s_own():
    assert is_native(defined({}))
    assert not is_native(Definition(template={"AWSTemplateFormatVersion": "2010-09-09"}, files={}, environment={}))
