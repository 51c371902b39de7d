"""Calls to a service's API with its own JSON: what a service does not show stays absent, where an SDK object has a default."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from openstack.exceptions import raise_from_response

from decamp.clouds import Cloud
from decamp.model.errors import Unreachable

Json = dict[str, Any]

PAGE = 500
"""Objects a request: below the 1000 that Nova allows by default (api.max_limit)."""

SENT_ONCE: Json = {"allow_reauth": False, "connect_retries": 0, "status_code_retries": 0}
"""Of a request with a stream for its body, which can't be sent again: the session must not retry by itself."""

_PAGED = frozenset({"network", "compute", "block_storage", "image"})
"""Keystone, of the services that are listed here, gives everything at once, and newer ones refuse a query that they do not know."""


def accepted(cloud: Cloud, response: requests.Response, what: str) -> None:
    """Of the answer to what is sent once. A token that has expired is given up, so that the next attempt has another."""
    if response.status_code == 401:
        cloud.connection.session.invalidate()
        raise Unreachable(f"{cloud.name}: the token for {what} has expired: it is sent anew, with another")
    raise_from_response(response)


def listed(cloud: Cloud, service: str, path: str, key: str, query: Json | None = None) -> Iterator[Json]:
    """Every object under `key` of every page; the next page is where the answer's `<key>_links` says."""
    asked: Json = ({"limit": PAGE} if service in _PAGED else {}) | (query or {})
    while True:
        answer = _request(cloud, service, "get", path, params=asked).json()
        yield from answer[key]
        following = [link["href"] for link in answer.get(f"{key}_links", []) if link["rel"] == "next"]
        if not following or not answer[key]:
            return
        asked = dict(parse_qsl(urlsplit(following[0]).query))


def got(cloud: Cloud, service: str, path: str, key: str | None, query: Json | None = None, *, headers: Json | None = None) -> Any:
    """What is under `key` (null: the whole answer), or null where the service answers 404."""
    with cloud.calling(f"get {path}"):
        response = cloud.service(service).get(path, params=query or {}, headers=headers or {})
        if response.status_code == 404:
            return None
        raise_from_response(response)
        return response.json()[key] if key else response.json()


def posted(cloud: Cloud, service: str, path: str, body: Json, *, secret: bool = False) -> Json:
    """`secret`: the SDK's debug log does not show it."""
    response = _request(cloud, service, "post", path, json=body, **({"log": False} if secret else {}))
    return response.json() if response.content else {}


def put(cloud: Cloud, service: str, path: str, body: Json | None = None) -> Json:
    response = _request(cloud, service, "put", path, **({} if body is None else {"json": body}))
    return response.json() if response.content else {}


def deleted(cloud: Cloud, service: str, path: str, query: Json | None = None) -> None:
    """Also where it is gone already."""
    with cloud.calling(f"delete {path}"):
        response = cloud.service(service).delete(path, params=query or {})
        if response.status_code != 404:
            raise_from_response(response)


def gone(what: str, still_there: Callable[[], object], timeout_seconds: float = 120) -> None:
    """Wait until `still_there` says no. Raises Unreachable, so that the wait is taken up again, after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    pause_seconds = 0.1
    while still_there():
        if time.monotonic() > deadline:
            raise Unreachable(f"{what} was deleted and is still there after {timeout_seconds:.0f} s")
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, 5)


def _request(cloud: Cloud, service: str, method: str, path: str, **given: Any) -> requests.Response:
    with cloud.calling(f"{method} {path}"):
        response = getattr(cloud.service(service), method)(path, **given)
        raise_from_response(response)
        return response
