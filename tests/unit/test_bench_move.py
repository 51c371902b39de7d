"""How bench.move counts and compares."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from bench.move import losses, measuring

from decamp.lab.layout import CLOUDS, CloudName, Lab, Passwords, Settings

BODY = bytes(300_000)
PASSWORDS = Passwords(admin="", service="", database="", messaging="", metadata="", heat_domain="", encryption="")


class Keystone(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Keystone)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def lab_with(cloud: CloudName, port: int, folder: Path) -> Lab:
    """Whose Keystone of that cloud listens there."""
    return Lab(folder=folder, settings=Settings(port_base=port - CLOUDS[cloud].first_port), passwords=PASSWORDS)


CLIENT = """
import sys
import requests
url = f"http://127.0.0.1:{sys.argv[1]}/"
body = requests.get(url).content
requests.put(url, data=body)
sys.exit(3)
"""


def test_calls_and_bytes_of_a_program_are_counted_by_cloud(tmp_path: Path, port: int):
    command = [sys.executable, "-c", CLIENT, str(port)]
    old = measuring.run(lab_with(CloudName.OLD, port, tmp_path), command, tmp_path, tmp_path / "log")
    new = measuring.run(lab_with(CloudName.NEW, port, tmp_path), command, tmp_path, tmp_path / "log")
    assert (tmp_path / "log").read_text() == ""
    assert (old.status, new.status) == (3, 3)
    assert (old.calls, new.calls) == (2, 2)
    assert len(BODY) < old.read_bytes < len(BODY) + 1000
    assert len(BODY) < new.written_bytes < len(BODY) + 1000
    assert old.written_bytes == new.read_bytes == 0
    assert old.peak_mib > 10


def test_what_a_program_starts_and_does_not_wait_for_is_counted_with_it(tmp_path: Path, port: int):
    child = "import time; print(flush=True); time.sleep(1)" + CLIENT
    parent = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {child!r}, "{port}"], stdout=subprocess.PIPE).stdout.read(1)
"""
    lab = lab_with(CloudName.OLD, port, tmp_path)
    alone = measuring.run(lab, [sys.executable, "-c", CLIENT, str(port)], tmp_path, tmp_path / "log")
    both = measuring.run(lab, [sys.executable, "-c", parent], tmp_path, tmp_path / "log")
    assert both.calls == alone.calls
    assert both.peak_mib > alone.peak_mib + 5
    assert both.cpu_seconds > alone.cpu_seconds / 2


def test_a_program_that_takes_too_long_is_interrupted_and_counted_up_to_there(tmp_path: Path, port: int):
    slow = CLIENT.replace("sys.exit(3)", "import time; time.sleep(60)")
    taken = measuring.run(
        lab_with(CloudName.OLD, port, tmp_path), [sys.executable, "-c", slow, str(port)], tmp_path, tmp_path / "log", seconds=8
    )
    assert taken.calls == 2
    assert taken.wall_seconds < 60
    assert taken.status != 0


def test_the_largest_program_counts_for_memory_and_all_count_for_time():
    one = measuring.Taken(wall_seconds=1, peak_mib=100, calls=5)
    both = one + measuring.Taken(wall_seconds=2, peak_mib=50, calls=7)
    assert (both.wall_seconds, both.peak_mib, both.calls) == (3, 100, 12)


def test_what_is_missing_and_what_differs_is_told_by_kind_and_attribute():
    before = {
        "server": [{"id": "1", "name": "web", "tags": ["gold"], "locked": True}, {"id": "2", "name": "db", "tags": [], "locked": False}],
        "security_group_rule": [{"port_range_min": 80}, {"port_range_min": 443}],
        "port": [{"name": "", "mac_address": "m", "tags": ["a"]}],
        "user": [{"name": "ada"}],
    }
    after = {
        "server": [{"id": "9", "name": "web", "tags": [], "locked": True, "status": "ACTIVE"}],
        "security_group_rule": [{"port_range_min": 80}],
        "port": [{"name": "", "mac_address": "m", "tags": []}],
        "user": [],
    }
    assert losses.losses(before, after) == {"whole server": 1, "server: tags": 1, "whole security group rule": 1, "port: tags": 1}
    assert losses.losses(before, before) == {}
    assert losses.servers(before, after) == 1
