from __future__ import annotations

from typing import Any

import pytest

from decamp.model.errors import Bug, Changed
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources.specs import differences, mapped, pair, sealed, translated, unchanged

IDS = {Ref("network", "old-net"): "new-net", Ref("security_group", "a"): "z", Ref("security_group", "b"): "y"}


def resource(**spec: Any) -> Resource:
    return sealed("port", "p", "eth0", "project", (), spec, {})


def test_no_id_is_no_ref() -> None:
    assert pair("network", None) is None
    assert pair("network", "x") == ["network", "x"]


def test_a_fingerprint_depends_on_spec_and_needs_and_on_nothing_else() -> None:
    def sealed_port(needs: list[Ref], info: dict[str, Any], name: str = "eth0") -> str:
        return sealed("port", "p", name, None, needs, {"name": name}, info).fingerprint

    one, other = Ref("network", "1"), Ref("subnet", "2")
    assert sealed_port([one, other], {"status": "UP"}) == sealed_port([other, one, one], {"status": "DOWN"})
    assert sealed_port([one], {}) != sealed_port([other], {})
    assert sealed_port([one], {}) != sealed_port([one], {}, "eth1")


def test_a_ref_without_a_copy_is_a_bug_that_names_it() -> None:
    assert mapped(IDS, ["network", "old-net"]) == "new-net"
    with pytest.raises(Bug, match="network other is needed"):
        mapped(IDS, ["network", "other"])


def test_refs_are_translated_wherever_they_stand_and_words_are_not() -> None:
    value = {"a": [{"subnet": ["network", "old-net"]}], "tags": ["network", "other"], "b": [["security_group", "a"]]}
    assert translated(IDS, value) == {
        "a": [{"subnet": ["network", "new-net"]}],
        "tags": ["network", "other"],
        "b": [["security_group", "z"]],
    }


def test_a_copy_that_is_the_same_in_the_new_cloud_has_no_difference() -> None:
    wanted = resource(groups=[["security_group", "a"], ["security_group", "b"]], network=["network", "old-net"], dns=["1", "2"])
    copy = resource(groups=[["security_group", "y"], ["security_group", "z"]], network=["network", "new-net"], dns=["1", "2"])
    assert differences(wanted, copy, IDS) == ()


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ({"dns": ["1", "2"]}, {"dns": ["2", "1"]}),
        ({"enabled": False}, {}),
        ({"enabled": True}, {"enabled": False}),
        ({"port_security_enabled": False}, {"port_security_enabled": None}),
        ({"pools": [{"start": "1"}]}, {"pools": []}),
        ({"network": ["network", "old-net"]}, {"network": ["network", "old-net"]}),
    ],
)
def test_each_field_that_differs_is_told(asked: dict[str, Any], there: dict[str, Any]) -> None:
    (told,) = differences(resource(**asked), resource(**there), IDS)
    assert next(iter(asked)) in told
    assert "port eth0" in told


@pytest.mark.parametrize(
    ("asked", "there"), [({"dns_name": ""}, {"dns_name": None}), ({"tags": []}, {}), ({"gateway": None}, {"gateway": {}})]
)
def test_nothing_is_as_good_as_nothing(asked: dict[str, Any], there: dict[str, Any]) -> None:
    assert differences(resource(**asked), resource(**there), IDS) == ()


def test_a_field_that_is_left_out_of_the_comparison_may_differ() -> None:
    assert differences(resource(a=1), resource(a=2), IDS, but=("a",)) == ()


def test_a_missing_copy_is_a_difference() -> None:
    assert differences(resource(), None, IDS) == ("port eth0: its copy is not there",)


def test_what_is_no_longer_as_expected_is_not_touched() -> None:
    there = resource(a=1)
    unchanged(there, there.fingerprint, "new")
    with pytest.raises(Changed, match=r"new: port eth0 .* has changed since"):
        unchanged(there, resource(a=2).fingerprint, "new")
