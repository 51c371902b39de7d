import re
import subprocess
import sys
from pathlib import Path

import pytest

from decamp.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]


def test_the_reference_of_commands_is_what_the_commands_say_of_themselves() -> None:
    made = subprocess.run([sys.executable, ROOT / "tools" / "reference.py"], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "reference" / "commands.md").read_text(), "python tools/reference.py > docs/reference/commands.md"


def test_the_reference_of_kinds_is_what_the_kinds_declare() -> None:
    made = subprocess.run([sys.executable, ROOT / "tools" / "kinds.py"], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "reference" / "kinds.md").read_text(), "python tools/kinds.py > docs/reference/kinds.md"


def test_every_test_that_the_documentation_names_is_there() -> None:
    named = {name for page in (ROOT / "docs").rglob("*.md") for name in re.findall(r"`(test_[a-z0-9_]+)`", page.read_text())}
    written = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert named
    assert named <= written


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_reference(verb: str) -> None:
    assert f"\n## decamp {verb}\n" in (ROOT / "docs" / "reference" / "commands.md").read_text()
