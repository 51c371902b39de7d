"""What services beside the core ones hold is found where the catalogue has them, and refused by name: over HTTP, as documented."""

from __future__ import annotations

import pytest

from catalogue_services import OTHER, PROJECT, a_cloud
from decamp.model.errors import Refused
from decamp.resources import KINDS
from small_projects import move, old

SEEN_ONLY = ("load_balancer", "dns_zone", "secret")
KINDS_OF_THEM = ("container", *SEEN_ONLY)


def test_a_tenant_finds_what_is_its_own() -> None:
    with a_cloud() as cloud:
        found = {(kind, one.name) for kind in KINDS_OF_THEM for one in KINDS[kind].export(cloud, None)}
    assert found == {
        ("container", "backups"),
        ("container", "photos"),
        ("container", "v"),
        ("load_balancer", "front-1"),
        ("dns_zone", "shop-1.example."),
        ("dns_zone", "shop-2.example."),
        ("secret", "tls"),
    }


def test_an_operator_finds_everybody_s_where_the_service_shows_them_page_after_page() -> None:
    with a_cloud(role="admin") as cloud:
        owners = {kind: [one.project for one in KINDS[kind].export(cloud, None)] for kind in ("load_balancer", "dns_zone")}
        ones = [one.name for one in KINDS["dns_zone"].export(cloud, OTHER)]
    assert owners == {"load_balancer": [PROJECT, OTHER], "dns_zone": [PROJECT, PROJECT, OTHER]}
    assert ones == ["shop-3.example."]


@pytest.mark.parametrize("kind", KINDS_OF_THEM)
def test_nothing_is_asked_of_a_service_that_the_catalogue_has_not(kind: str) -> None:
    with a_cloud(services=frozenset()) as cloud:
        assert list(KINDS[kind].export(cloud, None)) == []


@pytest.mark.parametrize("kind", SEEN_ONLY)
def test_a_plan_refuses_them_by_name_and_with_what_would_help(kind: str) -> None:
    with a_cloud() as cloud:
        found = next(iter(KINDS[kind].export(cloud, None)))
        assert KINDS[kind].read(cloud, found.id) in (found, None)
    plan = move(old(found, project=PROJECT), project=PROJECT)
    (refusal,) = [one for one in plan.refusals if one.ref == found.ref]
    assert (refusal.reason, found.name in refusal.text) == ("unsupported", True)
    assert found.info["unsupported"][0] in refusal.text


def test_nothing_of_them_is_made_or_removed() -> None:
    with a_cloud() as cloud, pytest.raises(Refused):
        KINDS["secret"].remove(cloud, "5ec00000-0000-4000-8000-000000000000", "expected")
