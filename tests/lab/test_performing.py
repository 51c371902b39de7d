"""An operator's passage of a whole small project, action by action, and back: what the performers leave behind is nothing."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from contract import CASES, Ground, fresh_mark, ground

from decamp import surveying
from decamp.clouds import Cloud, connect
from decamp.lab import Lab
from decamp.model.effects import Attempt, Outcome
from decamp.model.errors import Changed
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import KINDS
from decamp.resources.performing import performers

pytestmark = pytest.mark.lab

MOVED = ("project", "network", "subnet", "security_group", "security_group_rule", "router", "port", "server_group")


@pytest.fixture(scope="module")
def here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(lab.folder / "clouds.yaml", tmp_path_factory.mktemp("tenants"), "operator") as here:
        for name in ("router", "port", "security_group_rule", "server_group"):
            CASES[name].make(here)
        yield here


@pytest.fixture
def clouds(lab: Lab) -> tuple[Cloud, Cloud]:
    return connect("old", lab.folder / "clouds.yaml"), connect("new", lab.folder / "clouds.yaml")


def test_a_project_moves_and_comes_back_without_a_trace(here: Ground, clouds: tuple[Cloud, Cloud]) -> None:
    old, new = clouds
    by_verb = performers(old, new)
    external = {ref: copy for ref, copy in here.ids.items() if ref.kind == "network" and _is_external(new, copy)}
    ids: dict[Ref, str] = dict(external)
    done: list[tuple[Action, Outcome]] = []
    for resource in _resources(old, here.project):
        if resource.ref in ids or resource.info.get("unsupported"):
            continue
        action = Action(
            id=f"create/{resource.kind}/{resource.id}",
            verb=Verb.CREATE,
            target=resource.ref,
            args={"resource": msgspec.to_builtins(resource), "manner": "copy"},
            expects=resource.fingerprint,
        )
        performer, attempt = by_verb[Verb.CREATE], _attempt(ids)
        assert performer.fingerprint(action) == action.expects
        outcome = performer.perform(action, attempt)
        assert performer.verify(action, outcome, attempt) == ()
        assert outcome.id
        ids[resource.ref] = outcome.id
        done.append((action, outcome))

    adopted = [action.target.kind for action, outcome in done if outcome.adopted]
    assert adopted == ["security_group"], "the default group, and nothing else, was there before"
    copied = {one.ref for one in _resources(new, ids[Ref("project", here.project)])}
    assert {Ref(action.target.kind, outcome.id or "") for action, outcome in done} <= copied
    assert len([ref for ref in copied if ref.kind == "security_group_rule"]) == sum(a.target.kind == "security_group_rule" for a, _ in done)

    for action, outcome in reversed(done):
        if not outcome.adopted:
            removal = Action(
                id=f"remove/{action.target.kind}/{outcome.id}",
                verb=Verb.REMOVE,
                target=action.target,
                args={"cloud": "new", "id": outcome.id},
                expects=outcome.fingerprint,
            )
            performer, attempt = by_verb[Verb.REMOVE], _attempt(ids)
            removed = performer.perform(removal, attempt)
            assert performer.verify(removal, removed, attempt) == ()
    assert _left(new, ids[Ref("project", here.project)]) == []


def test_an_operator_s_survey_of_one_project_knows_those_that_it_shares_with(here: Ground, clouds: tuple[Cloud, Cloud]) -> None:
    old, _ = clouds
    partner = here.admin.identity.create_project(name="contract-partner")
    here.later.callback(here.admin.identity.delete_project, partner)
    shared = here.tenant.network.create_network(name="contract-shared")
    here.tenant.network.create_rbac_policy(
        object_type="network", object_id=shared.id, action="access_as_shared", target_project_id=partner.id
    )
    found = surveying.survey_cloud(old, project=here.project, report=lambda *_: None)
    assert {one.id for one in found.resources if one.kind == "project"} == {here.project, partner.id}


def test_what_changed_since_is_not_removed(here: Ground, clouds: tuple[Cloud, Cloud]) -> None:
    old, new = clouds
    made = here.new.connection.network.create_security_group(name="contract-changed")
    removal = Action(
        id="remove/security_group/x",
        verb=Verb.REMOVE,
        target=Ref("security_group", "x"),
        args={"cloud": "new", "id": made.id},
        expects="0" * 32,
    )
    with pytest.raises(Changed):
        performers(old, new)[Verb.REMOVE].perform(removal, _attempt({}))


def _resources(cloud: Cloud, project: str) -> list[Resource]:
    return [resource for kind in MOVED for resource in KINDS[kind].export(cloud, project) if resource.project == project]


def _left(cloud: Cloud, project: str) -> list[Ref]:
    """Without asking Neutron for this project's groups, which would make its default group again."""
    return [resource.ref for kind in MOVED for resource in KINDS[kind].export(cloud, None) if resource.project == project]


def _is_external(cloud: Cloud, id: str) -> bool:
    found = KINDS["network"].read(cloud, id)
    return bool(found and found.spec["external"])


def _attempt(ids: dict[Ref, str]) -> Attempt:
    return Attempt(run="contract", mark=fresh_mark(), ids=dict(ids), facts={}, progress=lambda done, total: None, cancelled=lambda: False)
