"""JSON over the SDK's adapters: as the API references write it, with paging, with errors translated, one client for all of hosts/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from openstack.exceptions import raise_from_response

from decamp.clouds import Cloud

Item = TypeVar("Item")
Result = TypeVar("Result")

PAGE = 1000
"""The services' own limit by default (Nova's api.max_limit, Ironic's api.max_limit); a service that gives less is asked again."""

CLIENTS = 8
"""Requests that one reader has under way at a time."""


def call(cloud: Cloud, service: str, method: str, path: str, *, missing: bool = False, **options: Any) -> Any:
    """The answer's JSON; null where the answer has none, and where `missing` allows a 404. `service` as in `connection.<service>`.

    Raises Changed for a 404, Refused for a 403, Unreachable where the same call may succeed later, Failed otherwise.
    """
    with cloud.calling(f"{method} {service} {path}"):
        response = cloud.service(service).request(path, method, **options)
        if missing and response.status_code == 404:
            return None
        raise_from_response(response)
        # Heat answers a PATCH with 202 and a page of HTML
        return response.json() if response.content and "json" in response.headers.get("content-type", "") else None


def get(cloud: Cloud, service: str, path: str, **params: Any) -> Any:
    return call(cloud, service, "GET", path, params=params)


def look(cloud: Cloud, service: str, path: str, **params: Any) -> Any:
    """Like `get`, but null where there is no such thing."""
    return call(cloud, service, "GET", path, params=params, missing=True)


def pages(
    cloud: Cloud, service: str, path: str, key: str, *, marker: str = "id", microversion: str | None = None, **params: Any
) -> Iterator[dict[str, Any]]:
    """Every item of a listing under `key`, asked for page by page with limit and marker. `microversion` null: the cloud's."""
    options: dict[str, Any] = {"microversion": microversion} if microversion else {}
    last = None
    while True:
        here = {**params, "limit": PAGE} | ({"marker": last} if last else {})
        answer = call(cloud, service, "GET", path, params=here, **options)
        yield from answer[key]
        if not answer[key] or not _more(answer, key):
            return
        last = answer[key][-1][marker]


def together(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The function of each item, several at a time, in the order of the items. The first error is raised."""
    with ThreadPoolExecutor(CLIENTS, thread_name_prefix="read") as pool:
        return list(pool.map(function, items))


def _more(answer: dict[str, Any], key: str) -> bool:
    """Each service says in its own way that a page is not the last: `<key>_links` (Nova, Neutron) or `next` (Ironic, Glance)."""
    return bool(answer.get("next")) or any(link.get("rel") == "next" for link in answer.get(f"{key}_links", ()))
