"""Between cheroot and the application: where cheroot differs from what a server of large files needs."""

import errno
import logging
import os
import time
from contextlib import suppress
from select import POLLOUT, poll
from socket import IPPROTO_TCP, TCP_NOTSENT_LOWAT, socket
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cheroot import wsgi
from cheroot.connections import ConnectionManager
from cheroot.server import HTTPConnection, HTTPRequest
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import FileWrapper

from skyport_wf.errors import SkyportError
from skyport_wf.serving.reading import REQUEST_LINE, ReadAgain, RequestBody, StrictHeaderReader, split_host
from skyport_wf.serving.workers import Connections, GrowingThreadPool, Watch

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_HEADER_SECONDS = 10
"""Seconds that a client may pause before and within the headers of a request."""
_SLOWEST_SECONDS = 30
"""Seconds for the headers as a whole, or for a refused body: some clients send a byte now and then."""
_BODY_SECONDS = 600
"""Seconds that a client may pause within a body: an engine that packs a large image sends nothing meanwhile."""
_BODY_GRACE_SECONDS = 60
"""Seconds of that for which no other client's need counts."""
_PIECE_SECONDS = 60
"""Seconds for each piece of an answer: a client that takes less is cut off."""
_PIECE = 256 * 1024
_SENT_AT_ONCE = 64 * 1024
"""Bytes of a file that the kernel is asked to send at once: of more, the processor's cache has lost the first again."""
_UNSENT = 128 * 1024
"""Bytes of an answer that wait in the kernel for a client to take more. Of itself the kernel keeps some MB for each, so
that a thousand that take nothing would have all the memory that a machine has for connections."""
_BACKLOG = 128
"""Connections that the kernel accepts before we do."""
_LARGEST_HEADERS = 64 * 1024
_LARGEST_UNREAD = 64 * 1024 * 1024
"""Bytes of a refused body to read, so that the client gets to read why; beyond it, it is cut off."""

_log = logging.getLogger(__name__)


class _Request(HTTPRequest):
    def parse_request(self) -> None:
        with self.server.watch.limit(self.conn.socket, _SLOWEST_SECONDS):
            super().parse_request()

    def read_request_line(self) -> bool:
        line = self.rfile.readline()
        if line == b"\r\n":
            # An empty line before a request is ignored (RFC 9112, section 2.2), one.
            line = self.rfile.readline()
        if line and not REQUEST_LINE.fullmatch(line):
            self.simple_response("400 Bad Request", "Malformed request line, or neither HTTP/1.0 nor HTTP/1.1.")
            return False
        line, self.host = split_host(line) if line else (line, b"")
        self.rfile = ReadAgain(line, self.rfile)
        understood: bool = super().read_request_line()  # type: ignore[no-untyped-call]
        return understood

    def read_request_headers(self) -> bool:
        self.header_reader = StrictHeaderReader(self.request_protocol, self.host)
        understood: bool = super().read_request_headers()  # type: ignore[no-untyped-call]
        return understood

    def simple_response(self, status: str, msg: str = "") -> None:
        """Refuse a request, and close the connection: what follows may not be what it seems."""
        self.close_connection = True
        lines = (
            f"HTTP/1.1 {status}",
            f"Content-Length: {len(msg)}",
            "Content-Type: text/plain",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        )
        with suppress(OSError):
            self.conn.wfile.write("\r\n".join((*lines, "", msg)).encode("latin-1"))


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request

    def communicate(self) -> bool:
        with self.server.watch.request(self.socket, str(self.remote_addr)):
            return bool(super().communicate())  # type: ignore[no-untyped-call]


