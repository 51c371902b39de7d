"""An object store (Swift) as it is spoken to: containers and their objects, listed page after page. Names are carried as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import requests
from keystoneauth1.adapter import Adapter
from openstack.exceptions import raise_from_response

from decamp.clouds import Cloud
from decamp.model.errors import Changed
from decamp.resources.calls import Json

SERVICE_TYPE = "object-store"

SECONDS = 300
"""How long a connection may carry nothing before it counts as broken."""

NEWEST = {"X-Newest": "true"}
"""Of all copies that the object store has of a listing, or of what it says of a thing."""

DOTS = frozenset({".", ".."})
"""What HTTP clients take out of a path (RFC 3986, 5.2.4)."""


def unspeakable(name: str) -> bool:
    """Whether no client can ask for a container or an object of this name: it would ask for what is above it."""
    return name in DOTS


def path_of(container: str, name: str | None = None) -> str:
    """Slashes of an object's name are left alone, but where clients would take parts of it for ways up."""
    if name is None:
        return f"/{quote(container, safe='')}"
    return f"/{quote(container, safe='')}/{quote(name, safe='' if DOTS.intersection(name.split('/')) else '/')}"


def head(cloud: Cloud, container: str, name: str | None = None, query: Mapping[str, str] | None = None) -> Mapping[str, str] | None:
    """The headers; null where it is not there."""
    with cloud.calling(f"look at {path_of(container, name)}"):
        response = asked(cloud, "HEAD", path_of(container, name), params=query or {}, headers=NEWEST)
        if response.status_code == 404:
            return None
        raise_from_response(response)
        return response.headers


def put_container(cloud: Cloud, container: str, headers: Mapping[str, str]) -> None:
    """Also where it is there already; then the headers are set."""
    _said(cloud, "PUT", container, headers)


def post_container(cloud: Cloud, container: str, headers: Mapping[str, str]) -> None:
    """Sets these headers; an empty one is taken away."""
    _said(cloud, "POST", container, headers)


def delete(cloud: Cloud, container: str, name: str | None = None) -> None:
    """Also where it is gone already. Of a large object the manifest alone. Raises Changed for a container that is not empty."""
    with cloud.calling(f"delete {path_of(container, name)}"):
        response = asked(cloud, "DELETE", path_of(container, name))
        if response.status_code == 409 and name is None:
            raise Changed(f"{cloud.name}: container {container} has objects again: it is not deleted")
        if response.status_code != 404:
            raise_from_response(response)


def containers(cloud: Cloud) -> Iterator[str]:
    """Names, of the account of the acting project."""
    return (one["name"] for one in _pages(cloud, "/"))


def objects(cloud: Cloud, container: str) -> Iterator[Json]:
    """In the order of their names, byte by byte. Raises Changed where the container is gone."""
    return _pages(cloud, path_of(container))


def policies(cloud: Cloud) -> tuple[Json, ...]:
    """The storage policies that may be asked for; none where the object store tells nothing of itself (GET /info)."""
    with cloud.calling("read what the object store can do"):
        where = str(cloud.service("object_store").get_endpoint()).partition("/v1")[0].rstrip("/")
        response = asked(cloud, "GET", f"{where}/info", authenticated=False)
        told: Any = response.json() if response.status_code == 200 else {}
    return tuple(told.get("swift", {}).get("policies", ()))


def asked(cloud: Cloud, method: str, path: str, **given: Any) -> requests.Response:
    """The answer, whatever it says. Past the SDK's own client, which takes a container called `v` for a version of the API."""
    return Adapter.request(cloud.service("object_store"), path, method, raise_exc=False, **{"timeout": SECONDS, **given})


def _said(cloud: Cloud, method: str, container: str, headers: Mapping[str, str]) -> None:
    with cloud.calling(f"{method} {path_of(container)}"):
        raise_from_response(asked(cloud, method, path_of(container), headers=dict(headers)))


def _pages(cloud: Cloud, path: str) -> Iterator[Json]:
    """As many at a time as the object store gives of itself (10,000 by default); an empty page is the end."""
    marker = ""
    while True:
        with cloud.calling(f"list {path}"):
            query = {"format": "json", **({"marker": marker} if marker else {})}
            response = asked(cloud, "GET", path, params=query, headers=NEWEST)
            raise_from_response(response)
            page: list[Json] = response.json() if response.status_code != 204 else []
        if not page:
            return
        yield from page
        marker = page[-1]["name"]
