"""The contract of a kind, on real clouds: the same few sentences for each of them, as a tenant and as an operator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import answers
import msgspec
import pytest
from contract import PUBLIC_KEY, Case, Ground, fresh_name, ground, make_quota, moved_group, network, subnet
from contract_servers import CASES
from keystoneauth1.session import Session

from decamp.clouds import Cloud
from decamp.lab import Lab
from decamp.model.errors import Changed
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import KINDS, Kind, quota, seen_only
from decamp.resources.performing import OUTSIDE_PROJECTS

pytestmark = pytest.mark.lab

MODES = ("tenant", "operator")
TRIALS = [pytest.param(mode, case, id=f"{mode}-{name}") for mode in MODES for name, case in CASES.items() if mode in case.modes]
ONCE = [pytest.param(case.modes[0], case, id=f"{case.modes[0]}-{name}") for name, case in CASES.items()]


class Crash(BaseException):
    """Stands for the death of the process: nothing of ours catches it."""


BY_THEMSELVES = {"quota", "server_snapshot"}
"""Kinds with tests of their own: limits cannot be made twice, and a snapshot (test_bytes) is no resource of the old cloud."""


def test_every_kind_that_is_carried_has_a_case() -> None:
    assert CASES.keys() | BY_THEMSELVES == {name for name, kind in KINDS.items() if kind.create is not seen_only.create}


@pytest.fixture(scope="module")
def grounds(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ground]]:
    clouds_file, folder = lab.folder / "clouds.yaml", tmp_path_factory.mktemp("tenants")
    with ground(clouds_file, folder, "tenant") as tenant, ground(clouds_file, folder, "operator") as operator:
        yield {"tenant": tenant, "operator": operator}


@pytest.fixture(scope="module")
def made(grounds: dict[str, Ground]) -> dict[tuple[str, str], Resource]:
    """Filled as the trials need it: (mode, kind) -> the resource of the old cloud."""
    return {}


@pytest.fixture
def here(grounds: dict[str, Ground], mode: str) -> Ground:
    return grounds[mode]


@pytest.fixture
def resource(here: Ground, mode: str, case: Case, made: dict[tuple[str, str], Resource]) -> Resource:
    if (mode, case.kind) not in made:
        made[mode, case.kind] = here.read(case.kind, case.make(here))
    return made[mode, case.kind]


def without_stack(resource: Resource) -> Resource:
    """Which Heat stack owns a server is told by listing all stacks: `export` asks that, `read` of one server does not."""
    info = {name: value for name, value in resource.info.items() if name not in ("stack", "stack_id")}
    if "unreadable" in info:
        info["unreadable"] = [name for name in info["unreadable"] if name != "stack"]
    return msgspec.structs.replace(resource, info=info)


@pytest.mark.parametrize(("mode", "case"), TRIALS)
def test_export_tells_the_same_as_read(here: Ground, case: Case, resource: Resource) -> None:
    exported = {one.ref: one for one in here.export(case.kind)}
    assert without_stack(exported[resource.ref]) == without_stack(resource)


@pytest.mark.parametrize(("mode", "case"), TRIALS)
def test_a_resource_survives_its_document_unchanged(case: Case, resource: Resource) -> None:
    assert msgspec.json.decode(msgspec.json.encode(resource), type=Resource) == resource


@pytest.mark.parametrize(("mode", "case"), TRIALS)
def test_a_copy_is_found_compared_guarded_and_removed(here: Ground, case: Case, resource: Resource) -> None:
    kind, passage, new = KINDS[case.kind], here.passage(case.kind), here.above
    assert kind.find(passage, resource) is None

    copy = kind.create(passage, resource)
    assert kind.find(passage, resource) == copy
    assert kind.find(passage, resource) == copy
    if not case.markless:
        assert kind.find(here.passage(case.kind), resource) is None, "another action's mark finds it"
    assert kind.verify(passage, resource, copy) == ()

    there = kind.read(new, copy)
    assert there is not None
    spoilt = case.spoil(here, copy)
    assert any(case.told in sentence for sentence in kind.verify(passage, resource, spoilt))
    with pytest.raises(Changed):
        kind.remove(new, spoilt, there.fingerprint)

    changed = kind.read(new, spoilt)
    assert changed is not None
    kind.remove(new, spoilt, changed.fingerprint)
    assert kind.read(new, spoilt) is None
    assert kind.find(passage, resource) is None
    kind.remove(new, spoilt, changed.fingerprint)
    assert kind.verify(passage, resource, spoilt) != ()


@pytest.mark.parametrize(("mode", "case"), ONCE)
def test_a_crash_after_any_write_leaves_one_whole_copy_to_the_next_attempt(here: Ground, case: Case, resource: Resource) -> None:
    kind, copy = KINDS[case.kind], ""
    for write in itertools.count(1):
        passage = here.passage(case.kind)
        before = _copies(here, resource)
        with dying_after(write) as death:
            copy = kind.create(passage, resource)
        if not death.came:
            break
        copy = kind.find(passage, resource) or kind.create(passage, resource)
        assert kind.verify(passage, resource, copy) == (), f"after write {write}"
        assert _copies(here, resource) - before == {copy}, f"after write {write}"
        if write == case.most:
            break
        there = kind.read(here.above, copy)
        kind.remove(here.above, copy, there.fingerprint if there else "")
    assert death.came or write > 1
    _remove_through_crashes(here.above, kind, copy)


@pytest.mark.parametrize(("mode", "case"), TRIALS)
def test_every_attribute_that_a_cloud_shows_is_declared(here: Ground, case: Case, resource: Resource) -> None:
    declared = {attribute.name for attribute in KINDS[case.kind].ATTRIBUTES}
    for cloud, one in ((here.old, resource.id), (here.acting(case.kind), here.copy_of(resource))):
        undeclared = answers.shown(cloud, case.kind, one).keys() - declared
        assert "*" in declared or sorted(undeclared) == [], cloud.name


@pytest.mark.parametrize(("mode", "case"), TRIALS)
def test_a_copy_that_differs_in_a_kept_or_mapped_attribute_is_told_to_differ(here: Ground, case: Case, resource: Resource) -> None:
    """Instead of the copy, one field after another of what is asked for is altered."""
    kind, copy = KINDS[case.kind], here.copy_of(resource)
    fields = {attribute.field for attribute in kind.ATTRIBUTES if attribute.field} - UNCOMPARED.get(case.kind, frozenset())
    passage = msgspec.structs.replace(here.passage(case.kind, here.marks[resource.ref]), ids={**here.ids, **answers.UNKNOWN})
    assert kind.verify(passage, resource, copy) == ()
    for field in sorted(fields):
        if field.startswith(tuple(resource.info.get("unreadable", ()))):
            continue
        assert field in resource.spec, f"{field} is declared, and no field of the spec"
        altered = msgspec.structs.replace(resource, spec={**resource.spec, field: answers.altered(resource.spec[field])})
        assert kind.verify(passage, altered, copy) != (), f"{field}: {resource.spec[field]!r}"


def test_an_operator_reads_the_keys_of_other_users(grounds: dict[str, Ground]) -> None:
    here = grounds["operator"]
    name = here.tenant.compute.create_keypair(name=fresh_name("key"), public_key=PUBLIC_KEY).name
    whose = f"{here.tenant.current_user_id}/{name}"
    assert whose in {one.id for one in here.export("keypair")}
    assert here.read("keypair", whose).spec["public_key"] == PUBLIC_KEY


def test_addresses_that_neutron_makes_of_prefix_and_mac_are_the_same_again(grounds: dict[str, Ground]) -> None:
    here = grounds["tenant"]
    made = network(here)
    here.move("network", made)
    inside = subnet(here, made, "fd00:67::/64", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    here.move("subnet", inside)
    assert KINDS["subnet"].verify(here.passage("subnet"), here.read("subnet", inside), here.ids[Ref("subnet", inside)]) == ()
    resource = here.read("port", here.tenant.network.create_port(network_id=made, security_groups=[moved_group(here)]).id)
    copy = KINDS["port"].read(here.new, here.copy_of(resource))
    assert copy is not None
    assert [one["ip_address"] for one in copy.spec["fixed_ips"]] == [one["ip_address"] for one in resource.spec["fixed_ips"]]
    assert copy.spec["fixed_ips"]


def test_quotas_are_set_compared_and_put_back(grounds: dict[str, Ground]) -> None:
    here, kind = grounds["operator"], quota
    resource = here.read("quota", make_quota(here))
    assert (resource.spec["compute"]["instances"], resource.spec["network"]["router"]) == (17, 3)
    passage = here.passage("quota")
    before = kind.read(here.above, here.new.project_id)
    assert kind.find(passage, resource) is None
    for _ in ("compute", "block_storage"):
        with dying_after(1) as death:
            kind.create(passage, resource)
        assert death.came
        assert kind.find(passage, resource) is None, "half of the limits passed for all of them"
    copy = kind.create(passage, resource)
    assert kind.verify(passage, resource, copy) == ()
    assert kind.find(passage, resource) == copy
    here.new_admin.compute.update_quota_set(copy, cores=35)
    assert any("cores should be 34 and is 35" in sentence for sentence in kind.verify(passage, resource, copy))
    there = kind.read(here.above, copy)
    assert there is not None
    assert before is not None
    kind.remove(here.above, copy, there.fingerprint)
    assert kind.read(here.above, copy) == before


UNCOMPARED = {
    "container": frozenset({"contents"}),
    "flavor": frozenset({"access"}),
    "image": frozenset({"members"}),
    "stack": frozenset({"definition"}),
    "volume_type": frozenset({"access"}),
}
"""Lists of projects: a copy has to admit those that are known, and may admit others. A stack's definition is read anew each
time, and so are a container's objects, in both listings."""


