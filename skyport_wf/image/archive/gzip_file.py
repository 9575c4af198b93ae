"""How archives are compressed, and what is counted and hashed on the way."""

import hashlib
import io
from typing import Final, Protocol

from isal import igzip, igzip_threaded, isal_zlib

from skyport_wf.image.archive.tar_reader import PIECE
from skyport_wf.image.contents import ArchiveDigests

LEVEL: Final = 2
"""ISA-L's level: as fast as 1 on images, where reading and hashing take as long, and 1 % smaller; 3 is slower."""

GZIP_ERRORS: Final[tuple[type[Exception], ...]] = (
    EOFError,
    igzip.BadGzipFile,
    isal_zlib.IsalError,  # type: ignore[assignment]  # isal's stub makes it an instance
)
"""What reading a gzip file raises if it breaks off or is damaged."""


class ByteSink(Protocol):
    """Where compressed bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""

    def flush(self) -> object:
        """Called at the end."""


def gzip_member(data: bytes) -> bytes:
    """Return `data` as one gzip member."""
    member: bytes = isal_zlib.compress(data, LEVEL, isal_zlib.MAX_WBITS | 16)
    return member


def open_gzip_member(sink: ByteSink) -> io.BufferedWriter:
    """Return a file, to use in a `with` statement, that compresses in a thread of its own into one gzip member.

    What `sink` raises comes back from writing or closing. At most 4 MiB are on the way.
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
        """Return what was counted."""
        return ArchiveDigests(
            size=self._size,
            md5=self._md5.hexdigest(),
            sha256=f"sha256:{self._sha256.hexdigest()}",
            archive_size=self._archive_size,
            archive_sha256=f"sha256:{self._archive_sha256.hexdigest()}",
            canonical=canonical,
        )
