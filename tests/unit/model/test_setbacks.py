import re
from pathlib import Path

import pytest

from decamp.model.errors import Changed, Failed
from decamp.model.setbacks import Failure, Retry, Setback

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "vacate.md"


@pytest.mark.parametrize("failure", Failure)
def test_each_failure_is_in_the_guide_with_the_attempt_that_makes_sense(failure: Failure) -> None:
    row = next((line for line in GUIDE.read_text().splitlines() if line.startswith("|") and f"`{failure}`" in line.split("|")[1]), "")
    assert re.search(r"\| (elsewhere|later|never)", row), failure
    assert Retry(re.findall(r"\| (elsewhere|later|never)", row)[-1]) is failure.retry


@pytest.mark.parametrize("kind", [Failed, Changed])
def test_an_error_carries_its_setback_beside_its_sentence(kind: type[Failed]) -> None:
    setback = Setback(failure=Failure.ROLLED_BACK, servers=("s",), host="b")
    error = kind("It broke off.", setback=setback)
    assert (error.message, error.setback) == ("It broke off.", setback)
    assert kind("It broke off.").setback is None
