"""A desk for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from clerk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(f"sqlite:///{tmp_path}/state/decamp.sqlite")
