"""Turn a docker archive into gzip as it streams by, without a file: the engine's order of layers, fixed headers.

Stable bytes on one engine. Making it canonical would need the layers in their order, which Docker up to 24 does not
send them in (see `skyport_wf.image.archive.canonical`).
"""

from collections import deque
from collections.abc import Generator, Iterator
from typing import Self

from skyport_wf.image.archive.canonical_layout import (
    END,
    canonical_layer_names,
    config_name,
    layer_name,
    padding,
    tar_file,
    tar_header,
)
from skyport_wf.image.archive.gzip_file import ArchiveHasher, open_gzip_member
from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.image.archive.manifest import image_id, manifest_document
from skyport_wf.image.archive.reader import MANIFEST, ArchiveReader
from skyport_wf.image.archive.tar_reader import ByteStream
from skyport_wf.image.contents import ImageContents, SavedArchive
from skyport_wf.image_list.reference import ImageReference


def normalise_stream(source: ByteStream, reference: ImageReference) -> "NormalisedStream":
    """Return an iterator over the gzip file that `source` becomes.

    source: an uncompressed docker archive of one image, any layout; read only as far as the iteration goes.
    reference: the one name that the image gets.
    """
    return NormalisedStream(source, reference)


class NormalisedStream:
    """Iterates over pieces of a gzip file, 1 MiB at most; afterwards `result` tells what went by.

    Iterating raises ArchiveError if the archive is not one of exactly one image, complete and undamaged, so that the
    gzip file never ends well; what `source` raises passes through. `close` ends it early.
    """

    def __init__(self, source: ByteStream, reference: ImageReference) -> None:
        self._tar = _NormalisedTar(ArchiveReader(source), str(reference))
        self._pieces = self._compressed()
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

    def _compressed(self) -> Generator[bytes, None, None]:
        hasher = ArchiveHasher()
        ready = _Ready()
        with open_gzip_member(ready) as member:
            for piece in self._tar.pieces():
                member.write(hasher.uncompressed(piece))
                while ready:
                    yield hasher.compressed(ready.popleft())
        while ready:
            yield hasher.compressed(ready.popleft())
        contents = self._tar.contents()
        self._result = SavedArchive(contents, hasher.digests(canonical=self._tar.is_canonical()))


class _Ready(deque[bytes]):
    """Compressed pieces, handed from the thread that compresses to the one that sends."""

    write = deque.append

    def flush(self) -> None:
        """Nothing is held back."""


class _NormalisedTar:
    """The uncompressed archive: layers as they come, then config and manifest, which only now are known.

    Unless they come first and are those of a canonical archive: such an archive stays as it is.
    """

    def __init__(self, archive: ArchiveReader, name: str) -> None:
        self._archive = archive
        self._name = name
        self._written: list[str] = []
        self._any_compressed = False

    def contents(self) -> ImageContents:
        """Return what went by, after the last piece."""
        return self._archive.image().contents

    def is_canonical(self) -> bool:
        """Return whether what went by is the image's canonical archive, after the last piece."""
        contents = self.contents()
        layers = dict.fromkeys(canonical_layer_names(contents))
        canonical = [MANIFEST, config_name(contents.image_id), *layers]
        return self._written == canonical and not self._any_compressed

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive in pieces of at most 1 MiB. Raises ArchiveError."""
        for layer in self._archive.layers():
            if not self._written:
                yield self._early_head()
            yield from self._layer(layer)
        image = self._archive.image()
        if MANIFEST not in self._written:
            yield self._head(image.config, image.layers)
        else:
            self._check_announced(canonical_layer_names(image.contents))
        yield END

    def _check_announced(self, layers: tuple[str, ...]) -> None:
        """Check that the layers of a manifest that went first came by under their names, and not as links."""
        for name in layers:
            if name not in self._written:
                raise self._archive.error(f"has a link in place of its layer {name}")

    def _early_head(self) -> bytes:
        """Return manifest and config if they have come by and fit the canonical layout, or nothing."""
        head = self._archive.head()
        if head is None:
            return b""
        entry, document, config = head
        layers = tuple(map(layer_name, config.rootfs.diff_ids or ()))
        if entry.layers != layers or entry.config != config_name(image_id(document)):
            return b""
        return self._head(document, layers)

    def _head(self, config: bytes, layers: tuple[str, ...]) -> bytes:
        manifest_path, config_path = self._add(MANIFEST), self._add(config_name(image_id(config)))
        manifest = manifest_document(config=config_path, name=self._name, layers=layers)
        return tar_file(manifest_path, manifest) + tar_file(config_path, config)

    def _layer(self, layer: LayerFile) -> Iterator[bytes]:
        self._any_compressed |= layer.compressed
        yield tar_header(self._add(layer.name), layer.stored_size)
        yield from layer.stored_pieces()
        yield padding(layer.stored_size)

    def _add(self, name: str) -> str:
        if name in self._written:
            raise self._archive.error(f"holds {name} as two different things")
        self._written.append(name)
        return name
