"""Objects from one object store to another: a few at a time, streamed and hashed; what is there already is not sent again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import requests
import urllib3.exceptions
from openstack.exceptions import raise_from_response

from decamp.clouds import Cloud
from decamp.copy.stream import CHUNK_BYTES, Body, transfer
from decamp.copy.unbroken import Busy, Opened, unbroken
from decamp.model.errors import Failed, Unreachable
from decamp.model.refs import Ref
from decamp.resources import calls, object_store
from decamp.resources.calls import Json
from decamp.resources.image_bytes import goes_on
from decamp.resources.kind import Passage

AT_A_TIME = 6
"""Objects in flight. Each waits for two object stores in turn, so that small ones go several times as fast as one after the other."""

WAITING = 64
"""Objects that are known to be missing, and not begun: so that a listing of millions is read as they go."""

PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Before each new attempt at one object; after them the whole container is taken up again, as everything that cannot be reached."""

TOLD_SECONDS = 0.25
"""Between two reports of progress."""

MD5_LENGTH = 32
"""In hex digits. An ETag of another form is no hash of the bytes (Ceph's, of uploads in parts)."""

KEPT_HEADERS = (
    *("Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires", "X-Robots-Tag"),
    *("X-Delete-At", "X-Symlink-Target-Etag"),
)
"""What Swift keeps of an object beside its metadata (its configuration allowed_headers, and the middlewares dlo and symlink)."""
LEADING = ("X-Object-Manifest", "X-Symlink-Target")
"""To a container, and what is in it."""
METADATA = "x-object-meta-"

AS_IT_IS = {"multipart-manifest": "get", "symlink": "get"}
"""The object itself, where it stands for others: a large one's manifest, a link."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing says of an object's content."""

    name: str
    bytes: int
    etag: str
    """Of a large object: of its segments, in quotes."""
    content_type: str
    link: str | None
    """Container and name that it is a link to."""
    last_modified: str
    large: bool

    @property
    def place(self) -> bytes:
        return self.name.encode()


def listed(cloud: Cloud, container: str) -> Iterator[Listed]:
    return (told(one) for one in object_store.objects(cloud, container))


def told(one: Json) -> Listed:
    return Listed(
        name=one["name"],
        bytes=one["bytes"],
        etag=one.get("slo_etag") or one["hash"],
        content_type=one["content_type"],
        link="/".join(one["symlink_path"].split("/")[3:]) if one.get("symlink_path") else None,
        last_modified=one["last_modified"],
        large="slo_etag" in one,
    )


def equal(old: Listed, new: Listed | None) -> bool:
    """As far as listings say it: by hash, where the old one is a hash."""
    if new is None or (old.bytes, old.content_type, old.link) != (new.bytes, new.content_type, new.link):
        return False
    return old.etag == new.etag or len(old.etag.strip('"')) != MD5_LENGTH


def side_by_side(old: Iterable[Listed], new: Iterable[Listed]) -> Iterator[tuple[Listed | None, Listed | None]]:
    """Both listings, name by name, in the order in which object stores list them."""
    left, right = iter(old), iter(new)
    one, other = next(left, None), next(right, None)
    while one or other:
        if other is None or (one and one.place < other.place):
            yield one, None
            one = next(left, None)
        elif one is None or other.place < one.place:
            yield None, other
            other = next(right, None)
        else:
            yield one, other
            one, other = next(left, None), next(right, None)


def segments_in(cloud: Cloud, container: str, name: str) -> set[str]:
    """The containers that a large object's segments are in."""
    segments = _manifest(cloud, container, name)
    return {str(one["path"]).split("/")[1] for one in segments if "path" in one}


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """From a container of the old cloud to one of the new."""

    passage: Passage
    source: str
    target: str

    def called(self, place: str) -> str:
        """A container, with what comes after a slash, as it is called in the new cloud."""
        container, slash, rest = place.partition("/")
        name = unquote(container)
        copy = self.target if name == self.source else self.passage.ids.get(Ref("container", name), name)
        return f"{container if copy == name else quote(copy)}{slash}{rest}"

    def unlike(self) -> Iterator[tuple[Listed | None, Listed | None]]:
        """What listings tell of both differs. One that has expired may be listed for a while, and has no copy."""
        old_cloud, new_cloud = self.passage.old, self.passage.new
        for old, new in side_by_side(listed(old_cloud, self.source), listed(new_cloud, self.target)):
            if old is None or (not self.equal(old, new) and object_store.head(old_cloud, self.source, old.name) is not None):
                yield old, new

    def equal(self, old: Listed, new: Listed | None) -> bool:
        return equal(msgspec.structs.replace(old, link=self.called(old.link)) if old.link else old, new)


