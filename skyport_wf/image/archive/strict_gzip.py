"""Gzip as Docker reads it, which is less than what is gzip to others.

Docker leaves it to Go's package compress/gzip, or to the program unpigz where there is one. Neither takes bytes between
or after the members; Go's takes no long name or comment, pigz no flag that RFC 1952 does not know.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from isal import igzip_lib

from skyport_wf.byte_streams import PIECE, ByteStream
from skyport_wf.image.archive.compression import GZIP_DAMAGE, CompressionError

_FIXED: Final = 10
"""Bytes at the beginning of a member's header, of which the first three say what it is."""
_START: Final = b"\x1f\x8b\x08"
_CHECKED, _EXTRA, _NAME, _COMMENT, _RESERVED = 2, 4, 8, 16, 0xE0
_MAX_TEXT: Final = 512
"""Bytes of a name or a comment, with the zero behind it (Go's `Reader.readString`)."""
_READ: Final = 1 << 18
"""Bytes that are read at a time: those who hand over pieces hand over such, which need not be put together."""
_FIRST_FEED: Final = 4096
"""Bytes that the decompressor gets first, and then twice as many each time: what it does not use is copied back, and a
file may be all of tiny members."""


def decompressed_strictly(stream: ByteStream) -> Iterator[bytes]:
    """Yield what a gzip file holds, in pieces of at most 1 MiB.

    Raises CompressionError if it is damaged or no Docker reads it to its end, EOFError if it breaks off.
    """
    source = _Source(stream)
    while not source.at_end():
        _skip_header(source)
        # It checks the sum and the size behind the member, too.
        decompressor = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP_NO_HDR_VER)
        size = _FIRST_FEED
        while not decompressor.eof:
            data = b""
            if decompressor.needs_input:
                data = source.some(size)
                size = min(2 * size, _READ)
            try:
                piece = decompressor.decompress(data, PIECE)
            except GZIP_DAMAGE as error:
                raise CompressionError(str(error)) from error
            if piece:
                yield piece
        source.give_back(len(decompressor.unused_data))


class _Source:
    """The bytes of a gzip file. Those that were taken last can be given back."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._piece = b""
        self._at = 0

    def at_end(self) -> bool:
        """Return whether there are no more."""
        if self._at == len(self._piece):
            self._piece, self._at = self._stream.read(_READ), 0
        return not self._piece

    def some(self, size: int) -> bytes:
        """Return at most `size` bytes. Raises EOFError if there are none."""
        if self.at_end():
            raise EOFError("the gzip file breaks off")
        taken = self._piece[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes. Raises EOFError if there are fewer."""
        taken = b""
        while len(taken) < size:
            taken += self.some(size - len(taken))
        return taken

    def give_back(self, size: int) -> None:
        """Have the last `size` bytes come once more, which `some` returned at its last call."""
        self._at -= size


def _skip_header(source: _Source) -> None:
    """Take a member's header. Raises CompressionError if it is none, or one that Docker does not read."""
    header = source.exactly(_FIXED)
    flags = header[3]
    if not header.startswith(_START) or flags & _RESERVED:
        raise CompressionError("it has something else where a gzip member should begin")
    if flags & _EXTRA:
        length = source.exactly(2)
        header += length + source.exactly(int.from_bytes(length, "little"))
    for text in (_NAME, _COMMENT):
        if flags & text:
            header += _text(source)
    if flags & _CHECKED and int.from_bytes(source.exactly(2), "little") != zlib.crc32(header) & 0xFFFF:
        raise CompressionError("the header of a gzip member is damaged")


def _text(source: _Source) -> bytes:
    """Return a text that ends with a zero. Raises CompressionError if it is too long."""
    text = b""
    while not text.endswith(b"\0"):
        if len(text) == _MAX_TEXT:
            raise CompressionError("the name in a gzip header is too long")
        text += source.exactly(1)
    return text
