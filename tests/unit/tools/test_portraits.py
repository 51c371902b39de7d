"""The verification without Decamp, held against the reference table: what is kept or mapped is compared, and by the name it has there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import looks  # noqa: E402 they are scripts, not a part of the package
import moved  # noqa: E402
import network_kinds  # noqa: E402
import portraits  # noqa: E402
import storage_kinds  # noqa: E402

TABLE = ROOT / "docs" / "reference" / "kinds.md"
TOLD_AS = {
    ("server", "OS-EXT-SRV-ATTR:user_data"): ("user_data_sha256", "user data may hold passwords: a record has their hash"),
}
"""Attributes that are compared under another name -> that name, and why."""
NOT_COMPARED = {
    ("quota", "id"): "a quota is found by its project, and has no other id",
}
"""And why."""


def to_be_compared() -> Iterator[tuple[str, str]]:
    """Kind and attribute of every line of the table that says kept or mapped."""
    kind = ""
    for line in TABLE.read_text().splitlines():
        if line.startswith("## "):
            kind = line.removeprefix("## ")
        elif row := re.fullmatch(r"\| (`.*`) \| (?:kept|mapped) \| .* ?\|", line):
            yield from ((kind, attribute) for attribute in re.findall(r"`([^`]+)`", row[1]))


ATTRIBUTES = [one for one in to_be_compared() if one not in NOT_COMPARED]


def test_the_table_is_read() -> None:
    kinds = {kind for kind, _ in ATTRIBUTES}
    assert len(ATTRIBUTES) > 150
    assert {"project", "network", "server", "port_forwarding"} < kinds
    assert ("rbac_policy", "target_tenant") in ATTRIBUTES


@pytest.mark.parametrize(("kind", "attribute"), ATTRIBUTES)
def test_every_attribute_that_is_kept_or_mapped_is_compared(kind: str, attribute: str) -> None:
    name, _ = TOLD_AS.get((kind, attribute), (attribute, ""))
    assert name in portraits.KINDS[kind].looks, f"tools/{kind} is not compared by its {attribute}"
    assert name not in moved.BESIDE


def test_every_kind_is_in_a_check() -> None:
    checked = {kind for kinds in (*moved.PARTS.values(), *moved.BY_OPERATORS.values()) for kind in kinds}
    assert checked | {"server", "image"} == set(portraits.KINDS)


def facts(kind: str, one: dict[str, object], **names: str) -> dict[str, object]:
    return portraits.facts_of(portraits.KINDS[kind], one, names)


def test_what_is_the_same_in_both_clouds_looks_the_same() -> None:
    old = {"id": "o", "project_id": "p1", "name": "a", "description": "x", "tags": [], "address_scope_id": "s1", "prefixes": ["b", "a"]}
    new = {"id": "n", "project_id": "p2", "name": "a", "description": "x [decamp-0123456789abcdef]", "tags": ["decamp-12"]}
    new |= {"address_scope_id": "s2", "prefixes": ["a", "b"]}
    assert facts("subnet_pool", old, p1="acme", s1="scope") == facts("subnet_pool", new, p2="acme", s2="scope")
    assert facts("subnet_pool", old, p1="acme", s1="scope") != facts("subnet_pool", new, p2="acme", s2="another")


def test_attributes_that_are_not_shown_are_left_out() -> None:
    assert facts("network", {"name": "front", "shared": False}) == {"name": "front", "shared": False}


@pytest.mark.parametrize(
    ("kind", "attribute", "shown", "other"),
    [
        ("router", "external_gateway_info", {"network_id": "n", "enable_snat": True}, {"network_id": "n", "enable_snat": False}),
        ("router", "interfaces", [{"subnet_id": "s", "ip_address": "10.0.0.1"}], []),
        ("trunk", "sub_ports", [{"segmentation_id": 7, "segmentation_type": "vlan", "port_id": "p"}], []),
        (
            "qos_policy",
            "rules",
            [{"id": "r", "type": "dscp_marking", "dscp_mark": 8}],
            [{"id": "r", "type": "dscp_marking", "dscp_mark": 9}],
        ),
        ("port", "allowed_address_pairs", [{"ip_address": "10.0.0.9", "mac_address": "m"}], []),
        ("port", "extra_dhcp_opts", [{"opt_name": "a", "opt_value": "b", "ip_version": 4}], []),
        ("rbac_policy", "target_tenant", "*", "p"),
        ("volume", "metadata.readonly", "True", "False"),
        ("image", "members", ["p"], []),
        ("server", "addresses", {"a": [], "b": []}, {"b": [], "a": []}),
        ("role_assignment", "scope.OS-INHERIT:inherited_to", "projects", None),
        ("quota", "network quota", 5, 6),
        ("stack", "parameters", {"template": {"a": ["x"]}}, {"template": {"a": ["y"]}}),
    ],
)
def test_what_differs_looks_different(kind: str, attribute: str, shown: object, other: object) -> None:
    assert facts(kind, {attribute: shown}) != facts(kind, {attribute: other})


def test_documents_of_stacks_name_things_as_in_both_clouds() -> None:
    old = {"parameters": {"template": {"port": {"network": "n1"}}, "parameters": {"image": ["i1"]}}}
    new = {"parameters": {"template": {"port": {"network": "n2"}}, "parameters": {"image": ["i2"]}}}
    assert facts("stack", old, n1="front", i1="base") == facts("stack", new, n2="front", i2="base")


def test_lists_of_ids_have_no_order_and_words_of_nothing_are_nothing() -> None:
    assert looks.named(["1", "2"], {"1": "b", "2": "a"}) == ["a", "b"]
    assert looks.named(None, {}) is looks.named("", {}) is looks.same("", {}) is looks.same({}, {}) is None
    assert looks.same(False, {}) is False
    assert looks.same(0, {}) == 0
    assert network_kinds.gateway(None, {}) is None
    assert storage_kinds.image_metadata({"image_id": "i", "os_distro": "debian"}, {}) == {"os_distro": "debian"}
