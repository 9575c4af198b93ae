"""Streams of bytes: reading pieces as a stream and a stream as pieces, and the size of a piece."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE: Final = 1 << 20
"""Bytes that are read, hashed, compressed or sent at a time.

Smaller pieces cost more system calls and thread switches than they save memory; larger ones were not faster."""


class ByteStream(Protocol):
    """A pipe, a socket, a file: whatever can be read from its beginning to its end. It need not seek."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""


def pieces_of(stream: ByteStream) -> Iterator[bytes]:
    """Yield what is left of a stream, in pieces of at most 1 MiB."""
    while piece := stream.read(PIECE):
        yield piece


class ChunkReader:
    """Reads pieces of bytes as one stream; no more than a piece, and what is asked for, is in memory."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        end = self._at + size
        if end <= len(self._piece):
            data = self._piece[self._at : end]
            self._at = end
            return data
        found = [self._piece[self._at :]]
        missing = size - len(found[0])
        while missing and self._next():
            data = self._piece[:missing]
            self._at = len(data)
            missing -= len(data)
            found.append(data)
        return b"".join(found)

    def _next(self) -> bool:
        self._piece, self._at = next(filter(None, self._pieces), b""), 0
        return bool(self._piece)


class CountedStream:
    """A stream that reports how many bytes are read from it."""

    def __init__(self, stream: ByteStream, progress: Callable[[int], None], *, name: str = "") -> None:
        self._stream = stream
        self._progress = progress
        self.name = name or stream_name(stream)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        piece = self._stream.read(size)
        self._progress(len(piece))
        return piece


class RawStream(io.RawIOBase):
    """A stream in the form that decompressors and Python's buffered readers want."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.taken = 0
        """Bytes that were read."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill the buffer as far as one read of the stream does, and return how many bytes that were."""
        with memoryview(buffer) as view:
            piece = self._stream.read(len(view))
            view[: len(piece)] = piece
        self.taken += len(piece)
        return len(piece)


def stream_name(stream: ByteStream) -> str:
    """Return the name of a stream for messages; empty if it has none."""
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else ""
