"""The demo's stage: it says what it runs, runs it in its folder, and stops at the first command that does not end well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from decamp.lab import demo, layout
from decamp.lab.demo import Stage, Told
from decamp.model.errors import Failed, Refused


@pytest.fixture
def told() -> list[Told]:
    return []


@pytest.fixture
def stage(tmp_path: Path, told: list[Told]) -> Stage:
    return Stage(tmp_path, dict(os.environ), told.append)


def test_a_command_is_told_as_a_person_would_type_it_before_it_runs(stage: Stage, told: list[Told], tmp_path: Path) -> None:
    stage.decamp("show", "--help", into="show.txt")
    assert [one.command for one in told] == ["decamp show --help > show.txt"]
    assert (tmp_path / "show.txt").read_text().startswith("usage: decamp show")


def test_the_first_command_that_does_not_end_well_stops_the_demo(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failed, match=r"`decamp show nowhere\.json` ended with 2"):
        stage.decamp("show", "nowhere.json")
    assert "nowhere.json" in capfd.readouterr().err


def test_the_verifier_is_run_by_the_same_python(stage: Stage, told: list[Told], capfd: pytest.CaptureFixture[str]) -> None:
    stage.verify("--help")
    assert told[0].command == "python tools/verify.py --help"
    assert "without Decamp" in capfd.readouterr().out


def test_each_chapter_lasts_until_the_next(stage: Stage) -> None:
    stage.chapter("one")
    stage.chapter("two")
    steps = stage.steps()
    assert [step.title for step in steps] == ["one", "two"]
    assert all(step.seconds >= 0 for step in steps)


def test_outside_a_checkout_the_demo_is_refused_before_anything_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "VERIFY", tmp_path / "verify.py")
    with pytest.raises(Refused, match="run it from a checkout"):
        demo.play(tmp_path / "lab", hosts=None, tell=lambda _: None)
    assert not (tmp_path / "lab").exists()


def test_a_new_demo_forgets_the_runs_of_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    made = layout.create(tmp_path, layout.Settings())
    tenant = tmp_path / "tenants" / "acme"
    tenant.mkdir(parents=True)
    (tmp_path / "demo").mkdir()
    for file in (made.folder / "decamp.sqlite", tenant / "decamp.sqlite", tenant / "decamp.sqlite-wal", tmp_path / "demo" / "plan.json"):
        file.touch()
    (tenant / "decamp.yaml").touch()
    demo._forget_runs(tmp_path, tmp_path / "demo")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"lab.json", "passwords.json", "tenants/acme/decamp.yaml"}
