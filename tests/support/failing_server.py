"""A real HTTP server that fails the way it is told to."""

import http.server
import json
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self

NODE = {
    "id": "0a1b2c3d-0000-4000-8000-000000000000",
    "attributes": {},
    "file": {"name": "x", "size": 1, "checksum": {"md5": "0" * 32}},
    "created_on": "2024-01-01T00:00:00Z",
    "expiration": "0001-01-01T00:00:00Z",
}


class Answer(NamedTuple):
    """What the server does with one request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    cut_off: bool = False
    """Whether the connection ends in the middle of the body."""


class Seen(NamedTuple):
    """A request that the server got."""

    method: str
    path: str
    headers: Mapping[str, str]
    size: int
    """Bytes of the body."""


RESET = Answer(0)
"""The connection is reset instead of an answer."""
SILENCE = Answer(-1)
"""No answer comes, until the server stops."""


def envelope(data: Any, **more: Any) -> Answer:
    """Return a well-formed answer of a Shock server."""
    return Answer(200, json.dumps({"status": 200, "data": data, "error": None, **more}).encode())


def refusal(status: int, message: str) -> Answer:
    """Return a Shock server's refusal."""
    return Answer(status, json.dumps({"status": status, "data": None, "error": [message]}).encode())


class FailingServer:
    """Gives one answer after the other, and the last one again and again."""

    def __init__(self) -> None:
        self.answers = [envelope(NODE)]
        self.seen: list[Seen] = []
        self.got_request = threading.Event()
        self.stopping = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(server: FailingServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            # A client that is killed, or has had enough, is no fault of the server.
            with suppress(ConnectionError):
                super().handle()

        def do_any(self) -> None:
            size = self._read_body()
            server.seen.append(Seen(self.command, self.path, dict(self.headers.items()), size))
            server.got_request.set()
            self.close_connection = True
            answer = server.next_answer()
            if answer is SILENCE:
                server.stopping.wait()
            elif answer is RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self._answer(answer)

        do_GET = do_POST = do_PUT = do_DELETE = do_any

        def _answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut_off else answer.body)

        def _read_body(self) -> int:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self._read(int(self.headers.get("Content-Length", 0)))
            total = 0
            while size := int(self.rfile.readline(), 16):
                total += self._read(size)
                self.rfile.readline()
            self.rfile.readline()
            return total

        def _read(self, size: int) -> int:
            left = size
            while left:
                left -= len(self.rfile.read(min(left, 65536)))
            return size

        def log_message(self, *_: object) -> None:
            """Nothing; the tests say what they saw."""

    return Handler
