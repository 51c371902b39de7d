"""Which servers an application has."""

from __future__ import annotations

import pytest

from decamp.model.errors import BadInput
from decamp.model.plan import Plan, Verb
from small_projects import move, old, resource, server


def made(plan: Plan) -> set[str]:
    return {one.target.id for one in plan.actions if one.verb is Verb.CREATE and one.target.kind == "server"}


def shop() -> list[object]:
    return [
        server("web-1", tags=["shop", "web"], server_group=["server_group", "spread"], group="spread"),
        server("web-2", tags=["shop", "web"], server_group=["server_group", "spread"], group="spread"),
        server("db", tags=["shop"]),
        server("mail", tags=["web shop"]),
        server("theirs", tags=["shop"], project="beta"),
        resource("server_group", "spread", name="the spread", policy="anti-affinity"),
    ]


def test_a_tag_means_the_servers_that_have_exactly_it():
    before = old(*shop())
    assert made(move(before, tags=("shop",))) == {"web-1", "web-2", "db"}
    assert made(move(before, tags=("web",))) == {"web-1", "web-2"}


def test_a_server_group_means_its_servers_by_its_id_or_name():
    before = old(*shop())
    assert made(move(before, groups=("spread",))) == made(move(before, groups=("the spread",))) == {"web-1", "web-2"}


def test_what_is_chosen_adds_up():
    assert made(move(old(*shop()), None, "mail", "db", tags=("web",))) == {"web-1", "web-2", "db", "mail"}


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"tags": ("shops",)}, "tag 'shops': no server of project 'alpha'"),
        ({"stacks": ("shop",)}, "stack 'shop': no server of project 'alpha'"),
        ({"groups": ("db",)}, "server group 'db': no server group of that id or name"),
    ],
)
def test_an_application_that_is_not_there_is_bad_input(chosen: dict[str, tuple[str, ...]], told: str):
    with pytest.raises(BadInput, match=told):
        move(old(*shop()), **chosen)


def test_a_server_group_without_servers_is_bad_input():
    with pytest.raises(BadInput, match="server group 'empty': no server"):
        move(old(*shop(), resource("server_group", "empty")), groups=("empty",))
