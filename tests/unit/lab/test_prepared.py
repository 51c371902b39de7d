"""Keeping a lab's state on disk, and putting it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from decamp.lab import layout, prepared
from decamp.lab.layout import Lab, Settings
from decamp.lab.supervise import Supervisor
from decamp.model.errors import BadInput, Failed

PARTS = (
    "mariadb/ibdata1",
    "machines/cmp-001.json",
    "old/fernet/0",
    "old/nova/disks/cmp-001/a.disk",
    "new/cinder/share/volume-1",
    "clouds.yaml",
)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """With a kept state whose files say `kept`, and a present one whose files say `later`."""
    made = layout.create(tmp_path, Settings())
    for root, text in ((made.prepared_folder / "seeded", "kept"), (made.folder, "later")):
        for part in PARTS:
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            (root / part).write_text(text)
    (made.prepared_folder / "seeded" / "complete").touch()
    return made


def test_restoring_puts_every_kept_file_back_and_forgets_what_came_later(lab: Lab) -> None:
    for later in ("old/nova/disks/cmp-001/b.disk", "decamp.sqlite", "mariadb/ib_logfile0"):
        (lab.folder / later).write_text("later")

    prepared.restore(lab, "seeded")

    assert {part: (lab.folder / part).read_text() for part in PARTS} == dict.fromkeys(PARTS, "kept")
    assert not (lab.folder / "old/nova/disks/cmp-001/b.disk").exists()
    assert not (lab.folder / "decamp.sqlite").exists()
    assert not (lab.folder / "mariadb/ib_logfile0").exists()


def test_restoring_leaves_passwords_and_kept_states(lab: Lab) -> None:
    prepared.restore(lab, "seeded")

    assert layout.load(lab.folder) == lab
    assert prepared.exists(lab, "seeded")


def test_a_state_that_was_never_kept_or_not_to_the_end_is_bad_input_and_touches_nothing(lab: Lab) -> None:
    (lab.prepared_folder / "seeded" / "complete").unlink()

    for name in ("seeded", "other"):
        with pytest.raises(BadInput, match=f"no kept state '{name}'"):
            prepared.restore(lab, name)
    assert (lab.folder / "clouds.yaml").read_text() == "later"


def test_a_state_of_other_packages_does_not_fit(lab: Lab) -> None:
    assert prepared.exists(lab, "seeded")
    assert not prepared.fits(lab, "seeded")


def test_the_state_of_a_lab_that_is_down_cannot_be_kept(lab: Lab) -> None:
    with pytest.raises(Failed, match="MariaDB does not run"):
        prepared.take(lab, Supervisor(lab.folder))
