"""What Heat tells of stacks."""

from __future__ import annotations

from typing import Any

from decamp.resources.stacks import members_of


def told(name: str, stack: str, type: str = "OS::Nova::Server", id: str = "", nested: str | None = None) -> dict[str, Any]:
    links = [{"rel": "self", "href": f"/{stack}/resources/{name}"}, {"rel": "stack", "href": f"/{stack}"}]
    links += [{"rel": "nested", "href": f"/{nested}"}] if nested else []
    return {"resource_name": name, "resource_type": type, "physical_resource_id": id, "links": links}


def test_members_of_groups_of_one_name_in_different_stacks_are_told_apart_by_their_paths():
    resources = [
        told("0", "shop-web-0-inner", id="a"),
        told("0", "shop-web-1-inner", id="b"),
        told("web", "shop", "OS::Heat::ResourceGroup", "w", nested="shop-web"),
        told("0", "shop-web", "pair.yaml", "p0", nested="shop-web-0"),
        told("1", "shop-web", "pair.yaml", "p1", nested="shop-web-1"),
        told("inner", "shop-web-0", "OS::Heat::ResourceGroup", "i0", nested="shop-web-0-inner"),
        told("inner", "shop-web-1", "OS::Heat::ResourceGroup", "i1", nested="shop-web-1-inner"),
        told("db", "shop", id="d"),
    ]
    servers = {member.path: member.id for member in members_of(resources) if member.type == "OS::Nova::Server"}
    assert servers == {"web/0/inner/0": "a", "web/1/inner/0": "b", "db": "d"}


def test_what_is_not_made_yet_has_no_id():
    assert members_of([told("db", "shop", id="")])[0].id is None
