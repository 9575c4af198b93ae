"""A request as it comes from a socket: headers read strictly, bodies in pieces of any size.

cheroot guesses at what is malformed, keeps each chunk in memory as a whole, and copies what it reads four times.
"""

import re
from collections.abc import Callable
from typing import Protocol

from cheroot.server import HeaderReader
from werkzeug.exceptions import ClientDisconnected
from werkzeug.urls import uri_to_iri

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(_TOKEN + rb" [!-~\x80-\xff]+ HTTP/1\.[01]\r\n")
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#]+)(/?)([^#]*)", re.IGNORECASE)
_HEADER = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t -~\x80-\xff]*?)[ \t]*\r\n")
"""Name and value. No control character but the tab: one server sees the end of a line where another sees none."""
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t -~\x80-\xff]*)?\r\n")
_ONCE = (b"Authorization", b"Content-Length", b"Host", b"Transfer-Encoding")
"""Two of these could mean one thing to us and another to a proxy before us."""
_LONGEST_LINE = 4096
_MOST_TRAILERS = 32
_PIECE = 64 * 1024


class Reader(Protocol):
    """cheroot's reader of a connection: it holds whatever came along with the last line that it read."""

    def has_data(self) -> bool:
        """Return whether it holds anything."""
        ...

    def peek(self, size: int, /) -> bytes:
        """Return what it holds, and leave it there."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, having waited for that many."""
        ...

    def readline(self, size: int = -1, /) -> bytes:
        """Return the next line, or the first `size` bytes of it."""
        ...


class Socket(Protocol):
    """The connection itself."""

    def recv(self, size: int, /) -> bytes:
        """Return the next bytes, as many as there are."""
        ...


class StrictHeaderReader(HeaderReader):
    """Refuses headers that cheroot guesses at or fails on (RFC 9112, sections 3.2, 5 and 6)."""

    def __init__(self, protocol: bytes, host: bytes) -> None:
        """Read the headers of one request.

        protocol: `HTTP/1.0` or `HTTP/1.1`.
        host: if not empty, the request line's, which counts instead of the header's.
        """
        super().__init__()
        self._protocol = protocol
        self._host = host

    def __call__(self, rfile: Reader, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Read the headers into `hdict`. Raises ValueError, which becomes a 400."""
        headers = {} if hdict is None else hdict
        while (line := rfile.readline()) != b"\r\n":
            found = _HEADER.fullmatch(line)
            if not found:
                raise ValueError("Illegal header line.")
            name, value = found[1].title(), found[2]
            # `Content_Length` would become the same variable as `Content-Length`. cheroot has a class for this,
            # which takes names for str, and so fails.
            if b"_" in name:
                continue
            before = headers.get(name)
            if before is not None and name in _ONCE:
                raise ValueError("A header is there twice.")
            headers[name] = value if before is None else before + b", " + value
        self._check_framing(headers)
        if self._host:
            headers[b"Host"] = self._host
        return headers

    def _check_framing(self, headers: dict[bytes, bytes]) -> None:
        """Raise ValueError if it is not clear where the request ends, or to whom it goes."""
        length, encoding = headers.get(b"Content-Length"), headers.get(b"Transfer-Encoding")
        # int(), which cheroot asks, would also take signs and underscores.
        if length is not None and not length.isdigit():
            raise ValueError("Malformed Content-Length Header.")
        if encoding is not None and (length is not None or self._protocol == b"HTTP/1.0"):
            raise ValueError("Transfer-Encoding is neither for HTTP/1.0 nor beside Content-Length.")
        if encoding is not None and encoding.lower() != b"chunked":
            raise ValueError("A body comes with Content-Length, or with the transfer encoding `chunked`.")
        if b"Host" not in headers and self._protocol == b"HTTP/1.1":
            raise ValueError("HTTP/1.1 requires a Host header.")
        if not (_is_host(headers.get(b"Host", b"")) and _is_host(self._host)):
            raise ValueError("Malformed host.")


def _is_host(host: bytes) -> bool:
    """Return whether it may be a host, which those who answer put into addresses."""
    if not _HOST.fullmatch(host):
        return False
    try:
        # As werkzeug reads it: what stands between brackets may be no IPv6 address, and behind `xn--` no word.
        uri_to_iri(f"http://{host.decode('ascii')}/")
    except ValueError:
        return False
    return True


def split_host(line: bytes) -> tuple[bytes, bytes]:
    """Return a request line with a path only, and the host that stood before it, empty if none did.

    Clients send the address as a whole to a proxy, and every server has to take it (RFC 9112, section 3.2.2). Two
    slashes at the beginning are of an address with one at its end, to which a path was added: cheroot would see a host.
    """
    method, target, protocol = line.split(b" ")
    found = _ABSOLUTE_FORM.fullmatch(target)
    path, host = (found[3], found[1]) if found else (target, b"")
    if found or path.startswith(b"//"):
        line = b"%b /%b %b" % (method, path.lstrip(b"/"), protocol)
    return line, host


class ReadAgain:
    """A reader that gives a line once more which was read from it."""

    def __init__(self, line: bytes, reader: Reader) -> None:
        self._line = line
        self._reader = reader

    def readline(self, size: int = -1) -> bytes:
        """Return the next line."""
        line, self._line = self._line, b""
        return line or self._reader.readline(size)

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)


class RequestBody:
    """The body of a request: as long as Content-Length says, or in chunks (RFC 9112, section 7.1).

    First what the reader of the headers holds already, then as much as the socket has.
    """

    def __init__(self, reader: Reader, socket: Socket, length: int | None, moved: Callable[[], None]) -> None:
        """Read what follows the headers.

        length: from Content-Length; None for chunks.
        moved: called whenever something has arrived.
        """
        self._moved = moved
        self._reader = reader
        self._socket = socket
        self._chunked = length is None
        self._left = length or 0
        self._ended = length == 0
        self._begun = False
        self._broken = False

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises ClientDisconnected if the body ends early, or its chunks are not what RFC 9112 says.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        # For good if this fails: what follows nonsense is nonsense.
        broken, self._broken = self._broken, True
        if broken:
            raise ClientDisconnected
        try:
            if self._chunked and not self._left and not self._ended:
                self._begin_chunk()
            data = self._receive(min(size, self._left)) if size and not self._ended else b""
        except OSError as error:
            raise ClientDisconnected from error
        self._left -= len(data)
        self._ended = self._ended or (not self._chunked and not self._left)
        self._broken = False
        return data

    def _receive(self, size: int) -> bytes:
        """Return the next bytes, from 1 to `size`."""
        if self._reader.has_data():
            data = self._reader.read(min(size, len(self._reader.peek(1))))
        else:
            data = self._socket.recv(size)
        if not data:
            raise ClientDisconnected
        self._moved()
        return data

    def _begin_chunk(self) -> None:
        if self._begun and self._reader.readline(2) != b"\r\n":
            raise ClientDisconnected
        self._begun = True
        # int() would also take signs, underscores and `0x`.
        found = _CHUNK.fullmatch(self._reader.readline(_LONGEST_LINE))
        if not found:
            raise ClientDisconnected
        self._left = int(found[1], 16)
        if self._left:
            return
        self._ended = True
        # Trailers follow, which nobody wants, up to an empty line.
        for _ in range(_MOST_TRAILERS):
            line = self._reader.readline(_LONGEST_LINE)
            if line == b"\r\n":
                return
            if not _HEADER.fullmatch(line):
                break
        raise ClientDisconnected
