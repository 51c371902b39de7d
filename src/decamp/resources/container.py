"""Containers of an object store (Swift), each with its objects. The mark is in the metadata, and another that says: not all are there yet.

A fingerprint is of the whole listing, so that it tells an object that was written over by one of the same size.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from decamp.clouds import Cloud
from decamp.model.errors import Changed, Refused
from decamp.model.refs import Ref
from decamp.model.survey import Resource
from decamp.resources import object_data, object_store
from decamp.resources.attributes import changed, its_own, kept, lost, mapped_as, owner, refused
from decamp.resources.kind import Passage
from decamp.resources.object_data import AT_A_TIME, Listed, Way
from decamp.resources.specs import differences, mapped, sealed, unchanged

NAME = "container"

ATTRIBUTES = (
    *owner("account"),
    *kept("name"),
    *kept(how="quotas, rules for browsers, and what a static web site is made of are metadata too", metadata="X-Container-Meta-*"),
    *mapped_as(
        how="what the project's own members, all users, roles and referrers may; what names others is left out", read="X-Container-Read"
    ),
    *mapped_as(how="the same", write="X-Container-Write"),
    *mapped_as(how="by the mapping, or of the same name; the default stands for the default", storage_policy="X-Storage-Policy"),
    *kept(versions_location="X-Versions-Location", history_location="X-History-Location"),
    *kept(how="of each: name, bytes, hash, type of content; where a link leads, and what a large one is made of", contents="objects"),
    *changed(
        *("objects.X-Object-Meta-*", "objects.X-Delete-At", "objects.X-Object-Manifest", "objects.Content-Encoding"),
        *("objects.Content-Disposition", "objects.Content-Language", "objects.Cache-Control", "objects.Expires", "objects.X-Robots-Tag"),
        how="in nothing: they are set in the call that brings the bytes; listings do not tell them, so they are not compared again",
    ),
    *changed("objects.last_modified", how="when the copy was written"),
    *lost("X-Container-Meta-Temp-URL-Key", "X-Container-Meta-Temp-URL-Key-2", why="secrets are never read: set new ones"),
    *lost("X-Container-Sync-To", "X-Container-Sync-Key", why="another cluster knows the old container by a secret"),
    *lost("X-Account-Meta-*", why="of an account: its keys are secrets, its quota is the new cloud's"),
    *refused("X-Versions-Enabled", why="versions that objects had before are in no listing, and are not carried"),
    *its_own("X-Timestamp", "Last-Modified", "X-Container-Object-Count", "X-Container-Bytes-Used"),
)

PREFIX = "x-container-meta-"
MARK, UNFINISHED, REMOVING = "decamp-mark", "decamp-unfinished", "decamp-removing"
"""Names of metadata: which action made it, whether objects are still to come, and the fingerprint with which its removal began."""
OWN = frozenset({MARK, UNFINISHED, REMOVING})
SECRETS = ("temp-url-key", "temp-url-key-2")
LATE = ("quota-bytes", "quota-count")
"""Metadata that would stand in the way of objects that were there before it was set."""

SETTLED_SECONDS = 60
"""How long an object store may take until a listing shows what was written (it is consistent in the end)."""

EMPTY_SECONDS = 600
"""How long a container may take to hear of objects that are deleted. Swift's object-updater tells it every 300 s what it missed."""

_ID = re.compile(r"[0-9a-f]{32}")


def export(cloud: Cloud, project: str | None) -> Iterable[Resource]:
    """Those of the acting project's account; Swift tells nobody of all accounts."""
    if not cloud.has(object_store.SERVICE_TYPE) or project not in (None, cloud.project_id):
        return
    with ThreadPoolExecutor(AT_A_TIME, "containers") as pool:
        default = _default_policy(cloud)
        yield from filter(None, pool.map(lambda name: _told(cloud, name, default), list(object_store.containers(cloud))))


