"""Sizes and digests of a gzipped archive that is being written."""

import hashlib

from skyport_wf.image.contents import ArchiveDigests, StoredLayer


class ArchiveHasher:
    """Counts and hashes both sides of a compressed archive, and where its layers lie."""

    def __init__(self, *, md5: bool = True) -> None:
        """Begin with nothing counted. md5: whether to compute the MD5 of the gzip file, which takes the longest."""
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._sha256 = hashlib.sha256()
        self._archive_size = 0
        self._archive_sha256 = hashlib.sha256()
        self._layers: list[StoredLayer] = []
        self._layer_offset = 0
        self._layer_sha256 = hashlib.sha256()

    def compressed(self, piece: bytes) -> bytes:
        """Count a piece of the gzip file, and return it."""
        self._size += len(piece)
        if self._md5:
            self._md5.update(piece)
        self._sha256.update(piece)
        return piece

    def begin_layer(self) -> None:
        """Take note that the gzip member of a layer begins here."""
        self._layer_offset, self._layer_sha256 = self._size, hashlib.sha256()

    def of_layer(self, piece: bytes) -> bytes:
        """Count a piece of the gzip file that belongs to a layer's member, and return it."""
        self._layer_sha256.update(piece)
        return self.compressed(piece)

    def end_layer(self, diff_id: str, *, digest: str = "") -> None:
        """Take note that the member of this layer ends here.

        digest: the member's, if it is known already; then its pieces need not be counted as those of a layer.
        """
        size = self._size - self._layer_offset
        digest = digest or f"sha256:{self._layer_sha256.hexdigest()}"
        self._layers.append(StoredLayer(diff_id, self._layer_offset, size, digest))

    def uncompressed(self, piece: bytes) -> bytes:
        """Count a piece of the uncompressed archive, and return it."""
        self._archive_size += len(piece)
        self._archive_sha256.update(piece)
        return piece

    def digests(self, *, canonical: bool) -> ArchiveDigests:
        """Return the sizes and digests so far."""
        return ArchiveDigests(
            size=self._size,
            md5=self._md5.hexdigest() if self._md5 else "",
            sha256=f"sha256:{self._sha256.hexdigest()}",
            archive_size=self._archive_size,
            archive_sha256=f"sha256:{self._archive_sha256.hexdigest()}",
            canonical=canonical,
            layers=tuple(self._layers),
        )
