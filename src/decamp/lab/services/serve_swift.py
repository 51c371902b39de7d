"""Serve all of one Swift in this process: its proxy and its account, container and object servers: serve_swift.py FOLDER DEVICE

FOLDER holds swift.conf and the configuration of each server, with the address that it listens on. The rings, which say that everything
is on DEVICE, are written there.
"""

import gc
import os
import sys
from pathlib import Path

import eventlet
import eventlet.wsgi
from swift.common import utils, wsgi

STORAGE = ("account", "container", "object")
PART_POWER = 4
"""Sixteen partitions: there is one device."""


def write_ring(folder, name, device, address, port):
    """The same at each start: there is nothing to distribute."""
    from swift.common.ring.builder import RingBuilder

    builder = RingBuilder(PART_POWER, 1, 0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": address, "port": port, "device": device})
    builder.rebalance(seed=name)
    builder.get_ring().save(str(Path(folder, f"{name}.ring.gz")))


def main():
    folder, device = sys.argv[1:]
    os.environ["TZ"] = "UTC+0"
    utils.eventlet_monkey_patch()
    # before anything reads the hash suffix and the storage policies
    utils.set_swift_dir(folder)
    servers = []
    # the proxy is the last: when it answers, those that it asks do
    for name in (*STORAGE, "proxy"):
        path = str(Path(folder, f"{name}-server.conf"))
        settings, _, log_name = wsgi._initrp(path, f"{name}-server")
        address, port = settings["bind_ip"], int(settings["bind_port"])
        if name in STORAGE:
            write_ring(folder, name, device, address, port)
        # as swift.common.wsgi.run_server does, which is for one server a process: it changes the event loop
        application = wsgi.loadapp(path, global_conf={"log_name": log_name})
        options = {"protocol": wsgi.SwiftHttpProtocol, "socket_timeout": 60, "capitalize_response_headers": False}
        listening = eventlet.listen((address, port), backlog=128)
        servers.append(eventlet.spawn(eventlet.wsgi.server, listening, application, utils.NullLogger(), **options))
    # what requests leave behind holds their bytes: now that all is imported, it is collected as usual again
    gc.freeze()
    gc.set_threshold(700, 10, 10)
    for server in servers:
        server.wait()


main()