def copy_all(way: Way, total_bytes: int) -> None:
    """All objects of the old container that the new one has not, or has otherwise. May be done again, and goes on then.

    Large objects and links to what has to be there come after the rest. Raises Unreachable, after a few attempts at the same object.
    """
    passage = way.passage
    progress = _Progress(passage.progress, total_bytes)
    later: list[Listed] = []
    with ThreadPoolExecutor(AT_A_TIME, "objects") as pool:
        _run_all(pool, passage, _missing(way, progress), lambda one: _attempt(way, one, progress), later)
        while later:
            left: list[Listed] = []
            _run_all(pool, passage, iter(later), lambda one: _assembled(way, one, progress), left)
            if len(left) == len(later):
                raise Failed(
                    f"{passage.new.name}: object {left[0].name} of container {way.target} is made of others, and they are not there, or "
                    "others than they were. Carry the containers that have them first, then resume"
                )
            later = left
    progress.told_all()


def _missing(way: Way, progress: _Progress) -> Iterator[Listed]:
    for old, new in side_by_side(listed(way.passage.old, way.source), listed(way.passage.new, way.target)):
        if old and way.equal(old, new):
            progress.passed(old.bytes)
        elif old:
            yield old


def _run_all(
    pool: ThreadPoolExecutor, passage: Passage, every: Iterator[Listed], work: Callable[[Listed], bool], left: list[Listed]
) -> None:
    """`work` on each, and those that it says no to into `left`. What is in flight ends before anything is raised."""
    flying: dict[Future[bool], Listed] = {}

    def land(least: int) -> None:
        while len(flying) > least:
            for done in wait(flying, return_when=FIRST_COMPLETED).done:
                one = flying.pop(done)
                if not done.result():
                    left.append(one)

    try:
        for one in every:
            if passage.cancelled():
                raise Failed("stopped between two objects, because the run was cancelled")
            flying[pool.submit(work, one)] = one
            land(WAITING)
        land(0)
    finally:
        for one in flying:
            one.cancel()


def _attempt(way: Way, one: Listed, progress: _Progress) -> bool:
    for pause in (*PAUSES_SECONDS, None):
        try:
            return _carried(way, one, progress)
        except Unreachable:
            if pause is None or way.passage.cancelled():
                raise
            time.sleep(pause)
    return False


def _carried(way: Way, one: Listed, progress: _Progress) -> bool:
    """Whether it is done with; one that is made of others is left until they are there."""
    old = way.passage.old
    with old.calling(f"read object {one.name} of {way.source}"), closing(_opened(old, way.source, one.name, {})) as response:
        if response.status_code == 404:
            return True  # deleted or expired since it was listed
        raise_from_response(response)
        if response.headers.get("X-Static-Large-Object", "").lower() == "true" or "X-Symlink-Target-Etag" in response.headers:
            return False
        _stream(way, one, response, progress)
        return True


def _stream(way: Way, one: Listed, response: requests.Response, progress: _Progress) -> None:
    passage, name, size = way.passage, one.name, int(response.headers["Content-Length"])
    etag = response.headers["Etag"].strip('"')
    known = {"ETag": etag} if len(etag) == MD5_LENGTH else {}
    wanted = {**headers_of(way, response.headers), **known}
    source = unbroken(
        partial(_from, passage.old, way.source, name, response, size),
        size_bytes=size,
        what=f"{passage.old.name}: object {name} of {way.source}",
        cancelled=passage.cancelled,
    )
    stored: list[str] = []
    receipt = transfer(
        source,
        lambda body: stored.append(_put(passage.new, way.target, name, body if size else b"", wanted)),
        size_bytes=size,
        algorithms=("md5",),
        progress=progress.of(name),
        cancelled=passage.cancelled,
        pace=passage.pace,
    )
    sent = receipt.digests["md5"]
    if known and sent != etag:
        raise Failed(f"{passage.old.name}: object {name} of {way.source}: the bytes that were read have not the hash that it keeps of them")
    if stored[0] and len(stored[0]) == MD5_LENGTH and stored[0] != sent:
        raise Failed(f"{passage.new.name}: object {name} of {way.target}: it has another hash than the bytes that were sent")
    progress.finished(name, size)


def _from(cloud: Cloud, container: str, name: str, first: requests.Response, size: int, position: int) -> Opened:
    """From there on, if it still is the object that it was."""
    if not size:
        return iter(())
    if not position and not first.raw.tell():
        return _chunks(cloud, name, first)
    asked = {"Range": f"bytes={position}-", "If-Match": first.headers["Etag"]}
    with cloud.calling(f"read object {name}"):
        response = _opened(cloud, container, name, asked)
        again = response.headers.get("Retry-After", "")
        if response.status_code in (429, 503) and again.isdecimal():
            response.close()
            return Busy(float(again))
        gone = response.status_code in (404, 412)
        if gone or not goes_on(response.status_code, response.headers.get("Content-Range", ""), position, size):
            response.close()
            return None
        raise_from_response(response)
    return _chunks(cloud, name, response)


