"""The threads that answer requests: as many as there are requests, and an end to clients that keep others waiting."""

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
_SHARE = _MOST // 2
"""Threads that the clients of one address may have while they stall."""
_SHORT_OF_THREADS = 10
"""Seconds that a client may stall while others wait for a thread."""
_OVER_SHARE = 1
"""The same for an address that has more than its share."""


class GrowingThreadPool(ThreadPool):
    """cheroot's threads, more of them when all are busy."""

    def __init__(self, server: "HTTPServer") -> None:
        super().__init__(server, min=_FEWEST, max=_MOST)
        self._growing = threading.Lock()
        self._stopped = False

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        waiting: int = self._queue.qsize() - self.idle  # type: ignore[attr-defined]
        return max(0, waiting)

    def put(self, obj: "HTTPConnection") -> None:
        """Have a connection's next request answered."""
        with self._growing:
            if self._stopped:
                obj.close()
                return
            if self.idle - self._queue.qsize() < _SPARE:  # type: ignore[attr-defined]
                self.grow(_SPARE)
            super().put(obj)

    def stop(self, timeout: int = 5) -> None:
        """End the threads; requests that are being answered get this many seconds."""
        # The loop that accepts connections may still run. cheroot would wait for ever for threads that are new now.
        with self._growing:
            self._stopped = True
        super().stop(timeout)

    @staticmethod
    def _force_close(conn: "HTTPConnection | None") -> None:
        """End a connection that is busy still when the server stops.

        cheroot ends only its reading, and would wait for a client that does not read its answer.
        """
        if conn:
            with suppress(OSError):
                conn.socket.shutdown(SHUT_RDWR)


class _Busy:
    """A connection with a request that is being read or answered."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.moved = time.monotonic()
        self.end = float("inf")
        self.patience = float("inf")
        self.grace = 0.0


class Watch:
    """The connections that are busy: those that take too long are closed.

    A time-out of the socket does not do that: it begins anew with every byte.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: dict[socket, _Busy] = {}

    @contextmanager
    def request(self, connection: socket, address: str) -> Iterator[None]:
        """Watch a connection while the block lasts."""
        with self._lock:
            self._busy[connection] = _Busy(address)
        try:
            yield
        finally:
            with self._lock:
                del self._busy[connection]

    @contextmanager
    def limit(self, connection: socket, seconds: float) -> Iterator[None]:
        """Give a connection so much time for what the block does."""
        busy = self._busy[connection]
        busy.end = time.monotonic() + seconds
        try:
            yield
        finally:
            busy.end = float("inf")

    def expect(self, connection: socket, *, patience: float, grace: float = 0) -> None:
        """Say how long a connection may stand still from now on.

        grace: seconds of it for which nobody else's need counts.
        """
        busy = self._busy[connection]
        busy.moved, busy.patience, busy.grace = time.monotonic(), patience, grace

    def moved(self, connection: socket) -> None:
        """Note that something came from a connection's client, or went to it."""
        self._busy[connection].moved = time.monotonic()

    def enforce(self, waiting: int) -> None:
        """Close what takes too long; whoever reads from such a connection, or writes to it, finds its end.

        waiting: how many requests wait for a thread: as many that have stalled make room for them, those first whose
            address has more than its share of the threads.
        """
        now = time.monotonic()
        with self._lock:
            counts: dict[str, int] = {}
            for busy in self._busy.values():
                counts[busy.address] = counts.get(busy.address, 0) + 1
            stalled = []
            for connection, busy in self._busy.items():
                still = now - busy.moved
                greedy = counts[busy.address] > _SHARE
                if busy.end < now or busy.patience < still:
                    _shut_down(connection)
                elif still > (_OVER_SHARE if greedy else _SHORT_OF_THREADS + busy.grace):
                    stalled.append((greedy, still, connection))
            stalled.sort(key=lambda one: one[:2], reverse=True)
            for _, _, connection in stalled[:waiting]:
                _shut_down(connection)


def _shut_down(connection: socket) -> None:
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)
