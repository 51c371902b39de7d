"""`decamp worker`: one more process that works on runs."""

from __future__ import annotations

import argparse
import signal
import threading

from decamp import app
from decamp.cli.base import Command


class Worker(Command):
    """Work on every run in the state database, and take over the work of workers that died, until Ctrl-C"""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        self.err.print("Working. Ctrl-C ends it; what it has in hand is left for others, or for `decamp resume`.")
        app.work(self.place, stop)
