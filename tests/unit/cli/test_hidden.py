"""Asking for what Heat hides: at a terminal alone, and for what nobody has given."""

from __future__ import annotations

import getpass
import sys

import pytest

from decamp.bootstrap import Place
from decamp.cli.hidden import ask_hidden
from decamp.settings import Settings
from small_projects import move, old, stack

PLAN = move(old(stack("shop", hidden=["password"])))
SHOP = stack("shop", hidden=["password"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return "s3cret"

    monkeypatch.setattr(getpass, "getpass", answer)
    return questions


def test_a_value_is_asked_for_at_a_terminal_and_kept_by_the_process(asked: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    place = Place(Settings())
    ask_hidden(place, PLAN)
    ask_hidden(place, PLAN)
    assert asked == ["Stack shop: value of its parameter password: "]
    assert place.hidden.of(SHOP) == {"password": "s3cret"}


def test_nobody_is_asked_where_nobody_is(asked: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    ask_hidden(Place(Settings()), PLAN)
    assert asked == []


def test_what_is_done_needs_no_value(asked: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ask_hidden(Place(Settings()), PLAN, frozenset({"create/stack/shop"}))
    assert asked == []
