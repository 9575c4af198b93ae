"""Turn an image's archive into gzip as it streams by, without a file: the engine's order of layers, fixed headers.

Stable bytes on one engine. Making it canonical would need the layers in their order, which Docker up to 24 does not
send them in (see `skyport_wf.image.archive.canonical`). Each layer is a gzip member of its own.
"""

import tempfile
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

from skyport_wf.byte_streams import ByteStream, ChunkReader
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import decompressed, gzip_member, open_gzip_member
from skyport_wf.image.archive.hashing import ArchiveHasher
from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.image.archive.layout import (
    END,
    canonical_layer_names,
    config_name,
    layer_name,
    padding,
    tar_file,
    tar_header,
)
from skyport_wf.image.archive.manifest import image_id, manifest_document
from skyport_wf.image.archive.reader import MANIFEST, ArchiveReader
from skyport_wf.image.archive.spooling import read_spooled, spool_layer
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.output_file import scratch_file

_HELD = 8
"""Bytes at the end of a gzip member: checksum and size of what is in it."""


class OtherLayersError(ArchiveError):
    """The archive holds layers of other images, too, so that it cannot be passed on as it comes."""


class NormalisedStream:
    """Iterates over pieces of a gzip file, 1 MiB at most; afterwards `result` describes it.

    Iterating raises ArchiveError if the archive is not one of exactly one image, complete and undamaged, so that the
    gzip file never ends well; exceptions of `source` pass through. `close` ends it early.
    """

    def __init__(self, source: ByteStream, reference: ImageReference, *, image_id: str = "") -> None:
        """Begin with nothing read.

        source: an uncompressed archive of one image, any layout; read only as far as the iteration goes.
        reference: the one name that the image gets.
        image_id: of the image, if it is known, where `source` has several.
        """
        self._archive = ArchiveReader(source, wanted=str(reference), image_id=image_id)
        self._name = str(reference)
        self._hasher = ArchiveHasher()
        self._written: dict[str, int] = {}
        self._pieces = self._held_back(self._members())
        self._result: SavedArchive | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """End the iteration, and the thread that compresses."""
        self._pieces.close()

    @property
    def result(self) -> SavedArchive:
        """The archive and its digests. Raises ValueError before the iteration is over."""
        if self._result is None:
            raise ValueError("the archive has not been read to its end")
        return self._result

    def _held_back(self, pieces: Generator[bytes]) -> Generator[bytes]:
        """Yield the last bytes only at the end: an archive with a mistake breaks off within a gzip member."""
        held = b""
        with closing(pieces):
            for piece in pieces:
                held += piece
                if len(held) > _HELD:
                    yield held[:-_HELD]
                    held = held[-_HELD:]
            yield held

    def _members(self) -> Generator[bytes]:
        """Yield the gzip file. A layer is a member alone; headers and padding between two are a small one."""
        between = b""
        for layer in self._archive.layers():
            if not self._written and (head := self._archive.head()):
                # A canonical archive has its manifest first, and stays as it is.
                entry, config, parsed = head
                names = tuple(map(layer_name, parsed.rootfs.diff_ids or ()))
                if (entry.layers, entry.config) == (names, config_name(image_id(config))):
                    between = self._head(config, names)
            yield from self._layer(layer, between)
            if layer.damage:
                continue  # if it is the image's, its end is an error
            self._hasher.end_layer(layer.diff_id)
            between = padding(layer.size)
        image = self._archive.image()
        if MANIFEST not in self._written:
            between += self._head(image.config, image.layers)
        elif missing := set(canonical_layer_names(image.contents)).difference(self._written):
            # The manifest that went first names them, and a link is not passed on.
            raise self._archive.error(f"has a link in place of its layer {min(missing)}")
        if any(self._written[name] for name in self._written.keys() - {*image.layers}):
            raise OtherLayersError(f"{self._archive.name} holds layers of other images, too. Save the image by itself.")
        yield self._small(between + END)
        contents = image.contents
        canonical = [MANIFEST, config_name(contents.image_id), *dict.fromkeys(canonical_layer_names(contents))]
        self._result = SavedArchive(contents, self._hasher.digests(canonical=[*self._written] == canonical))

    def _layer(self, layer: LayerFile, before: bytes) -> Iterator[bytes]:
        """Yield a layer with what stands before it; nothing if it turns out to be damaged."""
        if not layer.compression:
            yield self._small(before + tar_header(self._add(layer.name, layer.stored_size), layer.stored_size))
            self._hasher.begin_layer()
            ready = _Ready()
            with open_gzip_member(ready) as member:
                for piece in layer.pieces():
                    member.write(self._hasher.uncompressed(piece))
                    while ready:
                        yield self._hasher.of_layer(ready.popleft())
            yield from map(self._hasher.of_layer, ready)
            return
        # The header in front of it has its uncompressed size, which nobody knows before its end.
        with scratch_file(Path(tempfile.gettempdir())) as scratch:
            spooled = spool_layer(layer, scratch)
            if layer.damage:
                return
            yield self._small(before + tar_header(self._add(layer.name, spooled.size), spooled.size))
            self._hasher.begin_layer()
            for piece in decompressed(ChunkReader(read_spooled(spooled, scratch)), "gzip"):
                self._hasher.uncompressed(piece)
            yield from map(self._hasher.of_layer, read_spooled(spooled, scratch))

    def _small(self, data: bytes) -> bytes:
        return self._hasher.compressed(gzip_member(self._hasher.uncompressed(data)))

    def _head(self, config: bytes, layers: tuple[str, ...]) -> bytes:
        manifest_path, config_path = self._add(MANIFEST), self._add(config_name(image_id(config)))
        manifest = manifest_document(config=config_path, name=self._name, layers=layers)
        return tar_file(manifest_path, manifest) + tar_file(config_path, config)

    def _add(self, name: str, layer_size: int = 0) -> str:
        if name in self._written:
            raise self._archive.error(f"holds {name} as two different things")
        self._written[name] = layer_size
        return name


class _Ready(deque[bytes]):
    """Compressed pieces, handed from the thread that compresses to the one that sends."""

    write = deque.append

    def flush(self) -> None:
        """Nothing is held back."""
