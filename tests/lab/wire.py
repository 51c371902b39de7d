"""A wire between Decamp and a service, that a test can cut after so many bytes. It is TCP on loopback, and knows one header of HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from decamp.lab.layout import LOOPBACK

PIECE_BYTES = 64 * 1024
UPLOAD_BYTES = 1024 * 1024
RANGE, NO_RANGE = b"\r\nRange:", b"\r\nX-Was:"


class Wire:
    """In front of one API, while it is entered."""

    def __init__(self, target: str, *, cut_answers: Iterable[int] = (), cut_requests: Iterable[int] = (), ranges: bool = True) -> None:
        """Connections that bring more than the next figure of `cut_answers`, or take more than that of `cut_requests`, are cut there; when
        the figures are used up, no more. Without `ranges` the service never hears which bytes it was asked for."""
        self.answered_bytes = self.requested_bytes = 0
        self.uploads = 0
        """Connections that have taken more than UPLOAD_BYTES."""
        self._target = (urlsplit(target).hostname or "", urlsplit(target).port or 80)
        self._cut_answers, self._cut_requests = list(cut_answers), list(cut_requests)
        self._ranges = ranges
        self._ground = threading.Lock()
        self._listening = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            asking = threading.Thread(target=self._carry, args=(near, far, True), daemon=True)
            asking.start()
            self._carry(far, near, False)
            asking.join()

    def _carry(self, source: socket.socket, sink: socket.socket, asking: bool) -> None:
        carried = 0
        with suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                carried += len(piece)
                if self._is_cut(carried, len(piece), asking):
                    break
                sink.sendall(piece.replace(RANGE, NO_RANGE) if asking and not self._ranges else piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, carried: int, more: int, asking: bool) -> bool:
        with self._ground:
            cuts = self._cut_requests if asking else self._cut_answers
            if cuts and carried > cuts[0]:
                cuts.pop(0)
                return True
            if asking:
                self.requested_bytes += more
                self.uploads += carried - more <= UPLOAD_BYTES < carried
            else:
                self.answered_bytes += more
            return False
