"""What a volume's document in Cinder becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from decamp.model.refs import Ref
from decamp.resources.volume import COPY_SECONDS, came_to_nothing, told

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

CINDER: dict[str, Any] = {
    "id": "7750c23e-df75-47cc-bfc1-1761c0766a4e",
    "name": "db",
    "description": None,
    "size": 10,
    "status": "in-use",
    "volume_type": "nfs",
    "volume_type_id": "949c8c86",
    "bootable": "true",
    "encrypted": False,
    "multiattach": False,
    "availability_zone": "nova",
    "metadata": {"owner": "db", "attached_mode": "rw", "readonly": "True", "decamp_mark": "decamp-0123456789abcdef"},
    "volume_image_metadata": {"hw_scsi_model": "virtio-scsi", "image_id": "c9f696d8", "signature_verified": "False"},
    "attachments": [{"server_id": "584f1f33", "device": "/dev/vdb"}],
    "group_id": None,
    "consistencygroup_id": None,
    "os-vol-tenant-attr:tenant_id": "b742f4f8",
}


def told_of(**changes: Any):
    return told({**CINDER, **changes}, {"nfs": "by-name"})


def test_its_type_is_needed_by_id_which_older_clouds_tell_by_name_only():
    assert told_of().needs == (Ref("volume_type", "949c8c86"),)
    assert told_of(volume_type_id=None).spec["volume_type"] == ["volume_type", "by-name"]


def test_the_flags_that_cinder_shows_as_text_are_flags():
    assert told_of().spec["bootable"] is True
    assert told_of(bootable="false").spec["bootable"] is False
    assert told_of().spec["readonly"] is True


def test_metadata_is_the_owner_s_alone():
    assert told_of().spec["metadata"] == {"owner": "db"}


def test_image_metadata_is_carried():
    assert told_of().spec["image_metadata"] == {"hw_scsi_model": "virtio-scsi", "image_id": "c9f696d8"}


def test_detaching_leaves_the_fingerprint_as_it_was():
    detached = told_of(status="available", attachments=[], metadata={"owner": "db", "readonly": "True"})
    assert detached.fingerprint == told_of().fingerprint


@pytest.mark.parametrize("change", [{"size": 11}, {"bootable": "false"}, {"metadata": {}}, {"volume_image_metadata": {}}])
def test_what_its_copy_depends_on_shows_in_the_fingerprint(change):
    assert told_of(**change).fingerprint != told_of().fingerprint


def test_encrypted_and_shared_volumes_say_that_they_cannot_be_carried():
    assert "unsupported" not in told_of().info
    assert any("encrypted" in sentence for sentence in told_of(encrypted=True).info["unsupported"])
    assert any("several servers" in sentence for sentence in told_of(multiattach=True).info["unsupported"])


def test_a_group_is_said_to_stay_behind():
    assert told_of().info["not_carried"] == []
    assert told_of(group_id="g").info["not_carried"] == ["its membership of a volume group"]


def test_its_attachments_name_the_servers():
    assert told_of().info["attachments"] == [{"server": ["server", "584f1f33"], "device": "/dev/vdb"}]


@pytest.mark.parametrize(
    ("status", "seconds", "lost"),
    [
        ("creating", COPY_SECONDS - 100, False),
        ("creating", COPY_SECONDS + 100, True),
        ("downloading", COPY_SECONDS + 100, False),
        ("available", COPY_SECONDS + 100, False),
        ("error", 0, True),
        ("deleting", 0, True),
    ],
)
def test_a_copy_is_given_up_when_it_failed_or_nobody_has_begun_it_after_all_the_time_it_may_take(status: str, seconds: int, lost: bool):
    began = NOW - timedelta(seconds=seconds)
    assert came_to_nothing({"status": status, "created_at": began.replace(tzinfo=None).isoformat()}, NOW) is lost
