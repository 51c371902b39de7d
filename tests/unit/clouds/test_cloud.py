"""One session for several threads, which does not wait without end."""

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

from decamp.clouds import Cloud, connect
from decamp.clouds.cloud import ANSWER_SECONDS
from decamp.model.errors import Unreachable

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
        if self.path.endswith("/silence"):
            self.server.silence.wait(timeout=30)  # type: ignore[attr-defined]
        elif self.headers["X-Auth-Token"] == "token-1":
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
    server.silence = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v3"
    server.silence.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def cloud_of(keystone: str, folder: Path, **options: object) -> Cloud:
    auth = {"auth_url": keystone, "username": "u", "password": "p", "project_id": "p", "user_domain_id": "default"}
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"old": {"auth": auth, **options}}}))
    return connect("old", folder / "clouds.yaml")


def test_a_service_that_never_answers_is_unreachable_in_the_end(keystone: str, tmp_path: Path) -> None:
    assert cloud_of(keystone, tmp_path).connection.session.timeout == ANSWER_SECONDS
    cloud = cloud_of(keystone, tmp_path, api_timeout=1)
    with pytest.raises(Unreachable), cloud.calling("listen"):
        cloud.connection.session.get(f"{keystone}/silence", authenticated=False)


def test_a_token_that_expires_for_several_threads_at_once_fails_none_of_them(keystone: str, tmp_path: Path) -> None:
    cloud = cloud_of(keystone, tmp_path)
    session = cloud.connection.session
    session.get_token()

    def ask(_number: int) -> int:
        try:
            return session.get(f"{keystone}/things", authenticated=True).status_code
        except Unauthorized as error:
            return error.http_status

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(ask, range(THREADS))) == [200] * THREADS
