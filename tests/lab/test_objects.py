"""Containers of many objects on their way: what a crash, a cut connection or a change in the old one makes of them."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from contract import Ground, fresh_name, ground
from contract_objects import MIB, put
from keystoneauth1.session import Session
from test_bytes import through
from test_kinds_contract import dying_after
from wire import Wire

from decamp.lab import Lab
from decamp.lab.layout import CloudName
from decamp.model.errors import Changed, Failed, Refused
from decamp.resources import container
from decamp.resources.object_store import path_of

pytestmark = pytest.mark.lab

MANY = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tenants")


@pytest.fixture(scope="module")
def here(lab: Lab, folder: Path) -> Iterator[Ground]:
    with ground(lab.folder / "clouds.yaml", folder, "tenant") as tenant:
        yield tenant


@pytest.fixture(scope="module")
def many(here: Ground) -> str:
    name = fresh_name("many")
    put(here.tenant, name)
    for number in range(MANY):
        put(here.tenant, name, f"{number:03d}", secrets.token_bytes(number))
    return name


def of_twenty(here: Ground, kind: str) -> str:
    name = fresh_name(kind)
    put(here.tenant, name)
    for number in range(20):
        put(here.tenant, name, str(number), b"x")
    return name


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Paths of what is put anywhere and accepted, each with how often."""
    stored: Counter[str] = Counter()
    asking = Session.request

    def request(session: Session, url: str, method: str, **given: Any) -> Any:
        answer = asking(session, url, method, **given)
        if method == "PUT" and answer.status_code < 300:
            stored[unquote(urlsplit(url).path)] += 1
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "request", request)
        yield stored


def test_no_object_is_sent_twice_when_the_process_dies_in_the_middle_of_a_container(here: Ground, many: str) -> None:
    resource, passage = here.read("container", many), here.passage("container")
    with counting() as stored:
        with dying_after(MANY // 2) as death:
            container.create(passage, resource)
        assert death.came
        assert container.find(passage, resource) is None
        half = sum(stored.values())
        assert container.create(passage, resource) == many
    assert 1 < half < MANY, "the container, and some of its objects"
    assert len(stored) == MANY + 1
    assert set(stored.values()) == {1}
    assert container.find(passage, resource) == many
    assert container.verify(passage, resource, many) == ()


def test_what_changed_in_the_old_container_meanwhile_is_told(here: Ground, many: str) -> None:
    resource, passage = here.read("container", many), here.passage("container")
    put(here.tenant, many, "007", b"seven77", Content_Type="application/octet-stream")
    put(here.tenant, many, "new", b"new")
    assert here.read("container", many).fingerprint != resource.fingerprint
    told = container.verify(passage, resource, many)
    assert any("object 007 should have" in one for one in told)
    assert f"container {many}: object new is missing" in told
    with pytest.raises(Changed):
        container.remove(here.old, many, resource.fingerprint)
    assert here.tenant.object_store.get(path_of(many, "007")).content == b"seven77"


def test_a_container_that_is_not_ours_is_left_alone(here: Ground) -> None:
    name = fresh_name("taken")
    put(here.tenant, name, None)
    put(here.new.connection, name, None, X_Container_Meta_Colour="red")
    with pytest.raises(Refused, match="has a container"):
        container.create(here.passage("container"), here.read("container", name))
    assert here.new.connection.object_store.head(path_of(name)).headers["X-Container-Meta-Colour"] == "red"


def test_a_cut_connection_goes_on_in_the_middle_of_an_object(lab: Lab, here: Ground, folder: Path) -> None:
    name, data = fresh_name("large"), secrets.token_bytes(12 * MIB)
    put(here.tenant, name)
    put(here.tenant, name, "large", data)
    resource, passage = here.read("container", name), here.passage("container")
    seen: list[int] = []
    with Wire(lab.url(CloudName.OLD, "swift"), cut_answers=[5 * MIB, 3 * MIB]) as wire:
        cut = through(passage, folder, f"{wire.url}/v1/AUTH_{here.project}", lambda done, total: seen.append(done), service="object_store")
        assert container.create(cut, resource) == name
        assert wire.answered_bytes < len(data) + 5 * MIB
    assert seen[-1] == len(data)
    copy = here.new.connection.object_store.get(path_of(name, "large"))
    assert hashlib.sha256(copy.content).digest() == hashlib.sha256(data).digest()


def test_a_copy_that_is_cancelled_stops_and_another_attempt_goes_on(here: Ground) -> None:
    name = of_twenty(here, "cancelled")
    resource, passage = here.read("container", name), here.passage("container")
    with pytest.raises(Failed, match="cancelled"):
        container.create(msgspec.structs.replace(passage, cancelled=lambda: True), resource)
    assert container.create(passage, resource) == name
    assert container.verify(passage, resource, name) == ()


def test_what_is_abandoned_goes_with_the_objects_that_it_has_and_what_is_whole_stays(here: Ground) -> None:
    name = of_twenty(here, "abandoned")
    resource, passage = here.read("container", name), here.passage("container")
    with dying_after(10) as death:
        container.create(passage, resource)
    assert death.came
    container.abandon(here.passage("container"), resource)
    assert container.read(here.new, name) is not None, "it bears another mark"
    container.abandon(passage, resource)
    assert container.read(here.new, name) is None
    assert container.create(passage, resource) == name
    container.abandon(passage, resource)
    assert container.verify(passage, resource, name) == ()


@contextmanager
def somebody_puts(here: Ground, container: str, *, and_deletes: bool) -> Iterator[None]:
    """An object, in the moment before the container itself is deleted for the first time; and deletes it in the moment after."""
    asking, path, store = Session.request, path_of(container), here.tenant.object_store
    came: list[str] = []

    def request(session: Session, url: str, method: str, **given: Any) -> Any:
        is_first = method == "DELETE" and urlsplit(url).path.endswith(path) and not came
        if is_first:
            came.append("late")
            assert store.put(f"{path}/late", data=b"x").ok
        answer = asking(session, url, method, **given)
        if is_first and and_deletes:
            assert store.delete(f"{path}/late").ok
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "request", request)
        yield
    assert came


def test_a_container_in_which_an_object_was_and_is_not_any_more_is_deleted_after_all(here: Ground) -> None:
    name = of_twenty(here, "restless")
    resource = here.read("container", name)
    with somebody_puts(here, name, and_deletes=True):
        container.remove(here.old, name, resource.fingerprint)
    assert here.tenant.object_store.head(path_of(name)).status_code == 404


def test_objects_that_somebody_put_there_while_it_was_removed_are_told_and_stay(here: Ground) -> None:
    name = of_twenty(here, "revived")
    resource = here.read("container", name)
    with somebody_puts(here, name, and_deletes=False), pytest.raises(Changed, match="has objects again"):
        container.remove(here.old, name, resource.fingerprint)
    assert here.tenant.object_store.get(path_of(name, "late")).content == b"x"
