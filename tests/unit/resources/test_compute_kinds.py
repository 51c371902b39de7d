"""Answers of real Nova and Keystone servers (2023.1 and 2026.2), shortened, and what the survey makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from decamp.resources import flavor, keypair, project, server_group, user

FLAVOR: dict[str, Any] = {
    "id": "4880fbf5", "name": "m1.small", "ram": 2048, "disk": 20, "swap": 0, "OS-FLV-EXT-DATA:ephemeral": 5,
    "OS-FLV-DISABLED:disabled": False, "vcpus": 1, "os-flavor-access:is_public": True, "rxtx_factor": 1.0,
    "description": None, "extra_specs": {},
}  # fmt: skip
OF_A_SERVER: dict[str, Any] = {
    "original_name": "m1.small",
    "ram": 2048,
    "disk": 20,
    "swap": 0,
    "ephemeral": 5,
    "vcpus": 1,
    "extra_specs": {},
}


def test_a_servers_own_account_of_its_flavor_is_recognised() -> None:
    assert flavor.is_of(flavor.told(FLAVOR, {}, ()), OF_A_SERVER)


@pytest.mark.parametrize(
    "changes", [{"ram": 4096}, {"original_name": "m1.other"}, {"ephemeral": 0}, {"extra_specs": {"hw:cpu_policy": "shared"}}]
)
def test_a_flavor_that_was_made_anew_under_its_old_name_is_not_taken_for_the_servers(changes: dict[str, Any]) -> None:
    assert not flavor.is_of(flavor.told(FLAVOR, {}, ()), OF_A_SERVER | changes)


def test_extra_specs_that_cannot_be_read_do_not_count() -> None:
    assert flavor.is_of(flavor.told(FLAVOR, None, ()), OF_A_SERVER | {"extra_specs": {"hw:cpu_policy": "shared"}})


def test_equal_flavors_that_are_gone_have_one_id() -> None:
    assert flavor.embedded(OF_A_SERVER).id == flavor.embedded(dict(reversed(OF_A_SERVER.items()))).id
    assert flavor.embedded(OF_A_SERVER).id != flavor.embedded(OF_A_SERVER | {"vcpus": 2}).id


def test_swap_is_empty_text_in_older_novas() -> None:
    assert flavor.told(FLAVOR | {"swap": ""}, {}, ()).spec["swap_mib"] == 0


def test_access_is_told_and_not_needed() -> None:
    told = flavor.told(FLAVOR | {"os-flavor-access:is_public": False}, {}, ["b", "a"])
    assert told.spec["access"] == [["project", "a"], ["project", "b"]]
    assert told.needs == ()


def test_a_keypair_that_nova_made_is_told_without_its_private_key() -> None:
    answer = {
        "name": "k",
        "type": "ssh",
        "public_key": "ssh-rsa AAAA\n",
        "fingerprint": "aa:bb",
        "private_key": "PRIVATE KEY",
        "user_id": "u",
    }
    told = keypair.told(answer, "k")
    assert told.spec == {"name": "k", "type": "ssh", "public_key": "ssh-rsa AAAA"}
    assert "PRIVATE" not in str(told)


@pytest.mark.parametrize(
    ("answer", "policy"),
    [
        ({"policies": ["anti-affinity"], "metadata": {}}, "anti-affinity"),
        ({"policy": "soft-affinity", "rules": {}}, "soft-affinity"),
        ({"policies": [], "metadata": {}}, None),
    ],
)
def test_a_server_group_has_one_policy_in_every_microversion(answer: dict[str, Any], policy: str | None) -> None:
    told = server_group.told({"id": "g", "name": "db", "members": ["2", "1"], "project_id": "p", **answer})
    assert (told.spec["policy"], told.spec["rules"], told.info["members"]) == (policy, {}, ["1", "2"])


def test_the_members_of_a_group_are_no_part_of_its_fingerprint() -> None:
    group = {"id": "g", "name": "db", "members": [], "project_id": "p", "policy": "affinity", "rules": {}}
    assert server_group.told(group).fingerprint == server_group.told(group | {"members": ["1"]}).fingerprint


def test_only_a_parent_that_is_a_project_is_told() -> None:
    answer = {"id": "p", "name": "web", "domain_id": "d", "parent_id": "d", "description": "", "enabled": True, "tags": []}
    assert project.told(answer, "Default").info["parent"] is None
    assert project.told(answer | {"parent_id": "q"}, "Default").info["parent"] == "q"


def test_a_user_of_an_identity_provider_is_said_not_to_be_carried() -> None:
    answer = {"id": "u", "name": "ann", "domain_id": "d", "enabled": True, "password_expires_at": None}
    assert "unsupported" not in user.told(answer, "Default").info
    logs_in_elsewhere = {"federated": [{"idp_id": "idp", "protocols": [{"protocol_id": "saml2", "unique_id": "ann"}]}]}
    assert "identity provider" in user.told(answer | logs_in_elsewhere, "Default").info["unsupported"][0]


def test_a_disabled_project_is_said_not_to_be_carried() -> None:
    answer = {"id": "p", "name": "web", "domain_id": "d", "parent_id": "d", "description": "", "enabled": False, "tags": []}
    assert "disabled" in project.told(answer, "Default").info["unsupported"][0]
