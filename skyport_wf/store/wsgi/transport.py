"""A `requests` transport that calls a WSGI application in this process: no server, no socket, same answers.

    session = embedded_session(app, remote_user="alice")
    session.get(f"{EMBEDDED_URL}/node/...")

Bodies stream both ways: a generator or a file is read as the application asks for it, an answer as the caller
reads it.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, HTTPResponse
from werkzeug.exceptions import ClientDisconnected

from skyport_wf.byte_streams import PIECE
from skyport_wf.store.wsgi.exchange import EMBEDDED_SCHEME, FOR_OTHERS

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

EMBEDDED_URL = f"{EMBEDDED_SCHEME}://store"
"""The address to mount the transport at, and to begin addresses with."""

_NOT_PREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def embedded_session(app: "WSGIApplication", *, remote_user: str | None = None, for_others: bool = False) -> Session:
    """Return a session whose requests to EMBEDDED_URL an application in this process answers.

    remote_user, for_others: as for WSGITransport.
    """
    session = Session()
    # There is no network, so no proxy of the environment, and looking for one takes as long as the answer.
    session.trust_env = False
    session.mount(EMBEDDED_URL, WSGITransport(app, remote_user=remote_user, for_others=for_others))
    return session


class WSGITransport(BaseAdapter):
    """Sends requests to a WSGI application.

    remote_user: who is asking, for the application to believe unless the request carries its own token.
    for_others: whether the answers are for somebody else than the owner of the store, who is not to see all that is
        said of a failure.
    """

    def __init__(self, app: "WSGIApplication", *, remote_user: str | None = None, for_others: bool = False) -> None:
        super().__init__()
        self._app = app
        self._remote_user = remote_user
        self._for_others = for_others

    def send(  # noqa: PLR0917  (the arguments are those of `requests`)
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the application's answer.

        Raises whatever the request's body raised while it was read: then the application got only the start.
        """
        body = _RequestBody(request.body)
        answer = _Answer()
        chunks = self._app(self._environ(request, body), answer.start)
        if body.error:
            _close(chunks)
            raise body.error
        return answer.response(request, chunks)

    def close(self) -> None:
        """Nothing is open."""

    def _environ(self, request: PreparedRequest, body: "_RequestBody") -> "WSGIEnvironment":
        url = urlsplit(request.url or "")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": request.method or "GET",
            "SCRIPT_NAME": "",
            # PEP 3333: bytes as ISO-8859-1.
            "PATH_INFO": unquote_to_bytes(url.path or "/").decode("latin-1"),
            "QUERY_STRING": url.query,
            "SERVER_NAME": url.hostname or "",
            "SERVER_PORT": str(url.port or 80),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": url.netloc.rpartition("@")[2],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": body,
            # The body ends by itself, whether or not it said how long it is.
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            key = _NOT_PREFIXED.get(name.lower()) or f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = value.decode("latin-1") if isinstance(value, bytes) else value
        if self._remote_user is not None:
            environ["REMOTE_USER"] = self._remote_user
        if self._for_others:
            environ[FOR_OTHERS] = True
        return environ


class _RequestBody:
    """A body of any kind that `requests` takes, to read from."""

    def __init__(self, body: Any) -> None:
        self.error: BaseException | None = None
        self._rest = memoryview(b"")
        self._read: Callable[[int], bytes] | None = None
        self._pieces: Iterator[bytes] = iter(())
        if isinstance(body, str | bytes | bytearray):
            self._rest = memoryview(body.encode() if isinstance(body, str) else body)
        elif hasattr(body, "read"):
            self._read = body.read
        elif body is not None:
            self._pieces = iter(body)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        try:
            return self._next(size)
        except Exception as error:
            # For the application it is a client that broke off; our caller gets the error itself.
            self.error = error
            raise ClientDisconnected from error

    def _next(self, size: int) -> bytes:
        if self._read:
            return self._read(size)
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            if len(piece) <= size and piece:
                return piece
            self._rest = memoryview(piece)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


class _Answer:
    """The application's answer."""

    def __init__(self) -> None:
        self._status = ""
        self._headers: list[tuple[str, str]] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: "OptExcInfo | None" = None, /
    ) -> Callable[[bytes], object]:
        """WSGI's start_response."""
        self._status, self._headers = status, headers
        return _no_write

    def response(self, request: PreparedRequest, chunks: Iterable[bytes]) -> Response:
        """Return it as `requests` has it."""
        code, _, reason = self._status.partition(" ")
        response = Response()
        response.status_code = int(code)
        response.reason = reason or HTTPStatus(int(code)).phrase
        response.headers = CaseInsensitiveDict(self._headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = HTTPResponse(
            body=_ResponseBody(chunks),
            headers=HTTPHeaderDict(self._headers),
            status=int(code),
            reason=response.reason,
            preload_content=False,
            request_method=request.method,
        )
        response.url = request.url or ""
        response.request = request
        return response


class _ResponseBody(io.RawIOBase):
    """The application's answer, to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._iterator = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        while not self._rest:
            chunk = next(self._iterator, None)
            if chunk is None:
                return b""
            if len(chunk) <= size and chunk:
                return chunk
            self._rest = memoryview(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    def close(self) -> None:
        if not self.closed:
            _close(self._chunks)
        super().close()


def _close(chunks: Iterable[bytes]) -> None:
    if close := getattr(chunks, "close", None):
        close()


def _no_write(_: bytes) -> object:
    raise NotImplementedError("the application writes instead of returning its answer")
