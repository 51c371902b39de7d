"""A worker process: `working.py URL MODULE:FUNCTION ARGUMENT`, until SIGTERM."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path

from decamp.model.errors import Error
from decamp.run.engine import Engine


def main(url: str, performers: str, argument: str) -> int:
    module, _, function = performers.partition(":")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with Engine(url, getattr(importlib.import_module(module), function)(Path(argument))) as engine:
            print("ready", flush=True)
            engine.serve(stop)
    except Error as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 9
    if engine.abandoned:
        os._exit(130)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