def _chunks(cloud: Cloud, name: str, response: requests.Response) -> Iterator[bytes]:
    """As they are stored: what the owner has compressed stays so."""
    with cloud.calling(f"read object {name}"):
        try:
            yield from response.raw.stream(CHUNK_BYTES, decode_content=False)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise Unreachable(f"{cloud.name}: object {name}: the connection broke: {error}") from error
        finally:
            response.close()


def _opened(cloud: Cloud, container: str, name: str, headers: Mapping[str, str]) -> requests.Response:
    wanted = {**headers, "Accept-Encoding": "identity"}
    return object_store.asked(cloud, "GET", object_store.path_of(container, name), params=AS_IT_IS, headers=wanted, stream=True)


def _put(
    cloud: Cloud, container: str, name: str, body: Body | bytes, headers: Mapping[str, str], query: Mapping[str, str] | None = None
) -> str:
    """Returns the ETag that it has there; empty where that is not said. Raises Changed where the new container is gone."""
    with cloud.calling(f"write object {name} of {container}"):
        response = object_store.asked(
            cloud,
            "PUT",
            object_store.path_of(container, name),
            data=body,
            params=query or {},
            headers=dict(headers),
            **calls.SENT_ONCE,
        )
        calls.accepted(cloud, response, f"object {name}")
        return response.headers.get("Etag", "").strip('"')


def headers_of(way: Way, headers: Mapping[str, str]) -> dict[str, str]:
    """What the copy is asked for."""
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    kept |= {name: way.called(headers[name]) for name in LEADING if name in headers}
    return kept | {name: value for name, value in headers.items() if name.lower().startswith(METADATA)}


def _assembled(way: Way, one: Listed, progress: _Progress) -> bool:
    """A large object's manifest, or a link that says what it has to find; whether all that it names was there."""
    old, new = way.passage.old, way.passage.new
    shown = object_store.head(old, way.source, one.name)
    with old.calling(f"read object {one.name} of {way.source}"), closing(_opened(old, way.source, one.name, {})) as response:
        if response.status_code == 404 or shown is None:
            return True
        raise_from_response(response)
        is_link = "X-Symlink-Target-Etag" in response.headers
        wanted = headers_of(way, response.headers if is_link else shown)
    body, query = b"", {}
    if not is_link:
        body, query = msgspec.json.encode(_renamed(way, _manifest(old, way.source, one.name))), {"multipart-manifest": "put"}
    try:
        there = _put(new, way.target, one.name, body, wanted, query)
    except Failed as error:
        if getattr(error.__cause__, "status_code", None) not in (400, 409):
            raise
        return False
    if not is_link and there and there != shown["Etag"].strip('"'):
        raise Failed(f"{new.name}: object {one.name} of {way.target}: its segments are others than they were")
    progress.passed(one.bytes)
    return True


def _renamed(way: Way, segments: list[Json]) -> list[Json]:
    """Their paths are not quoted, but where all of an object's are."""
    return [{**one, "path": f"/{unquote(way.called(quote(one['path'].lstrip('/'))))}"} if "path" in one else one for one in segments]


def _manifest(cloud: Cloud, container: str, name: str) -> list[dict[str, Any]]:
    """In the words in which it is asked for. Raises Changed where it is gone."""
    with cloud.calling(f"read the manifest of object {name} of {container}"):
        query = {"multipart-manifest": "get", "format": "raw"}
        response = object_store.asked(cloud, "GET", object_store.path_of(container, name), params=query)
        raise_from_response(response)
        return [_segment(one) for one in response.json()]


def _segment(shown: Json) -> Json:
    """Older Swifts know no raw form, and show a manifest in other words than they take it."""
    if "name" not in shown:
        return shown
    asked = {"path": shown["name"], "etag": shown["hash"], "size_bytes": shown["bytes"]}
    return {**asked, **({"range": shown["range"]} if shown.get("range") else {})}


class _Progress:
    """Of all objects of a container together."""

    def __init__(self, tell: Callable[[int, int], None], total_bytes: int) -> None:
        self._tell, self._total = tell, total_bytes
        self._lock = threading.Lock()
        self._done = 0
        self._flying: dict[str, int] = {}
        self._next = 0.0

    def of(self, name: str) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            with self._lock:
                self._flying[name] = done
                self._told()

        return told

    def finished(self, name: str, size: int) -> None:
        with self._lock:
            self._flying.pop(name, None)
            self._done += size
            self._told()

    def passed(self, size: int) -> None:
        """Is there already, or is made of what is."""
        with self._lock:
            self._done += size
            self._told()

    def told_all(self) -> None:
        with self._lock:
            self._tell(self._done, max(self._total, self._done))

    def _told(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TOLD_SECONDS
            done = self._done + sum(self._flying.values())
            self._tell(done, max(self._total, done))
