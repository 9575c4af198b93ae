"""The headers of a request, read more strictly than cheroot does (RFC 9112, section 5)."""

import re
from typing import Protocol

from cheroot.server import HeaderReader

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ONCE = (b"Authorization", b"Content-Length", b"Host")
"""Two of these could mean one thing to us and another to a proxy before us."""


class _Lines(Protocol):
    def readline(self) -> bytes: ...


class StrictHeaderReader(HeaderReader):
    """Refuses what cheroot guesses at or fails on: continued lines, spaces in names, contradictions."""

    def __call__(self, rfile: _Lines, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Read the headers into `hdict`. Raises ValueError, which becomes a 400."""
        headers = {} if hdict is None else hdict
        while (line := rfile.readline()) != b"\r\n":
            name, value = _split(line)
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


def _split(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not line.endswith(b"\r\n"):
        raise ValueError("HTTP requires CRLF terminators")
    if not colon or not _NAME.fullmatch(name):
        raise ValueError("Illegal header line.")
    return name.title(), value.strip()
