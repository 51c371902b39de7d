"""Values that Heat hides: whose file is read, what is asked for, what is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from decamp.hidden import HiddenValues
from decamp.model.errors import BadInput, Refused
from decamp.planning.hidden import stacks_with_hidden
from small_projects import move, old, stack

SHOP = stack("shop-id", name="shop", hidden=["password", "token"])


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "hidden.yaml"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("key", ["shop", "shop-id"])
def test_values_are_found_by_the_stack_s_name_or_id(tmp_path: Path, key: str):
    values = HiddenValues(written(tmp_path, f"{key}: {{password: s3cret, token: 12}}\nother: {{token: x}}\n"))
    assert values.of(SHOP) == {"password": "s3cret", "token": "12"}


def test_what_was_answered_goes_before_the_file(tmp_path: Path):
    values = HiddenValues(written(tmp_path, "shop: {password: old, token: t}\n"))
    values.answer(SHOP, "password", "new")
    assert values.of(SHOP) == {"password": "new", "token": "t"}


def test_what_is_missing_is_named_with_the_ways_to_give_it(tmp_path: Path):
    values = HiddenValues(None)
    values.answer(SHOP, "password", "s3cret")
    assert values.missing(SHOP) == ("token",)
    with pytest.raises(Refused, match=r"token are not known.*hidden_parameters") as caught:
        values.of(SHOP)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_others_may_read_is_not_used(tmp_path: Path):
    with pytest.raises(BadInput, match="chmod 600"):
        HiddenValues(written(tmp_path, "shop: {password: s3cret}\n", mode=0o640)).of(SHOP)


@pytest.mark.parametrize("text", ["[s3cret\n", "- s3cret\n", "shop: s3cret\n"])
def test_a_wrong_file_is_told_and_not_shown(tmp_path: Path, text: str):
    with pytest.raises(BadInput) as caught:
        HiddenValues(written(tmp_path, text)).of(SHOP)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot be read"):
        HiddenValues(tmp_path / "none.yaml").of(SHOP)


def test_a_plan_asks_for_the_stacks_that_are_yet_to_be_made():
    plan = move(old(stack("one", hidden=["password"]), stack("two")))
    assert [one.id for one in stacks_with_hidden(plan, frozenset())] == ["one"]
    assert stacks_with_hidden(plan, {"create/stack/one"}) == ()
