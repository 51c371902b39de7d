"""Counts the calls and the bytes of whatever Python program finds this folder on its PYTHONPATH, at its sockets, by port of the other end.

Written as JSON into a file of its own in the folder $BENCH_TRAFFIC when the process ends (it is empty until then), beside its processor
time and its peak of resident memory, which the kernel tells a parent only with the parent's own in it:
{"cpu_seconds": ..., "peak_kib": ..., "ports": {port: [calls, bytes received, bytes sent]}}.
"""

import atexit
import http.client
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

_counts: dict[int, list[int]] = {}
_lock = threading.Lock()
_connect, _request = socket.socket.connect, http.client.HTTPConnection.putrequest
_ports: dict[int, int] = {}
"""Port of the other end, by id of the socket: a closed one's is taken by the next connection."""


def _count(port: int | None, calls: int = 0, received: int = 0, sent: int = 0) -> None:
    if port is None:
        return
    with _lock:
        counted = _counts.setdefault(port, [0, 0, 0])
        for place, amount in enumerate((calls, received, sent)):
            counted[place] += amount


def _connecting(self, address):
    _ports[id(self)] = address[1] if isinstance(address, tuple) else None
    return _connect(self, address)


def _requesting(self, method, *rest, **options):
    _count(self.port, calls=1)
    return _request(self, method, *rest, **options)


def _counted(name, received):
    inherited = getattr(socket.socket, name)

    def method(self, data, *rest):
        done = inherited(self, data, *rest)
        if received:
            _count(_ports.get(id(self)), received=done if isinstance(done, int) else len(done))
        else:
            _count(_ports.get(id(self)), sent=memoryview(data).nbytes if done is None else done)
        return done

    setattr(socket.socket, name, method)


def _file() -> Path:
    return Path(os.environ["BENCH_TRAFFIC"]) / f"{os.getpid()}.json"


def _write() -> None:
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    told = {"cpu_seconds": time.process_time(), "peak_kib": int(peak.split()[1]), "ports": _counts}
    _file().write_text(json.dumps(told))


if "BENCH_TRAFFIC" in os.environ:
    socket.socket.connect = _connecting
    http.client.HTTPConnection.putrequest = _requesting
    for name in ("recv", "recv_into"):
        _counted(name, received=True)
    for name in ("send", "sendall"):
        _counted(name, received=False)
    _file().touch()
    atexit.register(_write)
    # who is started in the background by a shell is left to ignore it; an interrupt has to end it, and what it counted be written
    signal.signal(signal.SIGINT, signal.default_int_handler)
