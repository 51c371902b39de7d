import subprocess
import sys
from pathlib import Path

import pytest

from decamp.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]


def test_the_reference_of_commands_is_what_the_commands_say_of_themselves() -> None:
    made = subprocess.run([sys.executable, ROOT / "tools" / "reference.py"], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "reference" / "commands.md").read_text(), "python tools/reference.py > docs/reference/commands.md"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_reference(verb: str) -> None:
    assert f"\n## decamp {verb}\n" in (ROOT / "docs" / "reference" / "commands.md").read_text()
