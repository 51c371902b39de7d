"""What a copy that a stack made may differ in."""

from __future__ import annotations

import pytest

from decamp.model.survey import Resource
from decamp.resources.specs import differences
from decamp.resources.stack_member import as_made


def port(name: str, **spec: object) -> Resource:
    return Resource(kind="port", id=name, name=name, spec={"name": name, "mac_address": "a", "fixed_ips": [], "dns_name": "", **spec})


def told(wanted: Resource, copy: Resource) -> tuple[str, ...]:
    return differences(as_made(wanted, copy), copy, {})


def test_what_the_services_choose_may_differ_and_nothing_else():
    assert told(port("nic"), port("nic", mac_address="b", fixed_ips=["x"])) == ()
    assert "dns_name" in told(port("nic"), port("nic", dns_name="web"))[0]


@pytest.mark.parametrize(
    ("wanted", "made", "differs"),
    [
        ("shop-port-cwtu74x2mzbg", "shop-port-ibjyfgmnv3rp", False),
        ("nic", "shop-port-ibjyfgmnv3rp", True),
        ("shop-port-cwtu74x2mzbg", "nic", True),
        ("nic", "nic-2", True),
    ],
)
def test_names_may_differ_where_heat_chose_both(wanted: str, made: str, differs: bool):
    assert bool(told(port(wanted), port(made))) is differs


def test_a_copy_that_is_not_there_is_told():
    assert differences(as_made(port("nic"), None), None, {}) == ("port nic: its copy is not there",)
