"""The threads that answer requests: as many as there are requests, and an end to clients that keep others waiting.

Nor do clients that ask for nothing: some of their connections end where the process may not open more files.
"""

import errno
import logging
import os
import resource
import selectors
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING

from cheroot.connections import ConnectionManager
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
_FOR_CONNECTIONS = 3 / 4
"""The share of the files that a process may open: the rest is for what requests read and write."""
_ENDED_AT_ONCE = 1 / 4
"""The share of those that wait that make room for new ones."""
_WARNED_EVERY = 600
"""Seconds."""
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger(__name__)


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


class Connections(ConnectionManager):
    """cheroot's connections, which never take the last files that the process may open.

    cheroot would ask for a new one again and again without a pause, and end none of those that wait.
    """

    _is_full = False
    _quiet_until = 0.0

    # cheroot's types know neither the two methods, which its loop calls, nor the selector.
    def _from_server_socket(self, server_socket: socket) -> "HTTPConnection | None":
        """Return a new connection; None if there is none, or no room for it."""
        if _has_room(server_socket):
            try:
                return super()._from_server_socket(server_socket)  # type: ignore[misc, no-any-return]
            except OSError as error:
                # Requests may have opened what was left, or other programs what the machine has.
                if error.errno not in _OUT_OF_FILES:
                    raise
                self._warn(f"no connection can be taken: {error.strerror}. It is tried again all the time.")
        # Until room is made, new ones are left to the kernel. Not here: the loop may be about to read what would end.
        self._selector.unregister(server_socket.fileno())  # type: ignore[attr-defined]
        self._is_full = True
        return None

    def _expire(self, threshold: float) -> None:
        """End the connections that have waited for too long; if there is no room, some more. Called all the time."""
        super()._expire(threshold)  # type: ignore[misc]
        if not self._is_full:
            return
        self._is_full = False
        listening = self.server.socket
        if not _has_room(listening):
            self._make_room()
        self._selector.register(listening.fileno(), selectors.EVENT_READ, data=self.server)  # type: ignore[attr-defined]

    def _make_room(self) -> None:
        """End some of those that have waited longest."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._warn(
            f"of the {limit} files that may be open, clients that stay connected take too many: those that have waited "
            "longest are cut off for new ones. A higher `ulimit -Hn` lets more stay."
        )
        waiting = [conn for _, conn in self._selector.connections]  # type: ignore[attr-defined]
        waiting.sort(key=lambda conn: conn.last_used)
        for conn in waiting[: 1 + int(len(waiting) * _ENDED_AT_ONCE)]:
            self._selector.unregister(conn.socket.fileno())  # type: ignore[attr-defined]
            conn.close()

    def _warn(self, text: str) -> None:
        """Log a warning, if there was none for a while."""
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _WARNED_EVERY
            _log.warning("%s", text)


def _has_room(server_socket: socket) -> bool:
    """Return whether one more connection leaves enough files to requests."""
    try:
        # The number that a connection would get: all below it are open.
        number = os.dup(server_socket.fileno())
    except OSError:
        return False
    os.close(number)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit == resource.RLIM_INFINITY or number < limit * _FOR_CONNECTIONS
