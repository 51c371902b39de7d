"""What the kinds declare of their attributes is a table that can be read one way only."""

from collections import Counter

import pytest

from decamp.resources import KINDS, Kind
from decamp.resources.attributes import Fate

SURVEYED = [kind for kind in KINDS.values() if kind.NAME != "server_snapshot"]


@pytest.mark.parametrize("kind", SURVEYED, ids=lambda kind: kind.NAME)
def test_each_attribute_has_one_fate(kind: Kind) -> None:
    twice = [name for name, times in Counter(attribute.name for attribute in kind.ATTRIBUTES).items() if times > 1]
    assert kind.ATTRIBUTES
    assert twice == []


@pytest.mark.parametrize("kind", SURVEYED, ids=lambda kind: kind.NAME)
def test_what_is_changed_lost_or_refused_says_how_or_why(kind: Kind) -> None:
    silent = [
        attribute.name for attribute in kind.ATTRIBUTES if attribute.fate is not Fate.KEPT and not attribute.field and not attribute.how
    ]
    assert silent == []
