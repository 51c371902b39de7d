"""Bad weather between Decamp and a service's API: a proxy on loopback that answers for it, cuts connections, or takes its time."""

from __future__ import annotations

import enum
import http.client
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from decamp.lab.layout import LOOPBACK, write_private

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"})
"""Headers that a proxy does not hand on (RFC 9110, 7.6.1)."""
ANSWER_SECONDS = 120.0


class Weather(enum.StrEnum):
    """What the proxy makes of each request."""

    CLEAR = "clear"
    UNAVAILABLE = "unavailable"
    """503, as a load balancer answers whose servers are all down."""
    BUSY = "busy"
    """429 with Retry-After."""
    CUT = "cut"
    """The service gets the request, and the connection ends before its answer."""
    UNREACHED = "unreached"
    """The connection ends, and the service gets nothing."""
    SLOW = "slow"
    """The answer comes late."""
    EXPIRED = "expired"
    """401, as if the token had run out."""


ANSWERS: Mapping[Weather, tuple[int, str]] = {
    Weather.UNAVAILABLE: (503, "No server is available to handle this request."),
    Weather.BUSY: (429, "Too many requests."),
    Weather.EXPIRED: (401, "The request you have made requires authentication."),
}


class Proxy:
    """In front of one API, while it is entered. `weather` may be changed at any time; it is clear at first."""

    def __init__(self, target: str, *, retry_after_seconds: int = 2, late_seconds: float = 5.0) -> None:
        """`target` is the API's URL without a path, as `Lab.url` tells it."""
        self.weather = Weather.CLEAR
        self._next: deque[Weather] = deque()
        self._next_for: dict[str, Weather] = {}
        self.seen: Counter[Weather] = Counter()
        """How many requests met which weather."""
        self._retry_after_seconds = retry_after_seconds
        self._late_seconds = late_seconds
        proxy, (host, port) = self, (urlsplit(target).hostname or "", urlsplit(target).port or 80)

        class Handler(_Handler):
            def answer(self) -> None:
                proxy.handle(self, host, port)

        self._server = _Server((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def during(self, weather: Weather) -> Iterator[None]:
        """This weather for a while, and a clear sky afterwards."""
        self.weather = weather
        try:
            yield
        finally:
            self.weather = Weather.CLEAR

    def once(self, *weather: Weather) -> None:
        """The weather of the next requests, one each, before it is `weather` again."""
        self._next.extend(weather)

    def once_for(self, method: str, weather: Weather) -> None:
        """The weather of the next request of that method."""
        self._next_for[method] = weather

    def handle(self, request: _Handler, host: str, port: int) -> None:
        weather = self._next_for.pop(request.command, None) or (self._next.popleft() if self._next else self.weather)
        self.seen[weather] += 1
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if weather is Weather.UNREACHED:
            request.close_connection = True
            return
        if weather in ANSWERS:
            status, text = ANSWERS[weather]
            headers = {"Retry-After": str(self._retry_after_seconds)} if weather is Weather.BUSY else {}
            request.reply(status, {"Content-Type": "application/json", **headers}, json.dumps({"error": {"message": text}}).encode())
            return
        if weather is Weather.SLOW:
            time.sleep(self._late_seconds)
        status, headers, answer = _forwarded(request, body, host, port)
        if weather is Weather.CUT:
            request.close_connection = True
        else:
            request.reply(status, headers, answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client or a service that hung up: what they see of it is a cut connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        """`do_GET`, `do_POST` and so on: what http.server looks for."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody wants to read them."""


def _forwarded(request: _Handler, body: bytes, host: str, port: int) -> tuple[int, dict[str, str], bytes]:
    """With the proxy's own name as the Host, so that the links in the service's answers lead through the proxy too."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request(request.command, request.path, body or None, headers)
        response = connection.getresponse()
        answer = response.read()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        return response.status, kept, answer
    finally:
        connection.close()


def write_clouds(source: Path, target: Path, cloud: str, overrides: Mapping[str, str]) -> None:
    """A copy of clouds.yaml in which `cloud` is reached at other endpoints: service type with underscores -> URL."""
    whole: dict[str, Any] = yaml.safe_load(source.read_text())
    whole["clouds"][cloud] |= {f"{service}_endpoint_override": url for service, url in overrides.items()}
    write_private(target, yaml.safe_dump(whole, sort_keys=False))
