"""What is put together of a server from Nova, Neutron and Cinder."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from decamp.model.survey import Resource
from decamp.resources import flavor
from decamp.resources.server_reading import Around, nic_order, told, volumes_of
from decamp.resources.stacks import Owner

FLAVOR = flavor.told({"id": "f1", "name": "small", "vcpus": 1, "ram": 512, "disk": 1, "swap": 0, "rxtx_factor": 1}, {"hw:x": "y"}, ())

NOVA: dict[str, Any] = {
    "id": "s1",
    "name": "web",
    "status": "ACTIVE",
    "tenant_id": "p1",
    "user_id": "u1",
    "description": "first",
    "metadata": {"role": "web"},
    "tags": ["blue", "decamp-0123456789abcdef"],
    "image": {"id": "i1"},
    "flavor": {"original_name": "small", "vcpus": 1, "ram": 512, "disk": 1, "ephemeral": 0, "swap": 0, "extra_specs": {"hw:x": "y"}},
    "addresses": {
        "front": [{"addr": "10.0.0.5", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:02", "OS-EXT-IPS:type": "fixed"}],
        "back": [
            {"addr": "10.1.0.5", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01", "OS-EXT-IPS:type": "fixed"},
            {"addr": "fd00::5", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01", "OS-EXT-IPS:type": "fixed"},
        ],
    },
    "config_drive": "True",
    "key_name": "k",
    "locked": False,
    "created": "2026-11-23T01:00:00Z",
    "OS-DCF:diskConfig": "MANUAL",
    "OS-EXT-STS:task_state": None,
    "OS-EXT-SRV-ATTR:hostname": "web",
}

PORTS = [
    {"id": "p-back", "mac_address": "FA:16:3E:00:00:01", "created_at": "2026-11-23T00:00:01Z"},
    {"id": "p-front", "mac_address": "fa:16:3e:00:00:02", "created_at": "2026-11-23T00:00:02Z"},
]


def told_of(**changes: Any) -> Resource:
    around = Around(
        flavors=(FLAVOR,),
        groups={"s1": "g1"},
        ports={"s1": PORTS},
        bootable=frozenset({"v-boot", "v-also"}),
        stacks={"s2": Owner(id="st1", name="shop")},
    )
    return told({**NOVA, **changes}, changes.pop("attached", ()), around, ["keypair", "k"])


def attached(volume: str, device: str | None, **more: Any) -> dict[str, Any]:
    return {"volumeId": volume, "device": device, "delete_on_termination": False, "tag": None, **more}


def test_ports_come_in_the_order_of_the_interfaces_not_of_their_making():
    assert told_of().spec["ports"] == [["port", "p-front"], ["port", "p-back"]]


def test_ports_without_addresses_come_last_in_the_order_of_their_making():
    late = {"id": "p-b", "mac_address": "fa:16:3e:00:00:99", "created_at": "2026-11-23T00:00:09Z"}
    early = {"id": "p-a", "mac_address": "fa:16:3e:00:00:98", "created_at": "2026-11-23T00:00:08Z"}
    assert nic_order(NOVA["addresses"], [late, *PORTS, early]) == ["p-front", "p-back", "p-a", "p-b"]


def test_the_boot_volume_is_the_one_on_the_root_device_whatever_that_is_called():
    volumes, guessed = volumes_of(
        [attached("v1", "/dev/vda"), attached("v2", "/dev/sdz")], "/dev/sdz", frozenset({"v1", "v2"}), image_booted=False
    )
    assert [(one["volume"][1], one["boot_index"]) for one in volumes] == [("v2", 0), ("v1", None)]
    assert guessed is None


def test_without_the_root_device_the_boot_volume_is_the_bootable_one():
    volumes, guessed = volumes_of([attached("v1", "/dev/vda"), attached("v2", "/dev/vdb")], None, frozenset({"v2"}), image_booted=False)
    assert volumes[0]["volume"] == ["volume", "v2"]
    assert volumes[0]["boot_index"] == 0
    assert guessed is None


def test_a_boot_volume_that_had_to_be_guessed_is_said():
    both = [attached("v1", "/dev/vda"), attached("v2", "/dev/vdb")]
    volumes, guessed = volumes_of(both, None, frozenset({"v1", "v2"}), image_booted=False)
    assert volumes[0]["volume"] == ["volume", "v1"]
    assert guessed is not None
    assert "v1 is taken" in guessed


def test_a_server_of_an_image_boots_from_none_of_its_volumes():
    volumes, _ = volumes_of([attached("v1", "/dev/vda")], "/dev/vda", frozenset({"v1"}), image_booted=True)
    assert volumes[0]["boot_index"] is None


def test_volumes_come_in_the_order_of_their_devices():
    many = [attached(f"v{letters}", f"/dev/vd{letters}") for letters in ("aa", "c", "b", "z")]
    volumes, _ = volumes_of(many, None, frozenset(), image_booted=True)
    assert [one["volume"][1] for one in volumes] == ["vb", "vc", "vz", "vaa"]


def test_needs_name_everything_that_has_to_be_there_first():
    server = told_of(attached=[attached("v1", "/dev/vdb")])
    kinds = {"flavor f1", "image i1", "keypair k", "server_group g1", "port p-front", "port p-back", "volume v1"}
    assert {str(need) for need in server.needs} == kinds


def test_a_flavor_that_is_gone_or_changed_is_told_by_its_content():
    changed = told_of(flavor={**NOVA["flavor"], "ram": 1024})
    assert changed.spec["flavor"][1].startswith("gone-")
    assert changed.info["flavor"]["ram_mib"] == 1024


def test_a_flavor_is_told_by_its_id_where_nova_shows_that():
    """Below compute 2.47."""
    assert told_of(flavor={"id": "f1", "links": []}).spec["flavor"] == ["flavor", "f1"]
    assert told_of(flavor={"id": "deleted", "links": []}).info["flavor"] == {}


def test_stopping_locking_and_starting_leave_the_fingerprint_as_it_was():
    stopped = told_of(status="SHUTOFF", locked=True, locked_reason="moved", **{"OS-EXT-STS:task_state": "powering-off"})
    assert stopped.spec["power"] == "stopped"
    assert stopped.fingerprint == told_of().fingerprint


@pytest.mark.parametrize(
    "change", [{"metadata": {}}, {"tags": []}, {"image": ""}, {"name": "x"}, {"description": ""}, {"attached": [attached("v1", None)]}]
)
def test_what_its_copy_depends_on_shows_in_the_fingerprint(change):
    assert told_of(**change).fingerprint != told_of().fingerprint


def test_user_data_stand_in_no_document_but_their_hash_does():
    secret = b"#cloud-config\npassword: hunter2\n"
    server = told_of(**{"OS-EXT-SRV-ATTR:user_data": base64.b64encode(secret).decode()})
    assert server.spec["user_data_sha256"] == hashlib.sha256(secret).hexdigest()
    assert server.spec["user_data_bytes"] == len(secret)
    assert "hunter2" not in repr(server)
    assert server.fingerprint == told_of().fingerprint


def test_user_data_that_cannot_be_read_are_said_to_be_missing():
    assert "user_data_sha256" not in told_of().spec
    assert "user_data" in told_of().info["unreadable"]
    assert any("user data" in sentence for sentence in told_of().info["not_carried"])
    readable = told_of(**{"OS-EXT-SRV-ATTR:user_data": None})
    assert readable.spec["user_data_sha256"] is None
    assert "user_data" not in readable.info["unreadable"]


def test_the_zone_is_the_one_that_was_asked_for_not_the_one_it_is_in():
    shown = {"OS-EXT-AZ:availability_zone": "az-1"}
    assert told_of(**shown).spec["availability_zone"] is None
    assert "availability_zone" in told_of(**shown).info["unreadable"]
    assert told_of(**shown, pinned_availability_zone="az-1").spec["availability_zone"] == "az-1"


@pytest.mark.parametrize(("shown", "said"), [("az-1", True), ("nova", False), ("", False)])
def test_a_zone_that_may_have_been_asked_for_is_said_to_be_unknown(shown: str, said: bool):
    told = [sentence for sentence in told_of(**{"OS-EXT-AZ:availability_zone": shown}).info["not_carried"] if "zone" in sentence]
    assert bool(told) is said
    known = told_of(**{"OS-EXT-AZ:availability_zone": shown}, pinned_availability_zone=None)
    assert not [sentence for sentence in known.info["not_carried"] if "zone" in sentence]


def test_a_lock_is_asked_for_and_no_part_of_the_fingerprint():
    locked = told_of(locked=True, locked_reason="compliance")
    assert (locked.spec["locked"], locked.spec["locked_reason"]) == (True, "compliance")
    assert locked.fingerprint == told_of().fingerprint


def test_the_stack_that_owns_it_is_told():
    assert told_of().info["stack"] is None
    assert (told_of(id="s2").info["stack"], told_of(id="s2").info["stack_id"]) == ("shop", "st1")
