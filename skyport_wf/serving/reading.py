"""A request as it comes from a socket: headers read strictly, bodies in pieces of any size.

cheroot guesses at what is malformed, keeps each chunk in memory as a whole, and copies what it reads four times.
"""

import re
from typing import Protocol

from cheroot.server import HeaderReader
from werkzeug.exceptions import ClientDisconnected

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ONCE = (b"Authorization", b"Content-Length", b"Host")
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
    """Refuses what cheroot guesses at or fails on (RFC 9112, section 5): continued lines, contradictions."""

    def __call__(self, rfile: Reader, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Read the headers into `hdict`. Raises ValueError, which becomes a 400."""
        headers = {} if hdict is None else hdict
        while (line := rfile.readline()) != b"\r\n":
            name, colon, value = line.partition(b":")
            if not line.endswith(b"\r\n"):
                raise ValueError("HTTP requires CRLF terminators")
            if not colon or not _NAME.fullmatch(name):
                raise ValueError("Illegal header line.")
            name, value = name.title(), value.strip()
            # `Content_Length` would become the same variable as `Content-Length`. cheroot has a class for this,
            # which takes names for str, and so fails.
            if b"_" in name:
                continue
            # int(), which cheroot asks, would also take signs and underscores.
            if name == b"Content-Length" and not value.isdigit():
                raise ValueError("Malformed Content-Length Header.")
            if name in _ONCE and headers.get(name, value) != value:
                raise ValueError("A header contradicts itself.")
            before = headers.get(name)
            headers[name] = value if name in _ONCE or before is None else before + b", " + value
        return headers


class RequestBody:
    """The body of a request: as long as Content-Length says, or in chunks (RFC 9112, section 7.1).

    First what the reader of the headers holds already, then as much as the socket has.
    """

    def __init__(self, reader: Reader, socket: Socket, length: int | None) -> None:
        """length: from Content-Length; None for chunks."""
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
        return data

    def _begin_chunk(self) -> None:
        if self._begun and self._reader.readline(2) not in (b"\r\n", b"\n"):
            raise ClientDisconnected
        self._begun = True
        line = self._reader.readline(_LONGEST_LINE)
        digits = line.partition(b";")[0].strip()
        # int() would also take signs, underscores and `0x`.
        if not line.endswith(b"\n") or not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise ClientDisconnected
        self._left = int(digits, 16)
        if self._left:
            return
        self._ended = True
        # Trailers follow, which nobody wants, up to an empty line.
        for _ in range(_MOST_TRAILERS):
            line = self._reader.readline(_LONGEST_LINE)
            if line in (b"\r\n", b"\n"):
                return
            if not line.endswith(b"\n"):
                break
        raise ClientDisconnected
