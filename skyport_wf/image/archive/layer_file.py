"""A layer in an archive that streams by: its bytes, plain or compressed, and its digest on the way."""

import hashlib
from collections import deque
from collections.abc import Iterator

from skyport_wf.byte_streams import ByteStream, ChunkReader, RawStream, pieces_of
from skyport_wf.image.archive.compression import CompressionError, decompressed
from skyport_wf.image.archive.limits import UnpackingLimit, check_expansion
from skyport_wf.image.tar.reader import TarReader


class LayerFile:
    """A file of the archive that may be a layer of the image. It can be read once, and only when it comes by."""

    def __init__(
        self,
        tar: TarReader,
        name: str,
        stored_size: int,
        limit: UnpackingLimit,
        *,
        compression: str = "",
        diff_id: str = "",
    ) -> None:
        """Begin with nothing read. diff_id: the layer's, if it is known that it has this one."""
        self.name = name
        self.stored_size = stored_size
        """Bytes in the archive."""
        self.compression = compression
        """The format that the archive has it in, as containerd's image store exports gzip; empty if it is plain."""
        self.size = 0
        """Bytes of the uncompressed layer that have been read."""
        self.damage = ""
        """Why no more of it could be decompressed; empty if it could, so far."""
        self._tar = tar
        self._limit = limit
        self._known = diff_id
        self._digest = hashlib.sha256()
        self._pieces = self._hash(self._decompress(tar) if compression else pieces_of(tar))

    @property
    def diff_id(self) -> str:
        """`sha256:` and the SHA-256 of the uncompressed layer, as far as it has been read."""
        return self._known or f"sha256:{self._digest.hexdigest()}"

    def pieces(self) -> Iterator[bytes]:
        """Yield the rest of the uncompressed layer, in pieces of at most 1 MiB; as far as it can be decompressed.

        Only the manifest tells whether a damaged file is a layer of the image, and that may come last.
        """
        return self._pieces

    def stored_pieces(self) -> Iterator[bytes]:
        """Yield the layer as the archive has it, in pieces of at most 1 MiB."""
        if not self.compression:
            yield from self._pieces
            return
        seen: deque[bytes] = deque()

        def stored() -> Iterator[bytes]:
            for piece in pieces_of(self._tar):
                seen.append(piece)
                yield piece

        # Decompressed all the same: it has to have the digest that the image's config says.
        for _ in self._hash(self._decompress(ChunkReader(stored()))):
            while seen:
                yield seen.popleft()
        yield from seen
        # If it is damaged, there is more of it than was decompressed.
        yield from pieces_of(self._tar)

    def _hash(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if not self._known:
                self._digest.update(piece)
            self.size += len(piece)
            yield piece

    def _decompress(self, stored: ByteStream) -> Iterator[bytes]:
        counted = RawStream(stored)
        try:
            for piece in decompressed(counted, self.compression):
                self._limit.take(len(piece))
                check_expansion(f"{self._tar.name}: {self.name}", stored=counted.taken, unpacked=self.size)
                yield piece
        except (CompressionError, EOFError) as error:
            self.damage = f"is damaged: {self.name} cannot be decompressed ({error})"
