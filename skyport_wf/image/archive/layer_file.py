"""A layer in an archive that streams by: its bytes, plain or compressed, and its digest on the way."""

import hashlib
import io
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from isal import igzip

from skyport_wf.image.archive.gzip_file import GZIP_ERRORS
from skyport_wf.image.archive.tar_reader import PIECE, Member, TarReader
from skyport_wf.image.archive.unpacking import UnpackingLimit, check_expansion

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class LayerFile:
    """A file of the archive that may be a layer of the image. It can be read once, and only when it comes by."""

    def __init__(self, tar: TarReader, member: Member, limit: UnpackingLimit, *, compressed: bool) -> None:
        self.name = member.name
        self.stored_size = member.size
        """Bytes in the archive."""
        self.compressed = compressed
        """Whether the archive has it gzipped, as containerd's image store exports layers."""
        self.size = 0
        """Bytes of what has been read of the uncompressed layer."""
        self._tar = tar
        self._limit = limit
        self._digest = hashlib.sha256()

    @property
    def diff_id(self) -> str:
        """`sha256:` and the SHA-256 of what has been read of the uncompressed layer."""
        return f"sha256:{self._digest.hexdigest()}"

    def pieces(self) -> Iterator[bytes]:
        """Yield the uncompressed layer in pieces of at most 1 MiB."""
        stored = _StoredBytes(self._tar)
        return self._hash(self._decompress(stored) if self.compressed else iter(stored))

    def stored_pieces(self) -> Iterator[bytes]:
        """Yield the layer as the archive has it, in pieces of at most 1 MiB."""
        if not self.compressed:
            yield from self.pieces()
            return
        seen: deque[bytes] = deque()
        for _ in self._hash(self._decompress(_StoredBytes(self._tar, seen))):
            while seen:
                yield seen.popleft()
        yield from seen

    def _hash(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._digest.update(piece)
            self.size += len(piece)
            yield piece

    def _decompress(self, stored: "_StoredBytes") -> Iterator[bytes]:
        try:
            with igzip.IGzipFile(fileobj=stored, mode="rb") as file:
                while piece := file.read(PIECE):
                    self._limit.take(len(piece))
                    check_expansion(f"{self._tar.name}: {self.name}", stored=stored.taken, unpacked=self.size)
                    yield piece
        except GZIP_ERRORS as error:
            raise self._tar.error(f"is damaged: {self.name} cannot be decompressed ({error})") from error


class _StoredBytes(io.RawIOBase):
    """The current member of a tar as a file for the decompressor, which copies what it reads to `seen`."""

    def __init__(self, tar: TarReader, seen: deque[bytes] | None = None) -> None:
        self._tar = tar
        self._seen = seen
        self.taken = 0
        """Bytes that were read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        with memoryview(buffer) as view:
            piece = self._tar.read(min(len(view), PIECE))
            view[: len(piece)] = piece
        self.taken += len(piece)
        if self._seen is not None:
            self._seen.append(piece)
        return len(piece)

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._tar.read(PIECE):
            yield piece
