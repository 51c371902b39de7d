"""What earlier attempts left in a real Cinder is taken up, waited for or deleted; what is, or may be, somebody's own is left alone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from contract import Ground, fresh_mark, fresh_name, ground
from contract_servers import volume
from openstack.connection import Connection

from decamp.lab.layout import Lab
from decamp.lab.supervise import Supervisor
from decamp.model.effects import Attempt
from decamp.model.errors import Failed
from decamp.model.plan import Action, Verb
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import KINDS, volume_snapshot
from decamp.resources import volume as volumes
from decamp.resources.performing import performers
from decamp.resources.tagging import METADATA_KEY

pytestmark = pytest.mark.lab

GOES_AFTER_SECONDS = 4.0
"""How long what is being deleted stays."""


@pytest.fixture(scope="module")
def here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(lab.folder / "clouds.yaml", tmp_path_factory.mktemp("tenants"), "tenant") as tenant:
        yield tenant


class Cinder:
    """Of one cloud, where a tenant makes things and an admin says how they stand."""

    def __init__(self, tenant: Connection, admin: Connection, process: int | None) -> None:
        """`process` is the leader of those that do what the API accepts."""
        assert process is not None
        self._process = process
        self.tenant, self.admin = tenant.block_storage, admin.block_storage
        self._connection = tenant
        self._volumes: list[str] = []

    def clear(self) -> None:
        """A project has room for ten volumes."""
        for made in self._volumes:
            if self.has("volumes", made):
                self.says("volumes", made, "available")
                assert self.tenant.delete(f"/volumes/{made}", params={"cascade": "true"}).ok
        deadline = time.monotonic() + 300
        while any(self.has("volumes", made) for made in self._volumes):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        self._volumes.clear()

    def volume(self, mark: str | None, status: str = "available") -> str:
        made = volume(self._connection, metadata={METADATA_KEY: mark} if mark else {})
        self._volumes.append(made)
        self.says("volumes", made, status)
        return made

    def snapshot(self, of: str, mark: str | None, status: str = "available") -> str:
        made = self.tenant.create_snapshot(volume_id=of, name=fresh_name("snapshot"), metadata={METADATA_KEY: mark} if mark else {})
        self.tenant.wait_for_status(made, "available", wait=300)
        self.says("snapshots", made.id, status)
        return made.id

    def says(self, kind: str, id: str, status: str) -> None:
        self._act(kind, id, {"os-reset_status": {"status": status}})

    def has(self, kind: str, id: str) -> bool:
        return self.admin.get(f"/{kind}/{id}").ok

    @contextmanager
    def deletes(self, kind: str, id: str) -> Iterator[Callable[[], None]]:
        """It is being deleted, and gone some time after what it gives is called: until then the process that does it sleeps."""
        waking = threading.Timer(GOES_AFTER_SECONDS, lambda: os.killpg(self._process, signal.SIGCONT))
        os.killpg(self._process, signal.SIGSTOP)
        try:
            assert self.tenant.delete(f"/{kind}/{id}").ok
            yield waking.start
        finally:
            waking.cancel()
            os.killpg(self._process, signal.SIGCONT)

    def _act(self, kind: str, id: str, body: dict[str, Any]) -> None:
        answer = self.admin.post(f"/{kind}/{id}/action", json=body)
        assert answer.ok, answer.text


@pytest.fixture
def old(lab: Lab, here: Ground) -> Iterator[Cinder]:
    cinder = Cinder(here.tenant, here.admin, Supervisor(lab.folder).pid("old-cinder-volume"))
    yield cinder
    cinder.clear()


@pytest.fixture
def new(lab: Lab, here: Ground) -> Iterator[Cinder]:
    cinder = Cinder(here.new.connection, here.new_admin, Supervisor(lab.folder).pid("new-cinder-volume"))
    yield cinder
    cinder.clear()


def attempt(mark: str, *, settling: bool = False) -> Attempt:
    told: dict[str, Any] = {"run": "r", "mark": mark, "ids": {}, "facts": {}}
    return Attempt(**told, progress=lambda done, total: None, cancelled=lambda: False, settling=settling)


def creating(resource: Resource) -> Action:
    return Action(id="create", verb=Verb.CREATE, target=resource.ref, args={"resource": msgspec.to_builtins(resource), "manner": "copy"})


def removing(here: Ground, kind: str, id: str) -> Action:
    there = KINDS[kind].read(here.new, id)
    assert there is not None
    return Action(id="remove", verb=Verb.REMOVE, target=Ref(kind, "x"), args={"cloud": "new", "id": id}, expects=there.fingerprint)


def test_a_copy_that_came_to_nothing_is_none_and_is_gone_before_another_is_made(here: Ground, old: Cinder, new: Cinder) -> None:
    mark, resource = fresh_mark(), here.read("volume", old.volume(None))
    broken, theirs = new.volume(mark, "error"), new.volume(fresh_mark(), "error")
    assert volumes.find(here.passage("volume", mark), resource) is None
    assert (new.has("volumes", broken), new.has("volumes", theirs)) == (False, True)


def test_a_copy_that_is_being_deleted_is_none_and_is_waited_for(here: Ground, old: Cinder, new: Cinder) -> None:
    mark, resource = fresh_mark(), here.read("volume", old.volume(None))
    going = new.volume(mark)
    with new.deletes("volumes", going) as soon:
        soon()
        assert volumes.find(here.passage("volume", mark), resource) is None
        assert not new.has("volumes", going)


@pytest.fixture
def snapshot(here: Ground, old: Cinder) -> Resource:
    return here.read("volume_snapshot", old.snapshot(old.volume(None), None))


def test_a_snapshot_that_came_to_nothing_is_none_and_is_gone_before_another_is_made(here: Ground, new: Cinder, snapshot: Resource) -> None:
    mark = fresh_mark()
    broken = new.snapshot(new.volume(mark), mark, "error")
    assert volume_snapshot.find(here.passage("volume_snapshot", mark), snapshot) is None
    assert not new.has("snapshots", broken)


def test_where_the_volume_of_a_snapshot_came_to_nothing_another_is_made(here: Ground, old: Cinder, snapshot: Resource) -> None:
    mark = fresh_mark()
    broken = old.volume(mark, "error")
    copy = volume_snapshot.create(here.passage("volume_snapshot", mark), snapshot)
    assert volume_snapshot.verify(here.passage("volume_snapshot", mark), snapshot, copy) == ()
    assert not old.has("volumes", broken)


def test_a_cancelled_snapshot_leaves_nothing_that_was_made_for_it_in_either_cloud(
    here: Ground, old: Cinder, new: Cinder, snapshot: Resource
) -> None:
    mark = fresh_mark()
    ours, others = zip(*((cinder.volume(mark), (cinder.volume(fresh_mark()), cinder.volume(None))) for cinder in (old, new)), strict=True)
    create = performers(here.old, here.new)[Verb.CREATE]
    assert create.find(creating(snapshot), attempt(mark, settling=True)) is None
    assert not old.has("volumes", ours[0])
    assert not new.has("volumes", ours[1])
    assert all(cinder.has("volumes", one) for cinder, several in zip((old, new), others, strict=True) for one in several)


def test_a_volume_of_which_somebody_has_made_a_snapshot_is_not_given_up(here: Ground, new: Cinder, snapshot: Resource) -> None:
    mark = fresh_mark()
    ours = new.volume(mark)
    theirs = new.snapshot(ours, None)
    volume_snapshot.abandon(here.passage("volume_snapshot", mark), snapshot)
    assert (new.has("volumes", ours), new.has("snapshots", theirs)) == (True, True)


def a_thing(cinder: Cinder, kind: str) -> tuple[str, str]:
    """Its path, and its id."""
    base = cinder.volume(None)
    return ("volumes", base) if kind == "volume" else ("snapshots", cinder.snapshot(base, None))


@pytest.mark.parametrize("kind", ["volume", "volume_snapshot"])
def test_what_is_still_being_deleted_is_not_removed_yet_and_is_waited_for(here: Ground, new: Cinder, kind: str) -> None:
    path, thing = a_thing(new, kind)
    action, performer = removing(here, kind, thing), performers(here.old, here.new)[Verb.REMOVE]
    with new.deletes(path, thing) as soon:
        assert performer.find(action, attempt("m")) is None
        soon()
        assert performer.perform(action, attempt("m")).said.startswith("removed")
        assert not new.has(path, thing)
    assert performer.find(action, attempt("m")) == performer.perform(action, attempt("m"))


@pytest.mark.parametrize("kind", ["volume", "volume_snapshot"])
def test_what_cinder_could_not_delete_is_told(here: Ground, new: Cinder, kind: str) -> None:
    path, thing = a_thing(new, kind)
    action, performer = removing(here, kind, thing), performers(here.old, here.new)[Verb.REMOVE]
    new.says(path, thing, "error_deleting")
    assert performer.find(action, attempt("m")) is None
    with pytest.raises(Failed, match="could not delete"):
        performer.perform(action, attempt("m"))
    new.says(path, thing, "available")


def test_a_key_that_was_there_before_is_nobody_s_copy_even_after_a_crash(here: Ground) -> None:
    name = fresh_name("keypair")
    public = here.tenant.compute.create_keypair(name=name).public_key
    here.new.connection.compute.create_keypair(name=name, public_key=public)
    here.later.callback(here.new.connection.compute.delete_keypair, name)
    found = performers(here.old, here.new)[Verb.CREATE].find(creating(here.read("keypair", name)), attempt(fresh_mark()))
    assert found is not None
    assert found.adopted
