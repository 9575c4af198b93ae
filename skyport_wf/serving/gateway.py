"""Between cheroot and the application: where cheroot differs from what a server of large files needs."""

import logging
import time
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cheroot import wsgi
from cheroot.server import HTTPConnection, HTTPRequest
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import FileWrapper

from skyport_wf.serving.reading import RequestBody, StrictHeaderReader
from skyport_wf.serving.workers import Deadlines, GrowingThreadPool

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_HEADER_SECONDS = 10
"""Seconds that a client may pause before and within the headers of a request."""
_SLOWEST_SECONDS = 30
"""Seconds for the headers as a whole, or for a refused body: some clients send a byte now and then."""
_BODY_SECONDS = 600
"""Seconds that a client may pause within a body: an engine that packs a large image sends nothing meanwhile."""
_BACKLOG = 128
"""Connections that the kernel accepts before we do."""
_LARGEST_HEADERS = 64 * 1024
_LARGEST_UNREAD = 64 * 1024 * 1024
"""Bytes of a refused body to read, so that the client gets to read why; beyond it, it is cut off."""
_PIECE = 64 * 1024

_REFUSED = {
    "501": ("400 Bad Request", "A body comes with Content-Length, or with the transfer encoding `chunked`."),
    "505": ("400 Bad Request", "This server speaks HTTP/1.0 and HTTP/1.1."),
}
"""Answers in place of cheroot's, which call it the server's fault: clients try a 5xx again, in vain."""

_log = logging.getLogger(__name__)


class _Request(HTTPRequest):
    header_reader = StrictHeaderReader()

    def parse_request(self) -> None:
        with self.server.deadlines.set(self.conn.socket, _SLOWEST_SECONDS):
            super().parse_request()

    def simple_response(self, status: str, msg: str = "") -> None:
        super().simple_response(*_REFUSED.get(status[:3], (status, msg)))


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request


class _Gateway(wsgi.Gateway_10):
    """One request and its answer."""

    # cheroot's types say that it returns None.
    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        length = None if self.req.chunked_read else self.req.rfile.remaining
        self.req.rfile = RequestBody(self.req.conn.rfile, self.req.conn.socket, length)
        if length is None:
            environ.pop("CONTENT_LENGTH", None)
        environ["wsgi.input"] = self.req.rfile
        environ["wsgi.input_terminated"] = True
        environ["wsgi.file_wrapper"] = FileWrapper
        # Who is asking only the token says; applications may believe this variable where they are called in process.
        environ.pop("REMOTE_USER", None)
        return environ

    def respond(self) -> None:
        began = time.monotonic()
        socket = self.req.conn.socket
        socket.settimeout(_BODY_SECONDS)
        try:
            self._answer()
        finally:
            socket.settimeout(self.req.server.timeout)
            _log.info(
                "%s %s %s %s %.3f s",
                self.req.conn.remote_addr,
                self.req.method.decode("latin-1"),
                ascii(self.req.uri.decode("latin-1"))[1:-1],
                self.req.status[:3].decode("latin-1") if self.req.status else "-",
                time.monotonic() - began,
            )

    def _answer(self) -> None:
        response = self.req.server.wsgi_app(self.env, self.start_response)
        try:
            self._read_rest()
            if isinstance(response, FileWrapper):
                # The kernel copies the file to the socket.
                self.req.ensure_headers_sent()
                if self.remaining_bytes_out:
                    file = cast(BinaryIO, response.file)
                    self.req.conn.socket.sendfile(file, file.tell(), self.remaining_bytes_out)
            else:
                for piece in filter(None, response):
                    self.write(piece)
            self.req.ensure_headers_sent()
        finally:
            if hasattr(response, "close"):
                response.close()

    def _read_rest(self) -> None:
        """Read what the application left of the body, as else it would be taken for the next request.

        cheroot would read all of it at once into memory.
        """
        socket = self.req.conn.socket
        socket.settimeout(_HEADER_SECONDS)
        left = _LARGEST_UNREAD
        with self.req.server.deadlines.set(socket, _SLOWEST_SECONDS):
            try:
                while left >= 0 and (data := self.req.rfile.read(_PIECE)):
                    left -= len(data)
            except (OSError, ValueError, HTTPException):
                left = -1
        if left < 0:
            self.req.close_connection = True
        socket.settimeout(_BODY_SECONDS)


class CherootServer(wsgi.Server):
    """cheroot, with our limits, for one application."""

    ConnectionClass = _Connection
    max_request_header_size = _LARGEST_HEADERS
    keep_alive_conn_limit = 256
    # Also how long stopping takes.
    expiration_interval = 0.1

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
        self.deadlines = Deadlines()

    def process_conn(self, conn: HTTPConnection) -> None:
        """Have a request answered; a new connection first waits, without a thread, until something comes."""
        if conn.last_used is None:
            self._connections.put(conn)  # type: ignore[attr-defined]
        else:
            super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log as everything else here does, instead of writing to stderr."""
        _log.log(level, "%s", msg, exc_info=traceback)
