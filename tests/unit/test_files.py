from pathlib import Path

import pytest

from decamp import files
from decamp.model.errors import BadInput
from decamp.model.survey import Survey

SURVEY = Survey(cloud="old", taken_at="2026-11-23T00:00:00Z", incomplete=("nothing",))


@pytest.mark.parametrize("name", ["old.json", "old.json.zst"])
def test_a_survey_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    files.write(SURVEY, tmp_path / name)
    assert files.read_survey(tmp_path / name) == SURVEY


def test_documents_are_for_their_owner_alone(tmp_path: Path) -> None:
    files.write(SURVEY, tmp_path / "old.json")
    assert (tmp_path / "old.json").stat().st_mode & 0o077 == 0


def test_writing_leaves_nothing_beside_the_document(tmp_path: Path) -> None:
    files.write(SURVEY, tmp_path / "old.json")
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written: No such file or directory"):
        files.write(SURVEY, tmp_path / "nowhere" / "old.json")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"old\.json: cannot be read: No such file or directory"):
        files.read_survey(tmp_path / "old.json")


def test_half_a_compressed_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "old.json.zst"
    files.write(SURVEY, path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(BadInput, match="not whole zstd data"):
        files.read_survey(path)
