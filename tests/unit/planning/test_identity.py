"""Who may do what moves with a project that an operator moves; quotas are looked at before anything else is."""

from __future__ import annotations

import pytest

from decamp.model.errors import BadInput, Refused
from decamp.model.mapping import Mapping
from decamp.model.survey import Resource
from decamp.planning.confirm import plan_confirm
from decamp.planning.replay import replay
from small_projects import (
    MAPPED,
    P,
    action,
    comes_after,
    did,
    ids,
    image,
    move,
    new,
    old,
    port,
    project,
    refusals,
    resource,
    server,
    volume,
)


def user(id: str = "ann", name: str = "ann", **spec: object) -> Resource:
    told = {"domain": "Default", "email": "", "enabled": True, "description": "", "default_project": None}
    carried = {"not_carried": ["its password, which nobody can read: set a new one, or let it log in through federation"]}
    return resource("user", id, project=None, info=carried, **{"name": name, **told, **spec})


def group(id: str = "team", name: str = "team", members: tuple[str, ...] = ("ann",)) -> Resource:
    refs = [("user", one) for one in members]
    return resource("group", id, refs, project=None, name=name, domain="Default", description="", members=[list(ref) for ref in refs])


def assigned(who: tuple[str, str] = ("group", "team")) -> Resource:
    spec = {"who": list(who), "role": "member", "inherited": False}
    return resource("role_assignment", f"{P}/{who[0]}/{who[1]}/r1", [("project", P), who], name="member", **spec)


def quota(id: str, used: dict[str, dict[str, int]] | None = None, **limits: dict[str, int]) -> Resource:
    return resource("quota", id, [("project", id)], name="", project=id, info={"used": used or {}}, **limits)


def test_a_copied_user_is_said_to_need_a_password():
    plan = move(old(user(), group(), assigned(), admin=True), new(admin=True))
    made = action(plan, "create/user/ann")
    assert "its password" in made.changes["not_carried"][0]
    assert comes_after(plan, f"create/role_assignment/{P}/group/team/r1", "create/group/team")
    assert comes_after(plan, "create/group/team", "create/user/ann")


def test_a_user_that_works_in_the_project_is_made_after_it():
    before = old(project(), user(default_project=["project", P]), assigned(("user", "ann")), admin=True)
    assert comes_after(move(before, new(admin=True)), "create/user/ann", f"create/project/{P}")


def test_a_user_of_the_same_name_and_domain_is_the_same_unless_something_differs():
    before = old(user(), assigned(("user", "ann")), admin=True)
    assert action(move(before, new(user("ann-new"), admin=True)), "adopt/user/ann").args["id"] == "ann-new"
    other = new(user("ann-new", email="ann@example.org"), admin=True)
    assert ("user", "ann", "conflict") in refusals(move(before, other))
    mapped = move(before, other, mapping=Mapping(network=MAPPED.network, user={"ann": "ann-new"}))
    assert action(mapped, "adopt/user/ann").args["because"] == "mapping"


@pytest.mark.parametrize(("members", "adopted"), [(("ann-new",), True), ((), False), (("ann-new", "bob"), False)])
def test_a_group_is_the_same_if_its_members_are(members: tuple[str, ...], adopted: bool):
    there = new(user("ann-new"), user("bob", "bob"), group("team-new", members=members), admin=True)
    plan = move(old(user(), group(), assigned(), admin=True), there)
    assert ("adopt/group/team" in ids(plan)) is adopted
    assert (("group", "team", "conflict") in refusals(plan)) is not adopted


def test_a_project_that_is_made_gets_the_old_limits_and_one_that_was_there_keeps_its_own():
    before = old(project(), quota(P, compute={"instances": 3}), admin=True)
    made = move(before, new(admin=True))
    assert f"create/quota/{P}" in ids(made)
    there = move(before, new(project("alpha-new"), quota("alpha-new", compute={"instances": 9}), admin=True))
    assert f"create/quota/{P}" not in ids(there)


def test_a_plan_that_the_quota_does_not_hold_is_refused_with_the_numbers():
    before = old(volume("data", size_gib=8), port("nic"), server("web-1", ["nic"], ["data"]))
    limits = {"compute": {"instances": 4, "cores": -1, "ram": 512}, "block_storage": {"gigabytes": 10}}
    there = new(quota("new-project", {"compute": {"instances": 4}, "block_storage": {"gigabytes": 3}}, **limits))
    plan = move(before, there)
    (refusal,) = [one for one in plan.refusals if one.reason == "quota"]
    assert "instances: 4 of 4 are used, and 1 would be added" in refusal.text
    assert "gigabytes: 3 of 10 are used, and 8 would be added" in refusal.text
    assert "ram" not in refusal.text
    assert replay(plan, {"old": before, "new": there}) == ()


def test_an_image_is_shared_with_projects_that_the_new_cloud_is_known_to_have():
    others = [resource("project", one, project=one, name=one, domain="Default") for one in ("partner", "stranger")]
    base = image("own", project=P, visibility="shared", members=[["project", "partner"], ["project", "stranger"]])
    there = new(resource("project", "partner-new", project="partner-new", name="partner-new", domain="Default"), admin=True)
    mapping = Mapping(network=MAPPED.network, project={"partner": "partner-new"})
    plan = move(old(base, *others, admin=True), there, mapping=mapping)
    made = action(plan, "create/image/own")
    assert made.args["resource"]["spec"]["members"] == [["project", "partner"]]
    assert made.changes["members"] == (["partner", "stranger"], ["partner"])
    assert action(plan, "adopt/project/partner").args["because"] == "named"


def test_an_rbac_policy_for_a_project_that_nothing_stands_for_is_refused():
    other = resource("project", "partner", project="partner", name="partner", domain="Default")
    spec = {"object": ["network", "net"], "target": ["project", "partner"], "action": "access_as_shared", "object_type": "network"}
    policy = resource("rbac_policy", "rbac", [("network", "net"), ("project", "partner")], **spec)
    refused = refusals(move(old(policy, other, admin=True), new(admin=True)))
    assert {("project", "partner", "unmapped"), ("rbac_policy", "rbac", "needs_refused")} <= refused


def test_preparing_brings_what_takes_an_operator_and_nothing_that_the_projects_members_can_move():
    own = image("golden", digest="g1", project=P, visibility="private")
    people = (user(), assigned(("user", "ann")), quota(P))
    before = old(project(), *people, own, volume("data"), port("nic"), server("web", ["nic"], ["data"], image="golden"), admin=True)
    plan = move(before, new(admin=True), prepare=True)
    assert set(ids(plan)) == {
        *(f"create/project/{P}", f"create/quota/{P}", "create/user/ann", f"create/role_assignment/{P}/user/ann/r1"),
        "adopt/flavor/small",
    }
    assert not plan.refusals
    assert replay(plan, {"old": before}) == ()
    with_base = move(old(project(), port("nic"), server("web", ["nic"]), admin=True), new(admin=True), prepare=True)
    assert "create/image/debian" in ids(with_base)


def test_only_an_administrator_prepares():
    with pytest.raises(BadInput, match="only an administrator can prepare"):
        move(old(port("nic"), server("web", ["nic"])), prepare=True)


def test_a_prepared_project_has_nothing_to_confirm():
    plan = move(old(project(), user(), assigned(("user", "ann")), admin=True), new(admin=True), prepare=True)
    with pytest.raises(Refused, match="nothing to confirm"):
        plan_confirm(plan, did(plan), "run-1")
