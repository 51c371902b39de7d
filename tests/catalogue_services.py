"""One small HTTP server that answers as the API references of Swift, Octavia, Designate and Barbican say, and a Keystone before it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openstack.connection import Connection

from decamp.clouds import Cloud

PROJECT, OTHER = "0" * 32, "1" * 32

CONTAINERS = [
    {"name": "backups", "count": 3, "bytes": 4096, "last_modified": "2026-11-20T08:00:00.000000"},
    {"name": "photos", "count": 0, "bytes": 0, "last_modified": "2026-11-21T08:00:00.000000"},
    {"name": "v", "count": 0, "bytes": 0, "last_modified": "2026-11-21T08:00:00.000000"},
]
OBJECTS = [
    {"name": name, "bytes": size, "hash": "d" * 32, "content_type": "text/plain", "last_modified": "2026-11-20T08:00:00.000000"}
    for name, size in (("a", 96), ("b", 4000), ("c", 0))
]
CONTAINER_HEADERS = {
    "X-Container-Object-Count": "3",
    "X-Container-Bytes-Used": "4096",
    "X-Container-Read": f".r:*,{PROJECT}:*,{OTHER}:*,*:{'9' * 32}",
    "X-Container-Meta-Colour": "blue",
    "X-Container-Meta-Temp-URL-Key": "hush",
    "X-Storage-Policy": "gold",
}
POLICIES = {"swift": {"policies": [{"name": "silver", "default": True}, {"name": "gold"}]}}
BALANCERS = [
    {
        "id": f"b000000{number}-0000-4000-8000-000000000000",
        "name": f"front-{number}",
        "project_id": project,
        "vip_address": f"10.0.0.{number}",
        "provisioning_status": "ACTIVE",
        "operating_status": "ONLINE",
        "listeners": [{"id": "a0000000-0000-4000-8000-000000000000"}],
        "pools": [],
    }
    for number, project in ((1, PROJECT), (2, OTHER))
]
ZONES = [
    {
        "id": f"2000000{number}-0000-4000-8000-000000000000",
        "name": f"shop-{number}.example.",
        "project_id": project,
        "type": "PRIMARY",
        "email": "hostmaster@example.org",
        "ttl": 3600,
        "status": "ACTIVE",
    }
    for number, project in ((1, PROJECT), (2, PROJECT), (3, OTHER))
]
SECRETS = [{"name": "tls", "secret_type": "certificate", "status": "ACTIVE", "id": "5ec00000-0000-4000-8000-000000000000"}]


def _page(things: list[dict[str, Any]], query: dict[str, str], key: str) -> list[dict[str, Any]]:
    """Those after the marker, at most two, whatever was asked for: so that pages are turned."""
    names = [one[key] for one in things]
    first = names.index(query["marker"]) + 1 if query.get("marker") else 0
    return things[first : first + 2]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, self.server.token(), {"X-Subject-Token": "token"})

    def do_HEAD(self) -> None:
        there = urlsplit(self.path).path.removeprefix(f"/swift/v1/AUTH_{PROJECT}/") in {one["name"] for one in CONTAINERS}
        self._answer(204 if there else 404, None, CONTAINER_HEADERS)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for path, answer in self.server.answers.items():
            if parts.path.rstrip("/") == path:
                body = answer(query, dict(self.headers))
                return self._answer(200 if body is not None else 404, body)
        return self._answer(404, {"error": parts.path})

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = b"" if self.command == "HEAD" else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


Answer = Callable[[dict[str, str], dict[str, str]], Any]


class _Server(ThreadingHTTPServer):
    def __init__(self, role: str, services: frozenset[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.role, self.services = role, services
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers = {**self._keystone(), **self._documented()}

    def token(self) -> dict[str, Any]:
        paths = {
            "identity": "/v3",
            "object-store": f"/swift/v1/AUTH_{PROJECT}",
            "load-balancer": "/lb",
            "dns": "/dns",
            "key-manager": "/keys",
        }
        catalogue = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [{"id": kind, "interface": "public", "region": "R", "region_id": "R", "url": self.url + path}],
            }
            for kind, path in paths.items()
            if kind == "identity" or kind in self.services
        ]
        domain = {"id": "default", "name": "Default"}
        return {
            "token": {
                "methods": ["password"],
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "user": {"id": "u" * 32, "name": "ann", "domain": domain},
                "project": {"id": PROJECT, "name": "alpha", "domain": domain},
                "roles": [{"id": "r", "name": self.role}],
                "catalog": catalogue,
            }
        }

    def _keystone(self) -> dict[str, Answer]:
        v3 = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{self.url}/v3/"}]}
        return {"": lambda *_: {"versions": {"values": [v3]}}, "/v3": lambda *_: {"version": v3}}

    def _documented(self) -> dict[str, Answer]:
        def version(path: str, number: str) -> dict[str, Any]:
            return {"id": number, "status": "CURRENT", "links": [{"rel": "self", "href": f"{self.url}{path}"}]}

        def balancers(query: dict[str, str], headers: dict[str, str]) -> Any:
            wanted = [one for one in BALANCERS if query.get("project_id", one["project_id"]) == one["project_id"]]
            page = _page(wanted, query, "id")
            more = bool(page) and page[-1] is not wanted[-1]
            links = [{"rel": "next", "href": f"{self.url}/lb/v2.0/lbaas/loadbalancers?marker={page[-1]['id']}"}] if more else []
            return {"loadbalancers": page, "loadbalancers_links": links}

        def zones(query: dict[str, str], headers: dict[str, str]) -> Any:
            everybodys = headers.get("X-Auth-All-Projects") == "true"
            wanted = [one for one in ZONES if everybodys or one["project_id"] == PROJECT]
            page = _page(wanted, query, "id")
            more = bool(page) and page[-1] is not wanted[-1]
            return {"zones": page, "links": {"self": "", **({"next": f"{self.url}/dns/v2/zones?marker={page[-1]['id']}"} if more else {})}}

        def secrets(query: dict[str, str], headers: dict[str, str]) -> Any:
            shown = [{**one, "secret_ref": f"{self.url}/keys/v1/secrets/{one['id']}"} for one in SECRETS[int(query["offset"]) :]]
            return {"secrets": shown, "total": len(SECRETS)}

        return {
            "/swift/info": lambda *_: POLICIES,
            f"/swift/v1/AUTH_{PROJECT}": lambda query, _: _page(CONTAINERS, query, "name"),
            f"/swift/v1/AUTH_{PROJECT}/backups": lambda query, _: _page(OBJECTS, query, "name"),
            f"/swift/v1/AUTH_{PROJECT}/photos": lambda *_: [],
            f"/swift/v1/AUTH_{PROJECT}/v": lambda *_: [],
            "/lb": lambda *_: {"versions": [version("/lb/v2.0", "v2.0")]},
            "/lb/v2.0": lambda *_: {"versions": [version("/lb/v2.0", "v2.0")]},
            "/lb/v2.0/lbaas/loadbalancers": balancers,
            "/dns": lambda *_: {"versions": {"values": [version("/dns/v2", "v2")]}},
            "/dns/v2": lambda *_: {"version": version("/dns/v2", "v2")},
            "/dns/v2/zones": zones,
            "/keys": lambda *_: {"versions": {"values": [version("/keys/v1/", "v1")]}},
            "/keys/v1": lambda *_: {"version": version("/keys/v1/", "v1")},
            "/keys/v1/secrets": secrets,
        }


EVERY_SERVICE = frozenset({"object-store", "load-balancer", "dns", "key-manager"})


@contextmanager
def a_cloud(*, role: str = "member", services: frozenset[str] = EVERY_SERVICE) -> Iterator[Cloud]:
    """With these services in its catalogue, and credentials of that role in PROJECT."""
    server = _Server(role, services)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        auth = {"auth_url": f"{server.url}/v3", "username": "ann", "password": "x", "project_id": PROJECT, "user_domain_id": "default"}
        yield Cloud("old", lambda: Connection(auth=auth, region_name="R", interface="public"))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
