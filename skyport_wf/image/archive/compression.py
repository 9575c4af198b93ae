"""Compression of archives and layers: recognising the format, reading it, and writing gzip."""

import bz2
import io
import lzma
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from isal import igzip, igzip_threaded, isal_zlib

from skyport_wf.byte_streams import PIECE, ByteStream, RawStream, pieces_of

LEVEL: Final = 2
"""ISA-L's level: as fast as 1 on images, where reading and hashing take as long, and 1 % smaller; 3 is slower."""
_MAX_MEMORY: Final = 128 << 20
"""Bytes that an xz file may want for its window, as zstd's library allows by itself; `xz -9` wants 64 MiB."""

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    # Frames to be skipped, as pzstd begins its files with. lz4 has the same; docker takes all for zstd.
    **dict.fromkeys((bytes((0x50 + kind,)) + b"\x2a\x4d\x18" for kind in range(16)), "zstd"),
}
_CHECKSUM: Final = slice(148, 156)
"""Where a tar's header has it."""

_OPEN: Final[set[io.BufferedWriter]] = set()
"""Members that are being written. What nothing refers to is closed by the collector of garbage, which then waits for a
thread that may be gone; what is in here is left to whoever opened it."""

GZIP_DAMAGE: Final[tuple[type[Exception], ...]] = (
    igzip.BadGzipFile,
    isal_zlib.IsalError,  # type: ignore[assignment]  # isal's stub makes it an instance
)
"""What the library raises for damaged bytes."""


class CompressionError(Exception):
    """Compressed bytes are damaged."""


class ByteSink(Protocol):
    """Takes compressed bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""

    def flush(self) -> object:
        """Take note of the end."""


class Decompressor(Protocol):
    """The decompressors of bz2, lzma and zstd: one for each of the streams that may follow each other in a file."""

    @property
    def eof(self) -> bool:
        """Whether the stream has come to its end."""

    @property
    def needs_input(self) -> bool:
        """Whether no more comes out without more going in."""

    @property
    def unused_data(self) -> bytes:
        """Bytes that came after the end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most `max_length` more bytes."""


def recognise_format(head: bytes) -> str:
    """Return `tar`, a compressor's name, `json` or an empty string.

    head: the first 512 bytes, or all if there are fewer.
    """
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "latin-1", "strict")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # missing in typeshed
        return "tar"  # an empty one
    except tarfile.HeaderError:
        is_tar = False
    else:
        # Compressed zeros are zeros where a header has its checksum, and that may fit by chance.
        is_tar = bool(head[_CHECKSUM].strip(b"\0 "))
    if is_tar:
        return "tar"
    # Only now, as the name of a tar's first member may begin with any of these.
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    return "json" if head.lstrip()[:1] in (b"{", b"[") else ""


def can_decompress(kind: str) -> bool:
    """Return whether `decompressed` reads the format."""
    return kind in ("gzip", "bzip2", "xz", "zstd")


def decompressed(stream: ByteStream, kind: str) -> Iterator[bytes]:
    """Yield what a compressed stream holds, in pieces of at most 1 MiB, whatever it claims to hold.

    kind: a format that can be decompressed; several compressed streams one after the other are one.
    Raises CompressionError if it is damaged, EOFError if it breaks off.
    """
    if kind == "gzip":
        try:
            yield from pieces_of(igzip.IGzipFile(fileobj=RawStream(stream), mode="rb"))
        except GZIP_DAMAGE as error:
            raise CompressionError(str(error)) from error
        return
    make, damage = _library(kind)
    decompressor: Decompressor | None = None
    for taken in pieces_of(stream):
        data = taken
        while data or (decompressor and not decompressor.needs_input):
            decompressor = decompressor or make()
            try:
                piece = decompressor.decompress(data, PIECE)
            except damage as error:
                raise CompressionError(str(error)) from error
            if piece:
                yield piece
            data = b""
            if decompressor.eof:
                # xz files may have zeros between and after their streams.
                data = decompressor.unused_data.lstrip(b"\0")
                decompressor = None
    if decompressor:
        raise EOFError(f"the {kind} file breaks off")


def _library(kind: str) -> tuple[Callable[[], Decompressor], type[Exception]]:
    """Return what makes a decompressor for the format, and what that raises for damaged bytes."""
    if kind == "bzip2":
        return bz2.BZ2Decompressor, OSError
    if kind == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=_MAX_MEMORY), lzma.LZMAError
    # Imported only for those who have such a file.
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor, ZstdError
    else:
        from backports.zstd import ZstdDecompressor, ZstdError
    return ZstdDecompressor, ZstdError


def gzip_member(data: bytes) -> bytes:
    """Return `data` as one gzip member."""
    member: bytes = isal_zlib.compress(data, LEVEL, isal_zlib.MAX_WBITS | 16)
    return member


@contextmanager
def open_gzip_member(sink: ByteSink) -> Iterator[io.BufferedWriter]:
    """Open a file that compresses in a thread of its own into one gzip member.

    Exceptions of `sink` come back from writing or closing. At most 4 MiB are on the way.
    """
    member: io.BufferedWriter = igzip_threaded.open(sink, "wb", LEVEL, threads=1, block_size=PIECE)
    _OPEN.add(member)
    try:
        yield member
        member.close()
    except BaseException:
        # Nobody wants the rest. To close the file would be to wait for the thread to compress it, which is gone where
        # the process is about to end.
        writer: Any = member.raw
        writer.stop()
        writer._closed = True
        raise
    finally:
        _OPEN.discard(member)
