"""`decamp lab` with bad input: a sentence, the right exit status, and nothing touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from decamp.cli.main import main
from decamp.lab import layout
from decamp.lab.layout import Settings


@pytest.mark.parametrize("verb", [["status"], ["down"], ["down", "--purge"]])
def test_a_folder_without_a_lab_is_left_as_it_is(verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("precious")

    assert main(["lab", *verb, "--dir", str(tmp_path)]) == 2

    assert "There is no lab in" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port-base", "80"], "The port base 80 is out of range"),
        (["--port-base", "65500"], "The port base 65500 is out of range"),
        (["--old-hosts", "0"], "0 old hosts are out of range"),
    ],
)
def test_a_lab_that_cannot_be_is_not_begun(options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "up", "--dir", str(tmp_path / "lab"), *options]) == 2

    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "lab").exists()


def test_a_port_base_in_the_environment_must_be_a_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECAMP_LAB_PORTS", "high")

    assert main(["lab", "up", "--dir", str(tmp_path / "lab")]) == 2

    assert "DECAMP_LAB_PORTS is 'high'" in capsys.readouterr().err


def test_a_lab_keeps_the_settings_that_it_was_made_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout.create(tmp_path / "lab", Settings(port_base=30000, old_hosts=3))

    assert main(["lab", "up", "--dir", str(tmp_path / "lab"), "--port-base", "31000", "--old-hosts", "3"]) == 2

    assert "was made with --port-base 30000, which cannot be changed" in capsys.readouterr().err
