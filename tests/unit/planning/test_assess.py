"""What a move would mean, told before it is planned."""

from __future__ import annotations

import msgspec

from decamp.model.ledger import Entry
from decamp.model.survey import Resource
from decamp.planning.assess import BOOT_SECONDS, Assessment, Subject, assess
from small_projects import MAPPED, P, did, flavor, image, move, new, old, port, project, resource, server, volume

GIB = 1 << 30


def told(*resources: Resource, ledger: tuple[Entry, ...] = (), there: tuple[Resource, ...] = (), **options: object) -> Assessment:
    roomy = flavor(disk_gib=20)
    theirs = new(msgspec.structs.replace(roomy, id="flavor-new"), *there)
    mine = old(roomy, image(info={"size": 2 * GIB, "status": "active"}), *resources)
    return assess(mine, theirs, MAPPED, project=P, ledger=ledger, bytes_a_second=GIB, **options)  # type: ignore[arg-type]


def of(assessment: Assessment, name: str) -> Subject:
    return next(one for one in (*assessment.applications, *assessment.servers) if one.name == name)


def test_servers_of_one_image_carry_it_once_together_and_each_by_itself():
    assessment = told(server("web-1", tags=["shop"]), server("web-2", tags=["shop"]))
    shop, web = of(assessment, "shop").best, of(assessment, "web-1").best
    assert shop
    assert web
    assert shop.bytes == web.bytes == assessment.total.bytes == 2 * GIB
    assert assessment.total_saved.bytes == 2 * 20 * GIB - 2 * GIB


def test_an_image_that_the_new_cloud_has_costs_nothing():
    best = of(told(server("web-1"), there=(image("debian-there"),)), "web-1").best
    assert best
    assert (best.bytes, best.disk_bytes) == (0, 0)


def test_a_server_is_down_while_its_own_disks_are_carried_and_not_for_its_base_image():
    assessment = told(volume("orders", 40), server("db", [], ["orders"]), server("web-1"))
    db, web = of(assessment, "db").best, of(assessment, "web-1").best
    assert db
    assert db.downtime_seconds == 40 + BOOT_SECONDS
    assert web
    assert web.downtime_seconds == 0
    assert db.seconds == 42 + BOOT_SECONDS


def test_a_server_that_was_stopped_before_has_no_downtime():
    best = of(told(volume("orders", 40), server("db", [], ["orders"], status="SHUTOFF")), "db").best
    assert best
    assert best.downtime_seconds == 0


def test_where_recreate_is_refused_snapshot_is_best_and_the_refusal_is_told():
    subject = of(told(server("legacy", image="sarge")), "legacy")
    assert subject.best
    assert subject.best.manner == "snapshot"
    assert "base_image_gone" in {refusal.reason for way in subject.ways if way.manner == "recreate" for refusal in way.refusals}
    assert subject.saved_bytes == 0


def test_an_application_can_move_only_in_manners_in_which_all_of_its_servers_can():
    subject = of(told(server("web-1", tags=["shop"]), server("legacy", image="sarge", tags=["shop"])), "shop")
    assert [way.manner for way in subject.ways if way.is_possible] == ["snapshot"]


def test_a_server_that_cannot_move_is_told_why_and_is_not_in_the_total():
    assessment = told(server("batch", info={"status": "PAUSED"}), server("web-1"))
    subject = of(assessment, "batch")
    assert subject.best is None
    assert {refusal.reason for way in subject.ways for refusal in way.refusals} == {"state"}
    assert assessment.movable == 1


def test_a_cause_is_told_and_what_only_follows_from_it_is_not():
    special = port("nic", vnic_type="direct")
    subject = of(told(special, server("fast", ["nic"])), "fast")
    assert {refusal.reason for way in subject.ways for refusal in way.refusals} == {"unsupported"}


def test_a_server_that_has_moved_already_is_told_so():
    before = old(server("web-1"))
    entries = did(move(before, None, "web-1"))
    copy = next(str(entry.new_id) for entry in entries if entry.ref.kind == "server" and entry.new_id)
    there = new(resource("server", copy, project="new-project"))
    subject = of(assess(before, there, MAPPED, project=P, ledger=entries), "web-1")
    assert subject.ways == ()
    assert subject.best is None


def test_an_operator_is_told_of_every_project():
    before = old(server("a"), project("beta-id", "beta"), server("b", project="beta-id", key=None), admin=True)
    assessment = assess(before, new(admin=True), MAPPED, project=None)
    assert {(one.project, one.name) for one in assessment.servers} == {(P, "a"), ("beta-id", "b")}
    assert assessment.movable == 2
