"""One session for several threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from keystoneauth1.exceptions import Unauthorized

from decamp.clouds import connect

THREADS = 4


class Keystone(BaseHTTPRequestHandler):
    """Its first token is not accepted any more, of which all threads hear at once; to make another takes it a while."""

    tokens = 0
    all_there = threading.Barrier(THREADS)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).tokens += 1
        number = self.tokens
        time.sleep(0.5)
        token = {"methods": ["password"], "user": {"id": "u", "name": "u"}, "expires_at": "2099-01-01T00:00:00.000000Z", "catalog": []}
        self._answer(201, {"token": token}, X_Subject_Token=f"token-{number}")

    def do_GET(self) -> None:
        if self.headers["X-Auth-Token"] == "token-1":
            self.all_there.wait(timeout=30)
            self._answer(401, {})
        else:
            self._answer(200, {})

    def _answer(self, status: int, body: object, **headers: str) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def keystone() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keystone)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v3"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_that_expires_for_several_threads_at_once_fails_none_of_them(keystone: str, tmp_path: Path) -> None:
    auth = {"auth_url": keystone, "username": "u", "password": "p", "project_id": "p", "user_domain_id": "default"}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"old": {"auth": auth}}}))
    cloud = connect("old", tmp_path / "clouds.yaml")
    session = cloud.connection.session
    session.get_token()

    def ask(_number: int) -> int:
        try:
            return session.get(f"{keystone}/things", authenticated=True).status_code
        except Unauthorized as error:
            return error.http_status

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(ask, range(THREADS))) == [200] * THREADS