def unseen(cloud: Cloud, project: str | None) -> tuple[str, ...]:
    """What an operator's survey has to say of others' containers."""
    if not cloud.admin or project == cloud.project_id or not cloud.has(object_store.SERVICE_TYPE):
        return ()
    return (f"{NAME}: the object store shows containers to their project's own members alone: survey with a member's credentials",)


def read(cloud: Cloud, id: str) -> Resource | None:
    return _told(cloud, id, _default_policy(cloud)) if cloud.has(object_store.SERVICE_TYPE) else None


def _told(cloud: Cloud, name: str, default_policy: str | None) -> Resource | None:
    if object_store.unspeakable(name):
        return sealed(NAME, name, name, cloud.project_id, (), {"name": name}, {"unsupported": ["no client can ask for it by its name"]})
    headers = object_store.head(cloud, name)
    try:
        return told(cloud, name, headers, default_policy) if headers is not None else None
    except Changed:
        return None  # deleted while it was listed


def told(cloud: Cloud, name: str, headers: Mapping[str, str], default_policy: str | None) -> Resource:
    """`default_policy`: of storage, which needs not be asked for."""
    contents = _Contents(cloud, name)
    metadata = _metadata(headers)
    policy = headers.get("X-Storage-Policy")
    spec: dict[str, Any] = {
        "name": name,
        "metadata": {key: value for key, value in metadata.items() if key not in OWN and key not in SECRETS},
        "read": acl(headers.get("X-Container-Read", ""), cloud.project_id),
        "write": acl(headers.get("X-Container-Write", ""), cloud.project_id),
        "storage_policy": None if policy == default_policy else policy,
        "versions_location": headers.get("X-Versions-Location"),
        "history_location": headers.get("X-History-Location"),
        "contents": contents.digest,
    }
    info: dict[str, Any] = {"objects": contents.objects, "bytes": contents.bytes}
    if contents.large_in:
        info["segments_in"] = sorted(contents.large_in - {name})
    if UNFINISHED in metadata:
        info["unfinished"] = metadata.get(MARK, "")
    against = list(contents.against)
    if "X-Versions-Enabled" in headers:
        against.append("it keeps older versions of its objects: copy those that matter, then delete them, or the objects into another one")
    if against:
        info["unsupported"] = against
    lost = [key for key in SECRETS if key in metadata]
    info["not_carried"] = ["its keys for temporary URLs: set new ones"] if lost else []
    if "X-Container-Sync-To" in headers:
        info["not_carried"].append("its synchronisation with another cluster")
    return sealed(NAME, name, name, cloud.project_id, (), spec, info)


class _Contents:
    """What the listing says of all objects together."""

    def __init__(self, cloud: Cloud, container: str) -> None:
        self.objects = self.bytes = 0
        self.large_in: set[str] = set()
        self.against: list[str] = []
        digest = hashlib.sha256()
        large: list[str] = []
        for one in object_data.listed(cloud, container):
            self.objects += 1
            self.bytes += one.bytes
            digest.update("\0".join((one.name, str(one.bytes), one.etag, one.last_modified, "")).encode())
            if object_store.unspeakable(one.name):
                self.against.append(f"no client can ask for its object {one.name}")
            if one.large:
                large.append(one.name)
        self.digest = digest.hexdigest()
        with ThreadPoolExecutor(AT_A_TIME, "manifests") as pool:
            for found in pool.map(lambda name: object_data.segments_in(cloud, container, name), large):
                self.large_in |= found


def acl(told: str, project: str) -> list[Any]:
    """Each entry by itself: who of which project, with the own one as a ref; or a referrer, or a role, in Swift's words."""
    return [_entry(word, project) for word in filter(None, (one.strip() for one in told.split(",")))]


def _entry(word: str, project: str) -> Any:
    if word.startswith("."):
        return word
    whose, colon, who = word.partition(":")
    if not colon and not _ID.fullmatch(whose):
        return word
    return {"project": ["project", project] if whose == project else whose, "user": who or "*"}


