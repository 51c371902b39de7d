"""Which Debian packages a lab lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from decamp.lab import packages
from decamp.lab.progress import silent
from decamp.model.errors import BadInput


def test_a_package_is_missing_until_its_file_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packages.PROGRAMS, "unheard-of", str(tmp_path / "program"))
    assert "unheard-of" in packages.missing()

    (tmp_path / "program").touch()
    assert "unheard-of" not in packages.missing()


def test_without_the_right_to_install_the_list_of_what_is_missing_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packages.PROGRAMS, "unheard-of", str(tmp_path / "program"))
    # no apt-get, and no sudo
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BadInput, match=r"Debian packages that are not installed: .*unheard-of"):
        packages.ensure(silent)