@pytest.mark.parametrize(("mode", "case"), TRIALS)
def test_the_survey_of_a_kind_holds_no_secret(here: Ground, case: Case, resource: Resource) -> None:
    text = msgspec.json.encode(here.export(case.kind)).decode()
    for secret in ("PRIVATE KEY", '"private_key"', '"user_data":', '"adminPass"', '"password"'):
        assert secret not in text


def _remove_through_crashes(new: Cloud, kind: Kind, copy: str) -> None:
    """A removal that dies after each of its writes in turn, and is taken up with the same expectation."""
    there = kind.read(new, copy)
    assert there is not None
    for write in itertools.count(1):
        with dying_after(write) as death:
            kind.remove(new, copy, there.fingerprint)
        if not death.came:
            break
    assert kind.read(new, copy) is None


def _copies(here: Ground, resource: Resource) -> set[str]:
    """All in the new project that could be copies of it; what has its address for a name has another one there."""
    new = here.acting(resource.kind)
    exported = KINDS[resource.kind].export(new, None if resource.kind in OUTSIDE_PROJECTS else new.project_id)
    return {one.id for one in exported if one.name == resource.name or resource.kind in ("floating_ip", "port_forwarding")}


class Death:
    """Of what ran within `dying_after`."""

    came = False


@contextmanager
def dying_after(write: int) -> Iterator[Death]:
    """The process dies when the services have answered that many changing requests: their effect is there, and nobody knows."""
    death, answered = Death(), itertools.count(1)
    asking = Session.request

    def request(session: Session, url: str, method: str, **given: Any) -> Any:
        answer = asking(session, url, method, **given)
        changes = method in {"POST", "PUT", "PATCH", "DELETE"} and not url.endswith("/auth/tokens")
        if changes and next(answered) == write:  # of one thread alone, however many ask at once
            raise Crash
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "request", request)
        try:
            yield death
        except Crash:
            death.came = True
