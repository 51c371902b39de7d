"""The bytes on the seed's disks: repeatable, real, and like those of a disk."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from decamp.lab.seed import guest_bytes, guests
from decamp.lab.seed.blueprint import Patch
from decamp.model.errors import Failed

MIB = 2**20


def test_an_image_is_the_same_everywhere_and_always() -> None:
    # known bytes: another digest here means that a second lab's base image would not be adopted as the same
    assert (
        hashlib.sha256(guest_bytes.image("debian-12", MIB)).hexdigest()
        == "8f3ecef43c0e2d03730c29a42f47a24b24f0834b640ab755c4bd9a340bc7f4d5"
    )


def test_images_of_different_labels_share_no_block_of_noise_or_text() -> None:
    def blocks(label: str) -> set[bytes]:
        data = guest_bytes.image(label, 4 * MIB)
        return {data[at : at + guest_bytes.BLOCK_BYTES] for at in range(0, len(data), guest_bytes.BLOCK_BYTES)}

    assert blocks("one") & blocks("other") <= {bytes(guest_bytes.BLOCK_BYTES)}


def test_an_image_can_be_compressed_to_about_half() -> None:
    data = guest_bytes.image("debian-12", 8 * MIB)
    assert 0.3 < len(zlib.compress(data, 1)) / len(data) < 0.7


@pytest.mark.parametrize("size_bytes", [0, 1, 65536, 65537, MIB + 5])
def test_an_image_has_the_size_that_was_asked_for(size_bytes: int) -> None:
    assert len(guest_bytes.image("any", size_bytes)) == size_bytes


def test_patches_lie_within_the_disk_and_hold_no_zeros() -> None:
    patches = list(guest_bytes.patches("label", 8 * MIB, MIB))
    assert sum(len(data) for _, data in patches) == MIB
    assert all(offset + len(data) <= 8 * MIB for offset, data in patches)
    assert len({offset for offset, _ in patches}) == len(patches)
    assert all(any(data) for _, data in patches)


def test_a_guest_changes_its_disk_once_however_often_it_is_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(guest_bytes.image("base", 4 * MIB))
    patch = Patch(label="guest", amount_bytes=MIB)
    assert 0 < guests.write(disk, patch) <= MIB
    changed = disk.read_bytes()
    assert guests.write(disk, patch) == 0
    assert disk.read_bytes() == changed != guest_bytes.image("base", 4 * MIB)
    assert len(changed) == 4 * MIB


def test_a_disk_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"no disk at .*/nowhere"):
        guests.write(tmp_path / "nowhere", Patch(label="guest", amount_bytes=MIB))
