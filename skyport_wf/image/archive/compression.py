"""Compression of archives and layers: recognising the format, reading it, and writing gzip."""

import hashlib
import io
import tarfile
from typing import Final, Protocol

from isal import igzip, igzip_threaded, isal_zlib

from skyport_wf.byte_streams import PIECE
from skyport_wf.image.contents import ArchiveDigests

LEVEL: Final = 2
"""ISA-L's level: as fast as 1 on images, where reading and hashing take as long, and 1 % smaller; 3 is slower."""

GZIP_ERRORS: Final[tuple[type[Exception], ...]] = (
    EOFError,
    igzip.BadGzipFile,
    isal_zlib.IsalError,  # type: ignore[assignment]  # isal's stub makes it an instance
)
"""Raised by reading a gzip file that breaks off or is damaged."""

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
}


class ByteSink(Protocol):
    """Takes compressed bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""

    def flush(self) -> object:
        """Take note of the end."""


def recognise_format(head: bytes) -> str:
    """Return `tar`, a compressor's name, `json` or an empty string.

    head: the first 512 bytes, or all if there are fewer.
    """
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "latin-1", "strict")
        return "tar"
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # missing in typeshed
        return "tar"  # an empty one
    except tarfile.HeaderError:
        # Only now, as the name of a tar's first member may begin with any of these.
        for magic, name in _MAGIC.items():
            if head.startswith(magic):
                return name
        return "json" if head.lstrip()[:1] in (b"{", b"[") else ""


def gzip_member(data: bytes) -> bytes:
    """Return `data` as one gzip member."""
    member: bytes = isal_zlib.compress(data, LEVEL, isal_zlib.MAX_WBITS | 16)
    return member


def open_gzip_member(sink: ByteSink) -> io.BufferedWriter:
    """Return a file, to use in a `with` statement, that compresses in a thread of its own into one gzip member.

    Exceptions of `sink` come back from writing or closing. At most 4 MiB are on the way.
    """
    member: io.BufferedWriter = igzip_threaded.open(sink, "wb", LEVEL, threads=1, block_size=PIECE)
    return member


class ArchiveHasher:
    """Counts and hashes both sides of a compressed archive."""

    def __init__(self) -> None:
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._archive_size = 0
        self._archive_sha256 = hashlib.sha256()

    def compressed(self, piece: bytes) -> bytes:
        """Count a piece of the gzip file, and return it."""
        self._size += len(piece)
        self._md5.update(piece)
        self._sha256.update(piece)
        return piece

    def uncompressed(self, piece: bytes) -> bytes:
        """Count a piece of the uncompressed archive, and return it."""
        self._archive_size += len(piece)
        self._archive_sha256.update(piece)
        return piece

    def digests(self, *, canonical: bool) -> ArchiveDigests:
        """Return the sizes and digests so far."""
        return ArchiveDigests(
            size=self._size,
            md5=self._md5.hexdigest(),
            sha256=f"sha256:{self._sha256.hexdigest()}",
            archive_size=self._archive_size,
            archive_sha256=f"sha256:{self._archive_sha256.hexdigest()}",
            canonical=canonical,
        )
