"""Serve one WSGI application with cheroot on loopback: serve_wsgi.py MODULE:NAME PORT [--factory] [-- ARGUMENTS FOR THE APPLICATION]"""

import importlib
import sys

from cheroot import wsgi

THREADS = 10


class Body:
    """A request's body that the application may close without closing the connection, as Glance does after an upload."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __iter__(self):
        return iter(self._stream)

    def close(self):
        pass


def with_own_body(application):
    def serve(environ, start_response):
        environ["wsgi.input"] = Body(environ["wsgi.input"])
        return application(environ, start_response)

    return serve


def main():
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    (target, port, *flags), rest = sys.argv[1:split], sys.argv[split + 1 :]
    module, _, name = target.partition(":")
    # oslo.config reads the command line of the process
    sys.argv = [module, *rest]
    application = getattr(importlib.import_module(module), name)
    if "--factory" in flags:
        application = application()
    server = wsgi.Server(
        ("127.0.0.1", int(port)), with_own_body(application), numthreads=THREADS, max=30, request_queue_size=64, timeout=60
    )
    server.safe_start()


main()
