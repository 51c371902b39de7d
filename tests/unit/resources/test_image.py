"""What an image's document in Glance becomes, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from decamp.resources import image_bytes, image_data
from decamp.resources.image import told

GLANCE: dict[str, Any] = {
    "id": "5d701274-c2e0-45e7-a217-5a7cc741ed2b",
    "name": "rocky-9",
    "status": "active",
    "visibility": "shared",
    "protected": True,
    "os_hidden": False,
    "owner": "b742f4f886414f3b8a1b19b543e80058",
    "disk_format": "raw",
    "container_format": "bare",
    "min_disk": 1,
    "min_ram": 256,
    "size": 25165824,
    "virtual_size": 25165824,
    "checksum": "53b1066d5fd4afcaf74b88e93fe7977e",
    "os_hash_algo": "sha512",
    "os_hash_value": "ef7a5f7e",
    "tags": ["golden", "decamp-0123456789abcdef", "blue"],
    "created_at": "2026-11-23T01:00:00Z",
    "updated_at": "2026-11-23T01:00:00Z",
    "self": "/v2/images/5d701274-c2e0-45e7-a217-5a7cc741ed2b",
    "file": "/v2/images/5d701274-c2e0-45e7-a217-5a7cc741ed2b/file",
    "schema": "/v2/schemas/image",
    "stores": "file",
    "direct_url": "file:///images/5d701274",
    "locations": [],
    "os_glance_failed_import": "",
    "hw_firmware_type": "uefi",
    "hw_disk_bus": "scsi",
    "my_own": "thing",
}


def told_of(**changes: Any):
    return told({**GLANCE, **changes}, (), publishes=False)


def test_every_property_is_carried_but_for_those_that_glance_keeps_to_itself():
    assert told_of().spec["properties"] == {"hw_firmware_type": "uefi", "hw_disk_bus": "scsi", "my_own": "thing"}


def test_tags_are_carried_but_for_the_marks_of_runs():
    assert told_of().spec["tags"] == ["blue", "golden"]


def test_an_image_with_a_mark_has_the_fingerprint_that_it_has_without():
    assert told_of(tags=["golden", "blue"]).fingerprint == told_of().fingerprint


def test_lifting_the_protection_leaves_the_fingerprint_as_it_was():
    assert told_of(protected=False).fingerprint == told_of().fingerprint


@pytest.mark.parametrize("change", [{"name": "rocky"}, {"hw_disk_bus": "virtio"}, {"os_hash_value": "00"}, {"visibility": "private"}])
def test_any_other_change_shows_in_the_fingerprint(change):
    assert told_of(**change).fingerprint != told_of().fingerprint


def test_what_nova_wrote_on_a_snapshot_about_the_old_cloud_is_dropped_and_said():
    snapshot = told_of(base_image_ref="a765c554", instance_uuid="584f1f33", image_type="snapshot")
    assert snapshot.spec["properties"].keys() == {"hw_firmware_type", "hw_disk_bus", "my_own", "image_type"}
    assert any("base_image_ref, instance_uuid" in sentence for sentence in snapshot.info["not_carried"])


def test_an_image_that_boots_with_another_s_kernel_needs_it():
    ami = told_of(kernel_id="0c1d", ramdisk_id="9a8b")
    assert ami.spec["kernel"] == ["image", "0c1d"]
    assert {str(need) for need in ami.needs} == {"image 0c1d", "image 9a8b"}
    assert "kernel_id" not in ami.spec["properties"]


def test_an_image_that_is_shared_says_with_whom():
    shared = told(GLANCE, ["p2", "p1"], publishes=False)
    assert shared.spec["members"] == [["project", "p1"], ["project", "p2"]]
    assert shared.fingerprint == told(GLANCE, (), publishes=False).fingerprint


def test_a_public_image_s_copy_is_private_unless_who_copies_may_publish():
    assert any(
        "its copy is private" in sentence for sentence in told({**GLANCE, "visibility": "public"}, (), publishes=False).info["not_carried"]
    )
    assert told({**GLANCE, "visibility": "public"}, (), publishes=True).info["not_carried"] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "deactivated"}, "it is deactivated"),
        ({"status": "queued", "size": None}, "it is queued"),
        ({"size": 0}, "holds no bytes of its own"),
        ({"cinder_encryption_key_id": "k"}, "encrypted volume"),
    ],
)
def test_what_cannot_be_carried_is_said(change, said):
    assert any(said in sentence for sentence in told_of(**change).info["unsupported"])


def test_a_signature_is_carried_and_its_certificate_is_said_to_stay_behind():
    signed = told_of(img_signature="s", img_signature_certificate_uuid="cert-1")
    assert signed.spec["properties"].items() >= {"img_signature": "s", "img_signature_certificate_uuid": "cert-1"}.items()
    assert any("cert-1" in sentence for sentence in signed.info["not_carried"])


def test_an_image_that_can_be_carried_has_nothing_unsupported():
    assert "unsupported" not in told_of().info


@pytest.mark.parametrize(
    ("shown", "proves"),
    [
        ({"os_hash_algo": "sha512", "os_hash_value": "ef7a", "checksum": "53b1"}, {"sha512": "ef7a"}),
        ({"os_hash_algo": None, "os_hash_value": None, "checksum": "53b1"}, {"md5": "53b1"}),
        ({"checksum": "53b1"}, {"md5": "53b1"}),
        ({"os_hash_algo": None, "os_hash_value": None, "checksum": None}, {}),
    ],
)
def test_bytes_are_proved_by_the_best_hash_that_a_glance_keeps(shown: dict[str, Any], proves: dict[str, str]) -> None:
    """Before Rocky that is md5 alone; some images have none."""
    assert image_data.hash_of(shown) == proves


@pytest.mark.parametrize(
    ("status", "content_range", "goes_on"),
    [
        (206, "bytes 100-999/1000", True),
        (206, "bytes 100-999/*", True),
        (206, "bytes 0-999/1000", False),
        (206, "bytes 100-998/1000", False),
        (206, "bytes 100-999/1001", False),
        (206, "", False),
        (200, "", False),
        (400, "", False),
        (416, "bytes */1000", False),
        (501, "", False),
        (503, "", True),
        (404, "", True),
    ],
)
def test_only_the_very_range_that_was_asked_for_goes_on_where_a_connection_broke(status: int, content_range: str, goes_on: bool) -> None:
    """Errors that say nothing of ranges are told as what they are."""
    assert image_bytes.goes_on(status, content_range, 100, 1000) is goes_on
