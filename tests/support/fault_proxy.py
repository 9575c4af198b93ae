"""A TCP proxy that does what networks do to connections, at bytes that the test chooses.

It knows nothing of HTTP, except how to answer 500, and that a client speaks again only when it has been answered.
Bytes are counted as the clients send them, over all connections together: a fault strikes the connection that
carries its byte.
"""

import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Literal, NamedTuple, Self
from urllib.parse import urlsplit

from tests.support.commands import Command
from tests.support.timing import PATIENCE

Kind = Literal[
    "drop", "reset", "truncate", "lose answer", "cut answer", "delay", "throttle", "error", "flip", "call", "last call"
]

_PIECE = 64 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_THROTTLED = 512 * 1024
"""How many bytes go slowly."""


class Fault(NamedTuple):
    """What happens to a connection."""

    kind: Kind
    at: int
    """The byte, of all that clients send, that is not passed on any more; the first is 0."""
    call: Callable[[], None] = lambda: None
    """What `call` calls, and `last call`, after which the connection drops."""


class FaultProxy:
    """Listens on a port of its own, and passes on to the server what it gets."""

    def __init__(
        self, url: str, faults: Sequence[Fault] = (), *, request_fault: tuple[int, Kind] | None = None
    ) -> None:
        """Pass on to `url`.

        request_fault: strikes the first byte of a request; the first one is number 1.
        """
        parts = urlsplit(url)
        self.target = (parts.hostname or "", parts.port or 80)
        self.struck: list[Fault] = []
        self.sent = 0
        """Bytes that came from clients."""
        self.most_connections = 0
        self._open: set[_Connection] = set()
        self._faults = sorted(faults, key=lambda fault: fault.at)
        self._request_fault = request_fault
        self._requests = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._accept)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def plan(self, *faults: Fault) -> None:
        """Have these faults in the place of those to come; their bytes count from now."""
        with self._lock:
            later = [fault._replace(at=self.sent + fault.at) for fault in faults]
            self._faults = sorted(later, key=lambda fault: fault.at)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in list(self._open):
            connection.close()
            connection.join()

    def count(self, size: int, *, doomed: bool) -> tuple[int, Fault | None]:
        """Count bytes, up to the next fault's; return how many, and the fault if it strikes.

        doomed: the connection has had a fault that it will not survive; the next one is kept for another.
        """
        with self._lock:
            due = self._faults and self._faults[0].at < self.sent + size and not doomed
            fault = self._faults[0] if due else None
            if fault:
                size = max(0, fault.at - self.sent)
                self.struck.append(self._faults.pop(0))
            self.sent += size
            return size, fault

    def count_request(self) -> Fault | None:
        """Count a request; return the fault if it strikes."""
        with self._lock:
            self._requests += 1
            number, kind = self._request_fault or (0, "drop")
            if self._requests != number:
                return None
            fault = Fault(kind, self.sent)
            self.struck.append(fault)
            return fault

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(self, client, server)
            with self._lock:
                self._open.add(connection)
                self.most_connections = max(self.most_connections, len(self._open))
            connection.start()

    def forget(self, connection: "_Connection") -> None:
        with self._lock:
            self._open.discard(connection)


class _Connection:
    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._answer_left: int | None = None
        """How many bytes of the answer go through yet; None for all."""
        self._slow = 0
        self._is_answered = True
        self._is_reset = False
        self._up = threading.Thread(target=self._pump_up)
        self._down = threading.Thread(target=self._pump_down)

    def start(self) -> None:
        self._up.start()
        self._down.start()

    def join(self) -> None:
        self._up.join()
        self._down.join()

    def close(self, *, reset: bool = False) -> None:
        """Wake both pumps, which close the sockets; those say no goodbye, then, if it is a reset."""
        for end in (self._client, self._server):
            with suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def _pump_up(self) -> None:
        try:
            while data := self._client.recv(_PIECE):
                if self._is_answered and (fault := self._proxy.count_request()) and not self._suffer(fault):
                    return
                self._is_answered = False
                while data:
                    size, fault = self._proxy.count(len(data), doomed=self._answer_left is not None)
                    self._pass_on(data[:size])
                    data = data[size:]
                    if fault and fault.kind == "flip":
                        data = bytes([data[0] ^ 1]) + data[1:]
                    if fault and not self._suffer(fault):
                        # What the client has sent until it notices counts, too.
                        self._proxy.count(len(data), doomed=True)
                        return
            if not self._is_reset:
                self._server.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def _pass_on(self, data: bytes) -> None:
        if self._slow > 0:
            time.sleep(len(data) / 1_000_000)
            self._slow -= len(data)
        self._server.sendall(data)

    def _suffer(self, fault: Fault) -> bool:
        """Do what the fault does; return whether the connection goes on."""
        match fault.kind:
            case "delay":
                time.sleep(1)
            case "throttle":
                self._slow = _THROTTLED
            case "lose answer":
                self._answer_left = 0
            case "cut answer":
                self._answer_left = 40
            case "call":
                fault.call()
            case "error":
                self._client.sendall(_ERROR)
                self.close()
                return False
            case "last call":
                fault.call()
                self.close()
                return False
            case "drop":
                self.close()
                return False
            case "reset":
                self._is_reset = True
                self.close(reset=True)
                return False
            case "truncate":
                # The server sees a body that ends too early, the client no answer to it.
                self._answer_left = 0
                self._server.shutdown(socket.SHUT_WR)
                return False
        return True

    def _pump_down(self) -> None:
        try:
            while data := self._server.recv(_PIECE):
                self._is_answered = True
                if self._answer_left is not None:
                    self._client.sendall(data[: self._answer_left])
                    break
                self._client.sendall(data)
        except OSError:
            pass
        finally:
            if not self._is_reset:
                self.close()
            self._up.join()
            self._client.close()
            self._server.close()
            self._proxy.forget(self)


def kill_at(proxy: FaultProxy, byte: int, start: Callable[[], Command]) -> None:
    """Start a command and see that it is killed just before the proxy passes on a byte, counted from now."""
    victim: Future[Command] = Future()
    # What it had sent by then, and the system still holds, would go on to the server.
    proxy.plan(Fault("last call", byte, lambda: victim.result(PATIENCE).kill()))
    with start() as command:
        victim.set_result(command)
        command.communicate()
    assert command.returncode == -signal.SIGKILL
