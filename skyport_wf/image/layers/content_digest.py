"""Digests of a file's content: of all of it, and of all but the times that some formats keep in it.

Two builds from the same sources compress the same manual and compile the same module, each at its own time. That the
rest is the same shows only without these times.
"""

import hashlib
import re
from typing import Final

from skyport_wf.byte_streams import PIECE, ByteStream, pieces_of

_GZIP: Final = b"\x1f\x8b\x08"
_GZIP_TIME: Final = slice(4, 8)
"""RFC 1952, 2.3: MTIME."""
_PYC: Final = re.compile(rb"..\r\n\0\0\0\0", re.DOTALL)
"""PEP 552: the magic number of a Python version, and flags, of which none say that there is a hash instead."""
_PYC_TIME: Final = slice(8, 12)
_SHADOW: Final = frozenset({b"etc/shadow", b"etc/shadow-"})
_SHADOW_DAY: Final = re.compile(rb"^([^:\n]*:[^:\n]*:)[^:\n]*", re.MULTILINE)
"""shadow(5): the third field is the day of the last change of the password."""


def digest_content(path: bytes, stream: ByteStream) -> tuple[bytes, bytes]:
    """Return the SHA-256 of the content, and that of the content without its times; empty if it is known to hold none.

    path: of the file, from the root of the file system.
    stream: the content; not more than a piece of it is in memory. Of a password file, only the first is read for days.
    """
    first = stream.read(PIECE)
    without = _without_times(path, first)
    content, timeless = hashlib.sha256(first), hashlib.sha256(without or b"")
    for piece in pieces_of(stream):
        content.update(piece)
        if without is not None:
            timeless.update(piece)
    return content.digest(), b"" if without is None else timeless.digest()


def _without_times(path: bytes, first: bytes) -> bytes | None:
    """Return the beginning of a file without the times in it, None if it is of no format that is known to have any."""
    if first.startswith(_GZIP):
        return _blank(first, _GZIP_TIME)
    if path.endswith(b".pyc") and _PYC.match(first):
        return _blank(first, _PYC_TIME)
    if path in _SHADOW:
        return _SHADOW_DAY.sub(rb"\1", first)
    return None


def _blank(first: bytes, place: slice) -> bytes:
    return first[: place.start] + bytes(place.stop - place.start) + first[place.stop :]
