"""Containers as they are told, over HTTP as documented; what is compared of their objects; and what becomes of them in a plan."""

from __future__ import annotations

import msgspec
import pytest

from catalogue_services import OTHER, PROJECT, a_cloud
from decamp.model.mapping import Mapping
from decamp.model.plan import Plan, Verb
from decamp.model.survey import Resource
from decamp.resources import container, object_data, object_store
from decamp.resources.object_data import Listed
from small_projects import move, new, old


@pytest.fixture(scope="module")
def backups() -> Resource:
    with a_cloud() as cloud:
        found = container.read(cloud, "backups")
    assert found is not None
    return found


def listed(name: str, **fields: object) -> Listed:
    plain = {"bytes": 5, "hash": "5" * 32, "content_type": "text/plain", "last_modified": "2026-11-20T08:00:00"}
    return object_data.told({"name": name, **plain, **fields})


def test_a_container_is_told_with_the_number_and_bytes_of_all_pages(backups: Resource) -> None:
    assert (backups.info["objects"], backups.info["bytes"]) == (3, 4096)
    assert backups.spec["storage_policy"] == "gold"
    assert backups.spec["metadata"] == {"colour": "blue"}


def test_keys_of_temporary_urls_are_said_to_be_lost_and_never_told(backups: Resource) -> None:
    assert "hush" not in msgspec.json.encode(backups).decode()
    assert backups.info["not_carried"] == ["its keys for temporary URLs: set new ones"]


def test_a_container_that_is_not_there_is_read_as_nothing() -> None:
    with a_cloud() as cloud:
        assert container.read(cloud, "nowhere") is None


def test_an_operator_is_told_that_others_containers_are_not_shown() -> None:
    with a_cloud(role="admin") as cloud:
        assert "members alone" in container.unseen(cloud, None)[0]
        assert container.unseen(cloud, PROJECT) == ()
    with a_cloud() as cloud:
        assert container.unseen(cloud, PROJECT) == ()
    with a_cloud(role="admin", services=frozenset()) as cloud:
        assert container.unseen(cloud, None) == ()


def test_listings_are_read_side_by_side_in_the_order_of_their_bytes() -> None:
    names = ["a", "a/b", "z", "\u00e4", "\U0001f600"]
    both = object_data.side_by_side([listed(name) for name in names if name != "z"], [listed(name) for name in names if name != "a/b"])
    told = [(one.name if one else None, other.name if other else None) for one, other in both]
    assert told == [("a", "a"), ("a/b", None), (None, "z"), ("\u00e4", "\u00e4"), ("\U0001f600", "\U0001f600")]


@pytest.mark.parametrize(
    "fields",
    [{"bytes": 6}, {"hash": "6" * 32}, {"content_type": "image/png"}, {"symlink_path": "/v1/AUTH_x/c/o"}, {"slo_etag": f'"{"5" * 32}"'}],
)
def test_an_object_with_other_content_is_not_equal(fields: dict[str, object]) -> None:
    assert object_data.equal(listed("a"), listed("a", last_modified="2027-01-01T00:00:00"))
    assert not object_data.equal(listed("a"), listed("a", **fields))


def test_large_objects_are_compared_by_their_segments_and_links_by_where_they_lead() -> None:
    assert object_data.equal(listed("a", hash="6" * 32, slo_etag='"5"'), listed("a", hash="7" * 32, slo_etag='"5"'))
    assert object_data.equal(listed("a", symlink_path="/v1/AUTH_x/c/o"), listed("a", symlink_path="/v1/AUTH_y/c/o"))


def test_a_hash_that_is_none_of_the_bytes_is_not_compared() -> None:
    assert object_data.equal(listed("a", hash=f"{'5' * 32}-3"), listed("a", hash="6" * 32))


@pytest.mark.parametrize(
    ("name", "path"), [("a b/c?", "/box/a%20b/c%3F"), ("a/../b", "/box/a%2F..%2Fb"), ("..a", "/box/..a"), ("\u00e4", "/box/%C3%A4")]
)
def test_no_name_leads_anywhere_else(name: str, path: str) -> None:
    assert object_store.path_of("box", name) == path
    assert object_store.unspeakable("..")
    assert not object_store.unspeakable("a/..")


def plan_of(*found: Resource, mapping: Mapping | None = None, **fields: object) -> Plan:
    return move(old(*found, project=PROJECT), new(**fields), project=PROJECT, mapping=mapping or Mapping())


def test_a_plan_makes_it_and_leaves_out_whom_its_acl_names_of_others(backups: Resource) -> None:
    (action,) = [one for one in plan_of(backups).actions if one.target == backups.ref]
    assert action.verb is Verb.CREATE
    assert action.args["resource"]["spec"]["read"] == [".r:*", {"project": ["project", PROJECT], "user": "*"}]
    assert {"project": OTHER, "user": "*"} in action.changes["read"][0]
    assert plan_of(backups).forecast.bytes == 4096


def test_a_storage_policy_is_called_as_the_mapping_says(backups: Resource) -> None:
    (action,) = [one for one in plan_of(backups, mapping=Mapping(storage_policy={"gold": "ssd"})).actions if one.target == backups.ref]
    assert action.args["resource"]["spec"]["storage_policy"] == "ssd"
    assert tuple(action.changes["storage_policy"]) == ("gold", "ssd")


def test_a_container_is_refused_where_the_new_cloud_has_no_object_store(backups: Resource) -> None:
    (refusal,) = [one for one in plan_of(backups, lacks=("object-store",)).refusals if one.ref == backups.ref]
    assert "object store" in refusal.text


def test_a_container_whose_name_is_taken_is_a_conflict(backups: Resource) -> None:
    there = msgspec.structs.replace(backups, project="new-project")
    plan = move(old(backups, project=PROJECT), new(there), project=PROJECT)
    assert [one.reason for one in plan.refusals if one.ref == backups.ref] == ["conflict"]


def test_a_large_object_comes_after_its_segments_and_a_circle_waits_for_nobody(backups: Resource) -> None:
    def box(name: str, *segments_in: str) -> Resource:
        return msgspec.structs.replace(backups, id=name, name=name, info={**backups.info, "segments_in": list(segments_in)})

    order = [one.target.id for one in plan_of(box("a", "parts"), box("parts"), box("c", "d"), box("d", "c")).actions]
    assert order.index("parts") < order.index("a")
    assert {"c", "d"} < set(order)