def _worded(entries: Iterable[Any], ids: Mapping[Ref, str]) -> str:
    return ",".join(entry if isinstance(entry, str) else f"{_whose(entry['project'], ids)}:{entry['user']}" for entry in entries)


def _whose(project: Any, ids: Mapping[Ref, str]) -> str:
    return project if isinstance(project, str) else mapped(ids, project)


def find(passage: Passage, resource: Resource) -> str | None:
    """One that lacks objects is gone on with when it is made again."""
    headers = object_store.head(passage.new, resource.name) if passage.new.has(object_store.SERVICE_TYPE) else None
    metadata = _metadata(headers or {})
    return resource.name if metadata.get(MARK) == passage.mark and UNFINISHED not in metadata else None


def create(passage: Passage, resource: Resource) -> str:
    """With its objects; what limits it, and lets others in, comes after them. Goes on where an earlier attempt ended.

    Raises Refused where the new cloud has no object store, no such policy of storage, or a container of this name that is not ours.
    """
    new, name = passage.new, resource.name
    if resource.info.get("unsupported"):
        raise Refused(f"container {name} cannot be carried: {'; '.join(resource.info['unsupported'])}")
    if not new.has(object_store.SERVICE_TYPE):
        raise Refused(f"{new.name}: there is no object store in its catalogue for container {name}")
    there = object_store.head(new, name)
    if there is not None and _metadata(there).get(MARK) != passage.mark:
        raise Refused(f"{new.name}: the project has a container {name} already, which is not this one's copy: delete it, or give it up")
    late, early = _wanted(passage, resource)
    if there is None:
        policy = _policy(passage, resource)
        made = {f"{PREFIX}{MARK}": passage.mark, f"{PREFIX}{UNFINISHED}": "yes", **({"X-Storage-Policy": policy} if policy else {})}
        object_store.put_container(new, name, {**early, **made})
    fill(passage, resource, name)
    object_store.post_container(new, name, {**late, f"{PREFIX}{UNFINISHED}": ""})
    return name


def _wanted(passage: Passage, resource: Resource) -> tuple[dict[str, str], dict[str, str]]:
    """Headers that are set in the end, and those that it is made with."""
    spec = resource.spec
    metadata = {f"{PREFIX}{key}": value for key, value in spec["metadata"].items()}
    limits = {f"{PREFIX}{key}" for key in LATE}
    rules = {
        "X-Container-Read": _worded(spec["read"], passage.ids),
        "X-Container-Write": _worded(spec["write"], passage.ids),
        "X-Versions-Location": spec["versions_location"],
        "X-History-Location": spec["history_location"],
    }
    late = {name: value for name, value in rules.items() if value}
    late |= {name: value for name, value in metadata.items() if name in limits}
    return late, {name: value for name, value in metadata.items() if name not in limits}


def _policy(passage: Passage, resource: Resource) -> str | None:
    wanted = resource.spec["storage_policy"]
    if wanted is None:
        return None
    there = [one["name"] for one in object_store.policies(passage.new)]
    if wanted not in there:
        how = "say under `mapping: storage_policy:` which one stands for it"
        has = f"which has {', '.join(there)}" if there else "which tells of none"
        raise Refused(f"container {resource.name} has storage policy {wanted}, and not so {passage.new.name}, {has}: {how}")
    return wanted


def _default_policy(cloud: Cloud) -> str | None:
    return next((one["name"] for one in object_store.policies(cloud) if one.get("default")), None)


def fill(passage: Passage, resource: Resource, id: str) -> None:
    """With the old one's objects; and wait a while until a listing shows what was written: `verify` says what it does not show then.

    May be done again, and goes on then.
    """
    way = Way(passage=passage, source=resource.id, target=id)
    object_data.copy_all(way, resource.info.get("bytes", 0))
    deadline = time.monotonic() + SETTLED_SECONDS
    pause_seconds = 0.2
    while any(way.unlike()) and time.monotonic() < deadline and not passage.cancelled():
        time.sleep(pause_seconds)
        pause_seconds *= 2


NAMED = 5
"""Objects that a difference tells by name; the rest are counted."""


