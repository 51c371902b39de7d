"""Documents on disk: surveys and plans read with clear sentences, written whole or not at all, compressed where the name ends in .zst."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from decamp.model.documents import decode_plan, decode_survey, encode
from decamp.model.errors import BadInput
from decamp.model.plan import Plan
from decamp.model.survey import Survey


def read_survey(path: Path) -> Survey:
    """Raises BadInput, saying what is wrong and where."""
    return decode_survey(_read(path), str(path))


def read_plan(path: Path) -> Plan:
    """Raises BadInput, saying what is wrong and where."""
    return decode_plan(_read(path), str(path))


def write(document: Survey | Plan, path: Path) -> None:
    """Replaces `path` in one step, readable by its owner alone. Raises BadInput where that cannot be done."""
    data = encode(document)
    if path.suffix == ".zst":
        data = zstd.compress(data)
    _replace(path, data)


def write_text(text: str, path: Path) -> None:
    """As `write`, of what is a document of other tools."""
    _replace(path, text.encode())


def _replace(path: Path, data: bytes) -> None:
    try:
        handle, scratch = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(scratch).replace(path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    if path.suffix != ".zst":
        return data
    try:
        return zstd.decompress(data)
    except zstd.ZstdError as error:
        raise BadInput(f"{path}: not whole zstd data: {error}") from error
