"""The canonical archive of an image whose layers are there as gzip already: they are joined, and not compressed again.

Each layer stays byte for byte what it was, so that whoever knows it by its digest finds it as a range of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from skyport_wf.byte_streams import ByteStream, ChunkReader
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import CompressionError, decompressed, gzip_member
from skyport_wf.image.archive.hashing import ArchiveHasher
from skyport_wf.image.archive.layers import check_archive
from skyport_wf.image.archive.layout import END, config_name, layer_name, padding, tar_file, tar_header
from skyport_wf.image.archive.manifest import image_id, manifest_document, parse_config
from skyport_wf.image.archive.reader import MANIFEST
from skyport_wf.image.contents import ImageContents, SavedArchive
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.side_reader import SideReader


class GzippedLayer(msgspec.Struct, frozen=True):
    """A layer as gzip."""

    size: int
    """Bytes of the uncompressed layer."""
    open: Callable[[], Iterator[bytes]]
    """Returns its compressed bytes in pieces of at most 1 MiB."""


class Survey(ByteStream, Protocol):
    """A stream that is listed while it is read."""

    def packages(self) -> str:
        """Return the packed list of packages, once the stream is read; empty if it is not known."""


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
        survey: Callable[[ByteStream], AbstractContextManager[Survey]],
    ) -> None:
        """Begin with nothing read.

        reference: the name that the image gets.
        config: the config JSON.
        layer: returns the layer of a diff id; called once for each that the config names, when its turn comes.
        survey: lists the packages in the uncompressed archive while that is checked.
        """
        self._survey = survey
        self._reference = reference
        self._config = config
        self._layer = layer
        self._hasher = ArchiveHasher()
        self.result: SavedArchive

    def __iter__(self) -> Iterator[bytes]:
        # Decompressed and checked on the side: it takes longer than all else that is done with a piece.
        with SideReader(self._check) as checked:
            held = b""
            for piece in self._members():
                if held:
                    yield held
                checked.write(piece)
                held = piece
            contents, packages = checked.finish()
            self.result = SavedArchive(contents, self._hasher.digests(canonical=True), packages)
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
            yield from map(self._hasher.of_layer, layer.open())
            self._hasher.end_layer(diff_id)
            between = padding(layer.size)
        yield self._hasher.compressed(gzip_member(between + END))

    def _check(self, stored: ByteStream) -> tuple[ImageContents, str]:
        """Read the gzip file; return its image and the packages in that.

        Raises ArchiveError if it is damaged, or is no archive of an image that Docker loads.
        """
        archive = ChunkReader(map(self._hasher.uncompressed, decompressed(stored, "gzip")))
        try:
            with self._survey(archive) as surveyed:
                return check_archive(surveyed, wanted=str(self._reference)).contents, surveyed.packages()
        except (CompressionError, EOFError) as error:
            raise ArchiveError(f"{self._reference}: a layer cannot be decompressed ({error})") from error
