"""The canonical archive of an image whose layers are there as gzip already: they are joined, and not compressed again.

Each layer stays byte for byte what it was, so that whoever knows it by its digest finds it as a range of the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from skyport_wf.byte_streams import ChunkReader
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import CompressionError, decompressed, gzip_member
from skyport_wf.image.archive.hashing import ArchiveHasher
from skyport_wf.image.archive.layers import CheckedImage, check_archive
from skyport_wf.image.archive.layout import END, config_name, layer_name, padding, tar_file, tar_header
from skyport_wf.image.archive.manifest import image_id, manifest_document, parse_config
from skyport_wf.image.archive.reader import MANIFEST
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.side_reader import SideReader


class GzippedLayer(msgspec.Struct, frozen=True):
    """A layer as gzip."""

    size: int
    """Bytes of the uncompressed layer."""
    open: Callable[[], Iterator[bytes]]
    """Returns its compressed bytes in pieces of at most 1 MiB."""


class JoinedArchive:
    """Iterates over pieces of a gzip file, once; afterwards `result` describes it.

    Iterating raises ArchiveError, so that the file never ends well, if the layers are not those of the config, or if no
    Docker loads the image that they make; exceptions of the layers pass through.
    """

    def __init__(self, reference: ImageReference, config: bytes, layers: dict[str, GzippedLayer]) -> None:
        """Begin with nothing read.

        reference: the name that the image gets.
        config: the config JSON.
        layers: by diff id; each that the config names.
        """
        self._reference = reference
        self._config = config
        self._layers = layers
        self._hasher = ArchiveHasher()
        self.result: SavedArchive

    def __iter__(self) -> Iterator[bytes]:
        # In a thread of its own, while it is made: decompressing it twice would take longer.
        with SideReader(partial(check_archive, wanted=str(self._reference))) as checked:
            yield from self._members(checked)

    def _members(self, checked: SideReader[CheckedImage]) -> Iterator[bytes]:
        diff_ids = parse_config(self._config).rootfs.diff_ids or ()
        config = config_name(image_id(self._config))
        manifest = manifest_document(config=config, name=str(self._reference), layers=tuple(map(layer_name, diff_ids)))
        between = tar_file(MANIFEST, manifest) + tar_file(config, self._config)
        for diff_id in dict.fromkeys(diff_ids):
            layer = self._layers[diff_id]
            yield self._small(between + tar_header(layer_name(diff_id), layer.size), checked)
            self._hasher.begin_layer()
            yield from self._layer(diff_id, layer, checked)
            self._hasher.end_layer(diff_id)
            between = padding(layer.size)
        last = self._small(between + END, checked)
        contents = checked.finish().contents
        self.result = SavedArchive(contents, self._hasher.digests(canonical=True))
        yield last

    def _layer(self, diff_id: str, layer: GzippedLayer, checked: SideReader[CheckedImage]) -> Iterator[bytes]:
        passed: deque[bytes] = deque()

        def stored() -> Iterator[bytes]:
            for piece in layer.open():
                passed.append(piece)
                yield piece

        try:
            for piece in decompressed(ChunkReader(stored()), "gzip"):
                checked.write(self._hasher.uncompressed(piece))
                while passed:
                    yield self._hasher.of_layer(passed.popleft())
        except (CompressionError, EOFError) as error:
            raise ArchiveError(f"{self._reference}: layer {diff_id} cannot be decompressed ({error})") from error
        yield from map(self._hasher.of_layer, passed)

    def _small(self, data: bytes, checked: SideReader[CheckedImage]) -> bytes:
        checked.write(self._hasher.uncompressed(data))
        return self._hasher.compressed(gzip_member(data))
