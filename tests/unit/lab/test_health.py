"""What counts as an answer."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from decamp.lab import health


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "answers"), [(200, True), (300, True), (401, True), (500, False), (503, False)])
def test_an_api_answers_unless_it_reports_a_fault_of_its_own(server: http.server.HTTPServer, status: int, answers: bool) -> None:
    server.status = status  # type: ignore[attr-defined]

    assert health.api_answers(server.server_port) is answers


def test_a_closed_port_neither_is_open_nor_answers(server: http.server.HTTPServer) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as gone:
        port = gone.server_port

    assert not health.port_is_open(port)
    assert not health.api_answers(port)
    assert health.port_is_open(server.server_port)
