"""The proxy that makes bad weather: what clients see of it, and what the service behind it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from decamp.lab.weather import Proxy, Weather, write_clouds


class Service(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        answer = json.dumps({"path": self.path, "host": self.headers["Host"], "body": body.decode(), "token": self.headers["X-Auth-Token"]})
        self.send_response(202)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-Openstack-Request-Id", "req-1")
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    Service.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(proxy: Proxy) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=10)
    connection.request("POST", "/v2.1/servers?limit=1", body="{}", headers={"X-Auth-Token": "t"})
    response = connection.getresponse()
    response.read_all = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


def test_under_a_clear_sky_the_service_answers_as_if_it_were_the_proxy(service: str) -> None:
    with Proxy(service) as proxy:
        response = ask(proxy)
        told = json.loads(response.read_all)  # type: ignore[attr-defined]
    assert (response.status, response.headers["X-Openstack-Request-Id"]) == (202, "req-1")
    assert told == {"path": "/v2.1/servers?limit=1", "host": urlsplit(proxy.url).netloc, "body": "{}", "token": "t"}


@pytest.mark.parametrize(("weather", "status"), [(Weather.UNAVAILABLE, 503), (Weather.BUSY, 429), (Weather.EXPIRED, 401)])
def test_a_proxy_that_answers_itself_hands_nothing_on_until_the_weather_is_over(service: str, weather: Weather, status: int) -> None:
    with Proxy(service) as proxy:
        with proxy.during(weather):
            response = ask(proxy)
        assert response.status == status
        assert (response.headers["Retry-After"] is not None) == (weather is Weather.BUSY)
        assert Service.asked == []
        assert ask(proxy).status == 202
    assert proxy.seen == {weather: 1, Weather.CLEAR: 1}


@pytest.mark.parametrize(("weather", "reached"), [(Weather.CUT, 1), (Weather.UNREACHED, 0)])
def test_a_connection_that_is_cut_tells_the_client_nothing_of_what_the_service_did(service: str, weather: Weather, reached: int) -> None:
    with Proxy(service) as proxy, proxy.during(weather), pytest.raises((http.client.BadStatusLine, ConnectionError)):
        ask(proxy)
    assert len(Service.asked) == reached


def test_a_slow_service_answers_all_the_same(service: str) -> None:
    with Proxy(service, late_seconds=0.3) as proxy, proxy.during(Weather.SLOW):
        begun = time.monotonic()
        assert ask(proxy).status == 202
    assert time.monotonic() - begun > 0.3


def test_a_copy_of_clouds_yaml_leads_one_cloud_through_proxies_and_stays_private(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"old": {"region_name": "A"}, "new": {"region_name": "B"}}}))
    write_clouds(tmp_path / "clouds.yaml", tmp_path / "stormy.yaml", "old", {"compute": "http://127.0.0.1:1/v2.1"})
    read = yaml.safe_load((tmp_path / "stormy.yaml").read_text())["clouds"]
    assert read == {"old": {"region_name": "A", "compute_endpoint_override": "http://127.0.0.1:1/v2.1"}, "new": {"region_name": "B"}}
    assert (tmp_path / "stormy.yaml").stat().st_mode & 0o777 == 0o600