def verify(passage: Passage, resource: Resource, id: str) -> tuple[str, ...]:
    """Number, bytes, hash and type of every object too, as both listings have them now."""
    copy = read(passage.new, id)
    found = list(differences(resource, copy, passage.ids, but=("contents", "storage_policy")))
    if copy is None:
        return tuple(found)
    what = f"container {resource.name}"
    wanted = resource.spec["storage_policy"]
    if wanted != copy.spec["storage_policy"] and wanted != _default_policy(passage.new):
        found.append(f"{what}: storage_policy should be {wanted or 'the default'} and is {copy.spec['storage_policy'] or 'the default'}")
    if "unfinished" in copy.info:
        found.append(f"{what}: its copy lacks objects still")
    unlike = 0
    for old, new in Way(passage=passage, source=resource.id, target=id).unlike():
        unlike += 1
        if unlike <= NAMED:
            found.append(f"{what}: {_difference(old, new)}")
    if unlike > NAMED:
        found.append(f"{what}: {unlike - NAMED} more objects differ")
    return tuple(found)


def _difference(old: Listed | None, new: Listed | None) -> str:
    if old is None:
        return f"object {new.name if new else ''} is in its copy and should not be"
    if new is None:
        return f"object {old.name} is missing"
    wanted, there = (f"{one.bytes} bytes, {one.content_type}, {one.etag}" for one in (old, new))
    return f"object {old.name} should have {wanted} and has {there}"


def remove(cloud: Cloud, id: str, expects: str) -> None:
    """With all of its objects. A removal that was cut short is gone on with: the container says so."""
    headers = object_store.head(cloud, id)
    if headers is None:
        return
    if _metadata(headers).get(REMOVING) != expects:
        there = _told(cloud, id, _default_policy(cloud))
        if there is None:
            return
        unchanged(there, expects, cloud.name)
        # a container that keeps versions would put the last one back for each object that goes
        keeping = {name: "" for name in ("X-Versions-Location", "X-History-Location") if name in headers}
        object_store.post_container(cloud, id, {**keeping, f"{PREFIX}{REMOVING}": expects})
    _delete(cloud, id)


def abandon(passage: Passage, resource: Resource) -> None:
    """Where no copy is to come of it any more: the one that lacks objects is deleted, with those that it has."""
    metadata = _metadata(object_store.head(passage.new, resource.name) or {})
    if metadata.get(MARK) == passage.mark and UNFINISHED in metadata:
        _delete(passage.new, resource.name)


def _delete(cloud: Cloud, id: str) -> None:
    """With all objects that are listed now. Raises Changed where others have come since."""
    with ThreadPoolExecutor(AT_A_TIME, "deleting") as pool:
        for lot in _in_lots(object_data.listed(cloud, id)):
            list(pool.map(lambda one: object_store.delete(cloud, id, one.name), lot))
        deadline = time.monotonic() + EMPTY_SECONDS
        pause_seconds = 0.5
        while True:
            try:
                return object_store.delete(cloud, id)
            except Changed:
                if time.monotonic() > deadline or _has_any(pool, cloud, id):
                    raise
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, 30)


def _has_any(pool: ThreadPoolExecutor, cloud: Cloud, id: str) -> bool:
    """Whether one of the objects that it lists is there."""

    def is_there(one: Listed) -> bool:
        return object_store.head(cloud, id, one.name, object_data.AS_IT_IS) is not None

    return any(any(list(pool.map(is_there, lot))) for lot in _in_lots(object_data.listed(cloud, id)))


LOT = 1000


def _in_lots(every: Iterable[Listed]) -> Iterator[list[Listed]]:
    lot: list[Listed] = []
    for one in every:
        lot.append(one)
        if len(lot) == LOT:
            yield lot
            lot = []
    yield lot


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Names in lower case: HTTP's headers have none of their own."""
    return {name.lower().removeprefix(PREFIX): value for name, value in sorted(headers.items()) if name.lower().startswith(PREFIX)}
