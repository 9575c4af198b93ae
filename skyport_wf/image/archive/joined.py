"""The canonical archive of an image whose layers are there as gzip already: they are joined, and not compressed again.

Each layer stays byte for byte what it was, so that whoever knows it by its digest finds it as a range of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from skyport_wf.byte_streams import ByteStream, ChunkReader
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import CompressionError, gzip_member
from skyport_wf.image.archive.config_check import check_config
from skyport_wf.image.archive.hashing import ArchiveHasher
from skyport_wf.image.archive.layers import require_loadable
from skyport_wf.image.archive.layout import END, config_name, layer_name, padding, tar_file, tar_header
from skyport_wf.image.archive.manifest import image_id, manifest_document, parse_config
from skyport_wf.image.archive.reader import MANIFEST
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
from skyport_wf.image.contents import ImageContents, SavedArchive
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.side_reader import SideReader

_PIECE: Final = 1 << 18
"""Bytes of a piece of the uncompressed archive."""


class GzippedLayer(msgspec.Struct, frozen=True):
    """A layer as gzip."""

    size: int
    """Bytes of the uncompressed layer."""
    open: Callable[[], Iterator[bytes]]
    """Returns its compressed bytes in pieces of at most 1 MiB."""
    digest: str = ""
    """Of the compressed bytes; empty if it is not known that they have it."""
    is_known: bool = False
    """Whether what bytes of this digest unpack to is known to have the diff id."""


class JoinedArchive:
    """Iterates over pieces of a gzip file, once; afterwards `result` describes it.

    Iterating raises ArchiveError, so that the file never ends well, if the layers are not those of the config, or if no
    Docker loads the image that they make; exceptions of the layers pass through.
    """

    def __init__(
        self,
        reference: ImageReference,
        config: bytes,
        layer: Callable[[str], GzippedLayer],
        *,
        examine: Callable[[ByteStream], tuple[ImageContents, str]],
        manifest: bytes,
        md5: bool = True,
    ) -> None:
        """Begin with nothing read.

        reference: the name that the image gets.
        config: the config JSON.
        layer: returns the layer of a diff id; called once for each that the config names, when its turn comes.
        examine: reads the uncompressed archive; returns its image and the packed list of packages, and raises
            ArchiveError if no Docker loads it.
        manifest: the one by which a registry knows the image.
        md5: whether `result` tells the MD5; without, its place is empty, for whoever is told it by a Shock.
        """
        self._manifest = manifest
        self._examine = examine
        self._reference = reference
        self._config = config
        self._layer = layer
        self._hasher = ArchiveHasher(md5=md5)
        self.result: SavedArchive

    def __iter__(self) -> Iterator[bytes]:
        # Seen at once, before layers are fetched and sent for nothing.
        require_loadable(check_config(self._config), name=str(self._reference))
        # Decompressed and checked on the side: it takes longer than all else that is done with a piece.
        with SideReader(self._check) as checked:
            held = b""
            for piece in self._members():
                if held:
                    yield held
                checked.write(piece)
                held = piece
            contents, packages = checked.finish()
            digests = self._hasher.digests(canonical=True)
            self.result = SavedArchive(contents, digests, packages, self._manifest.decode())
            yield held

    def _members(self) -> Iterator[bytes]:
        """Yield the gzip file. A layer is there as it came; headers and padding between two are a small member."""
        diff_ids = parse_config(self._config).rootfs.diff_ids or ()
        config = config_name(image_id(self._config))
        manifest = manifest_document(config=config, name=str(self._reference), layers=tuple(map(layer_name, diff_ids)))
        between = tar_file(MANIFEST, manifest) + tar_file(config, self._config)
        for diff_id in dict.fromkeys(diff_ids):
            layer = self._layer(diff_id)
            header = tar_header(layer_name(diff_id), layer.size)
            yield self._hasher.compressed(gzip_member(between + header))
            self._hasher.begin_layer()
            yield from map(self._hasher.compressed if layer.digest else self._hasher.of_layer, layer.open())
            self._hasher.end_layer(diff_id, digest=layer.digest)
            between = padding(layer.size)
        yield self._hasher.compressed(gzip_member(between + END))

    def _check(self, stored: ByteStream) -> tuple[ImageContents, str]:
        """Read the gzip file; return its image and the packages in that.

        Raises ArchiveError if it is damaged, or is no archive of an image that Docker loads.
        """
        try:
            # In a thread more: to decompress and to examine take about as long.
            with SideReader(self._examine) as examined:
                archive = ChunkReader(decompressed_strictly(stored))
                # Small ones, as several wait for the other thread at a time.
                while piece := archive.read(_PIECE):
                    examined.write(self._hasher.uncompressed(piece))
                return examined.finish()
        except (CompressionError, EOFError) as error:
            raise ArchiveError(f"{self._reference}: a layer cannot be decompressed ({error})") from error
