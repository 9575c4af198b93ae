"""The threads that answer requests: as many as there are requests, and an end to clients that take too long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING

from cheroot.workers.threadpool import ThreadPool

if TYPE_CHECKING:
    from cheroot.server import HTTPConnection, HTTPServer

_FEWEST = 16
_MOST = 1024
"""Each request has a thread while it lasts, also one whose client has stalled; an idle one costs 20 kB."""
_SPARE = 8
"""This many are kept free: one that is about to begin still counts as idle."""


class GrowingThreadPool(ThreadPool):
    """cheroot's threads, more of them when all are busy."""

    def __init__(self, server: "HTTPServer") -> None:
        super().__init__(server, min=_FEWEST, max=_MOST)

    def put(self, obj: "HTTPConnection") -> None:
        """Have a connection's next request answered."""
        if self.idle - self._queue.qsize() < _SPARE:  # type: ignore[attr-defined]
            self.grow(_SPARE)
        super().put(obj)

    @staticmethod
    def _force_close(conn: "HTTPConnection | None") -> None:
        """End a connection that is busy still when the server stops.

        cheroot ends only its reading, and would wait for a client that does not read its answer.
        """
        if conn:
            with suppress(OSError):
                conn.socket.shutdown(SHUT_RDWR)


class Deadlines:
    """Sockets that are closed if what is done with them takes too long.

    A time-out of the socket does not do that: it begins anew with every byte.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[socket, float] = {}

    @contextmanager
    def set(self, connection: socket, seconds: float) -> Iterator[None]:
        """Give a socket so much time for what the block does."""
        with self._lock:
            self._ends[connection] = time.monotonic() + seconds
        try:
            yield
        finally:
            with self._lock:
                del self._ends[connection]

    def enforce(self) -> None:
        """Shut down the sockets whose time is over; whoever reads from one finds its end."""
        now = time.monotonic()
        with self._lock:
            for connection, end in self._ends.items():
                if end < now:
                    with suppress(OSError):
                        connection.shutdown(SHUT_RDWR)