class _Gateway(wsgi.Gateway_10):
    """One request and its answer."""

    # cheroot's types say that it returns None.
    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        connection, watch = self.req.conn, self.req.server.watch
        length = None if self.req.chunked_read else self.req.rfile.remaining
        self.req.rfile = RequestBody(
            connection.rfile, connection.socket, length, lambda: watch.moved(connection.socket)
        )
        if length is None:
            environ.pop("CONTENT_LENGTH", None)
        environ["wsgi.input"] = self.req.rfile
        environ["wsgi.input_terminated"] = True
        environ["wsgi.file_wrapper"] = FileWrapper
        # Applications may believe this variable where they are called in process; here the token says who is asking.
        environ.pop("REMOTE_USER", None)
        return environ

    def respond(self) -> None:
        began, when = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
        connection = self.req.conn.socket
        connection.settimeout(_BODY_SECONDS)
        self.req.server.watch.expect(connection, patience=_BODY_SECONDS, grace=_BODY_GRACE_SECONDS)
        try:
            self._answer()
        finally:
            connection.settimeout(self.req.server.timeout)
            _log.info(
                "%s %s %s %s %s %s %.3f s",
                when,
                self.req.conn.remote_addr,
                # Applications may say here who it was, and put something else in the place of a secret address.
                self.env.get("REMOTE_USER") or "-",
                self.req.method.decode("latin-1"),
                ascii(self.env["REQUEST_URI"])[1:-1],
                self.req.status[:3].decode("latin-1") if self.req.status else "-",
                time.monotonic() - began,
            )

    def _answer(self) -> None:
        response = self.req.server.wsgi_app(self.env, self.start_response)
        connection, watch = self.req.conn.socket, self.req.server.watch
        try:
            self._read_rest()
            watch.expect(connection, patience=_PIECE_SECONDS)
            left = self.remaining_bytes_out
            if isinstance(response, FileWrapper) and left is not None:
                self.req.ensure_headers_sent()
                if not self._send_file(cast(BinaryIO, response.file), left):
                    # The client must not take the next answer for its rest.
                    self.req.close_connection = True
                    self._log_failure("the file is shorter than it was said to be")
            else:
                for data in response:
                    for start in range(0, len(data), _PIECE):
                        self.write(data[start : start + _PIECE])
                        watch.moved(connection)
            self.req.ensure_headers_sent()
        except SkyportError as error:
            self._log_failure(str(error))
            if not self.req.sent_headers:
                self.req.simple_response("500 Internal Server Error")
            # What is under way has no end. cheroot knows this error, and writes no traceback.
            raise ConnectionAbortedError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED)) from error
        finally:
            if hasattr(response, "close"):
                response.close()

    def _log_failure(self, reason: str) -> None:
        """Log why an answer ends before its end."""
        method, address = self.req.method.decode("latin-1"), ascii(self.env["REQUEST_URI"])[1:-1]
        _log.error("%s %s: the answer breaks off: %s", method, address, reason)

    def _send_file(self, file: BinaryIO, size: int) -> bool:
        """Have the kernel copy so much of a file to the client, and return whether the file has it.

        `socket.sendfile` is not used: each call of it prepares for waiting, which took longer than the kernel did.
        """
        connection, watch = self.req.conn.socket, self.req.server.watch
        room = poll()
        room.register(connection, POLLOUT)
        told = at = file.tell()
        end = at + size
        while at < end:
            try:
                sent = os.sendfile(connection.fileno(), file.fileno(), at, min(end - at, _SENT_AT_ONCE))
            except BlockingIOError:
                if not room.poll(_BODY_SECONDS * 1000):
                    raise TimeoutError("timed out") from None
                continue
            if not sent:
                return False
            at += sent
            if at - told >= _PIECE:
                watch.moved(connection)
                told = at
        return True

    def _read_rest(self) -> None:
        """Read what the application left of the body, as else it would be taken for the next request.

        cheroot would read all of it at once into memory.
        """
        connection = self.req.conn.socket
        connection.settimeout(_HEADER_SECONDS)
        left = _LARGEST_UNREAD
        with self.req.server.watch.limit(connection, _SLOWEST_SECONDS):
            try:
                while left >= 0 and (data := self.req.rfile.read(_PIECE)):
                    left -= len(data)
            except (OSError, ValueError, HTTPException):
                left = -1
        if left < 0:
            self.req.close_connection = True
        connection.settimeout(_BODY_SECONDS)


class CherootServer(wsgi.Server):
    """cheroot, with our limits, for one application."""

    ConnectionClass = _Connection
    max_request_header_size = _LARGEST_HEADERS
    keep_alive_conn_limit = 256
    # Also how long stopping takes.
    expiration_interval = 0.1
    _connections: ConnectionManager

    def __init__(self, app: "WSGIApplication", host: str, port: int) -> None:
        super().__init__(
            (host, port),
            app,
            server_name="skyport-wf",
            request_queue_size=_BACKLOG,
            timeout=_HEADER_SECONDS,
        )
        self.gateway = _Gateway
        self.requests = GrowingThreadPool(self)
        self.watch = Watch()

    def prepare(self) -> None:
        """Listen."""
        super().prepare()
        self._connections.close()
        self._connections = Connections(self)

    @classmethod
    def prepare_socket(cls, *arguments: Any, **options: Any) -> socket:
        """Return the socket that listens, whose settings the connections inherit."""
        listening: socket = super().prepare_socket(*arguments, **options)
        listening.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, _UNSENT)
        return listening

    def process_conn(self, conn: HTTPConnection) -> None:
        """Have a request answered; a new connection first waits, without a thread, until something comes."""
        if conn.last_used is None:
            self._connections.put(conn)
        else:
            super().process_conn(conn)

    def end_slow_requests(self) -> None:
        """Close the connections that take too long, and those that stall while others wait for a thread."""
        self.watch.enforce(self.requests.waiting)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log as everything else here does, instead of writing to stderr."""
        _log.log(level, "%s", msg, exc_info=traceback)
