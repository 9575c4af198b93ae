"""Between cheroot and the application: what cheroot does otherwise than a store of large files needs it."""

import logging
import time
from typing import Any

from cheroot import wsgi
from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest
from werkzeug.exceptions import HTTPException

from skyport_wf.store.app import ShockApp
from skyport_wf.store.chunked import ChunkedBody
from skyport_wf.store.responses import FileRange

_THREADS = 128
"""Each request has one while it lasts, also one whose client is slow; idle ones cost a few kilobytes."""
_HEADER_SECONDS = 10
_BODY_SECONDS = 600
"""How long a client may pause within a body: an engine that packs a large image sends nothing meanwhile."""
_LARGEST_HEADERS = 64 * 1024
_LARGEST_UNREAD = 64 * 1024 * 1024
"""How much of a refused body is read so that the client gets to read why; beyond it, it is cut off."""
_PIECE = 64 * 1024

_log = logging.getLogger("skyport_wf.store")


class _HeaderReader(HeaderReader):
    def _allow_header(self, key_name: bytes) -> bool:
        # `Content_Length` would become the same variable as `Content-Length`. cheroot has a class for this,
        # which takes names for str, and so fails.
        return b"_" not in key_name


class _Request(HTTPRequest):
    header_reader = _HeaderReader()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request


class _Gateway(wsgi.Gateway_10):
    """One request and its answer."""

    # cheroot's types say that it returns None.
    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        if self.req.chunked_read:
            # cheroot keeps each chunk in memory as a whole, however large the client makes it.
            self.req.rfile = ChunkedBody(self.req.conn.rfile)
            environ["wsgi.input"] = self.req.rfile
            environ.pop("CONTENT_LENGTH", None)
        else:
            # cheroot sets this to False; for Werkzeug it is enough that it is set, and then it would take a
            # body that was cut off for a whole one.
            del environ["wsgi.input_terminated"]
        environ.pop("REMOTE_USER", None)
        return environ

    def respond(self) -> None:
        began = time.monotonic()
        socket = self.req.conn.socket
        socket.settimeout(_BODY_SECONDS)
        try:
            self._respond()
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

    def _respond(self) -> None:
        response = self.req.server.wsgi_app(self.env, self.start_response)
        try:
            self._read_rest()
            if isinstance(response, FileRange):
                self._send_file(response)
            else:
                for piece in filter(None, response):
                    self.write(piece)
            self.req.ensure_headers_sent()
        finally:
            if hasattr(response, "close"):
                response.close()

    def _send_file(self, body: FileRange) -> None:
        """Let the kernel copy the file to the socket."""
        self.req.ensure_headers_sent()
        if body.length:
            self.req.conn.socket.sendfile(body.file, body.start, body.length)

    def _read_rest(self) -> None:
        """Read what the application left of the body, as else it would be taken for the next request.

        cheroot would read all of it at once into memory.
        """
        socket = self.req.conn.socket
        socket.settimeout(_HEADER_SECONDS)
        if not self._is_read_to_end():
            self.req.close_connection = True
        socket.settimeout(_BODY_SECONDS)

    def _is_read_to_end(self) -> bool:
        left = _LARGEST_UNREAD
        try:
            while data := self.req.rfile.read(_PIECE):
                left -= len(data)
                if left < 0:
                    return False
        except (OSError, ValueError, HTTPException):
            return False
        return self.req.chunked_read or not self.req.rfile.remaining


class CherootServer(wsgi.Server):
    """cheroot, with our limits, for one application."""

    ConnectionClass = _Connection
    max_request_header_size = _LARGEST_HEADERS
    keep_alive_conn_limit = 256
    # Also how long stopping takes.
    expiration_interval = 0.1

    def __init__(self, app: ShockApp, host: str, port: int) -> None:
        super().__init__(
            (host, port),
            app,
            numthreads=_THREADS,
            server_name="skyport-wf",
            request_queue_size=128,
            timeout=_HEADER_SECONDS,
        )
        self.gateway = _Gateway

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log as everything else here does, instead of writing to stderr."""
        _log.log(level, "%s", msg, exc_info=traceback)
