"""Read an archive that comes as a stream of bytes, gzipped or not, such as a download."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from isal import igzip

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.formats import recognise_format
from skyport_wf.image.archive.gzip_file import GZIP_ERRORS
from skyport_wf.image.archive.tar_reader import BLOCK, ByteStream
from skyport_wf.image.archive.unpacking import check_expansion

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_AHEAD = 1 << 18


class ArchiveStream:
    """An uncompressed docker archive to read, whatever the format of the stream that it comes in."""

    def __init__(self, stream: ByteStream, *, name: str) -> None:
        """Read the archive in `stream`, which need not seek.

        name: what messages call it.
        Raises ArchiveError if it is compressed with something else than gzip.
        """
        self.name = name
        self._raw = _RawStream(stream)
        self._unpacked = 0
        stored = io.BufferedReader(self._raw, _READ_AHEAD)
        head = stored.peek(BLOCK)[:BLOCK]
        kind = recognise_format(head)
        if kind not in ("gzip", "tar", "json", ""):
            raise ArchiveError(f"{name} is in {kind} format, which AWE cannot load. Publish it again.")
        self._archive: io.BufferedIOBase = igzip.IGzipFile(fileobj=stored, mode="rb") if kind == "gzip" else stored

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises ArchiveError if the stream is damaged, or decompresses to so much that it cannot be an archive.
        """
        piece = self._read(size)
        self._unpacked += len(piece)
        check_expansion(self.name, stored=self._raw.taken, unpacked=self._unpacked)
        return piece

    def _read(self, size: int) -> bytes:
        try:
            return self._archive.read(size)
        except EOFError as error:
            raise ArchiveError(f"{self.name} breaks off before its end. Publish it again.") from error
        except GZIP_ERRORS as error:
            raise ArchiveError(f"{self.name} is damaged: {error}. Publish it again.") from error


class CountedStream:
    """A stream that tells how many bytes are read of it."""

    def __init__(self, stream: ByteStream, progress: Callable[[int], None], *, name: str = "") -> None:
        self._stream = stream
        self._progress = progress
        self.name = name or getattr(stream, "name", "")

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        piece = self._stream.read(size)
        self._progress(len(piece))
        return piece


class _RawStream(io.RawIOBase):
    """A stream as Python's own readers take it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.taken = 0
        """Bytes that were read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        with memoryview(buffer) as view:
            piece = self._stream.read(len(view))
            view[: len(piece)] = piece
        self.taken += len(piece)
        return len(piece)
