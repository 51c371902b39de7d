"""Where a lab lies, and what it keeps there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from decamp.lab import layout
from decamp.lab.layout import CLOUDS, PORTS_USED, SWIFT_STORAGE, Settings
from decamp.model.errors import BadInput


def test_the_folder_is_named_by_decamp_lab_else_lies_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DECAMP_LAB", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert layout.default_folder() == tmp_path / "decamp" / "lab"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert layout.default_folder() == tmp_path / "home" / ".cache" / "decamp" / "lab"

    monkeypatch.setenv("DECAMP_LAB", str(tmp_path / "elsewhere"))
    assert layout.default_folder() == tmp_path / "elsewhere"


def test_a_lab_is_loaded_as_it_was_created(tmp_path: Path) -> None:
    made = layout.create(tmp_path / "lab", Settings(port_base=30000, old_hosts=3))

    assert layout.load(tmp_path / "lab") == made


def test_every_lab_has_passwords_of_its_own_that_others_cannot_read(tmp_path: Path) -> None:
    one, other = (layout.create(tmp_path / name, Settings()) for name in ("one", "other"))

    assert one.passwords != other.passwords
    assert stat.S_IMODE((one.folder / "passwords.json").stat().st_mode) == 0o600


def test_no_two_services_share_a_port_and_all_lie_in_the_range_that_a_lab_takes(tmp_path: Path) -> None:
    lab = layout.create(tmp_path, Settings(port_base=30000))
    ports = [lab.database_port, lab.messaging_port, lab.erlang_distribution_port, lab.erlang_mapper_port]
    ports += [lab.port(cloud, service) for cloud, clouds in CLOUDS.items() for service in clouds.services]
    swift = [cloud for cloud, clouds in CLOUDS.items() if "swift" in clouds.services]
    ports += [lab.storage_port(cloud, server) for cloud in swift for server in SWIFT_STORAGE]

    assert len(ports) == len(set(ports))
    assert all(30000 <= port < 30000 + PORTS_USED for port in ports)


def test_a_folder_without_a_lab_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no lab in"):
        layout.load(tmp_path)


def test_settings_that_cannot_be_read_are_bad_input(tmp_path: Path) -> None:
    layout.create(tmp_path, Settings())
    (tmp_path / "lab.json").write_text("{")

    with pytest.raises(BadInput, match="cannot be read"):
        layout.load(tmp_path)


def test_a_private_file_replaces_what_anybody_could_read(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text("open")
    path.chmod(0o644)

    layout.write_private(path, "secret")

    assert path.read_text() == "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
