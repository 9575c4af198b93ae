"""Turn a docker archive into gzip as it streams by, without a file: the engine's order of layers, fixed headers.

Stable bytes on one engine. Making it canonical would need the layers in their order, which Docker up to 24 does not
send them in (see `skyport_wf.image.archive.canonical`).
"""

from collections import deque
from collections.abc import Generator, Iterator
from typing import Self

from skyport_wf.byte_streams import ByteStream
from skyport_wf.image.archive.compression import ArchiveHasher, open_gzip_member
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
from skyport_wf.image.contents import ImageContents, SavedArchive
from skyport_wf.image_list.reference import ImageReference


def normalise_stream(source: ByteStream, reference: ImageReference) -> "NormalisedStream":
    """Return an iterator over the gzip file that `source` becomes.

    source: an uncompressed docker archive of one image, any layout; read only as far as the iteration goes.
    reference: the one name that the image gets.
    """
    return NormalisedStream(source, reference)


class NormalisedStream:
    """Iterates over pieces of a gzip file, 1 MiB at most; afterwards `result` describes it.

    Iterating raises ArchiveError if the archive is not one of exactly one image, complete and undamaged, so that the
    gzip file never ends well; exceptions of `source` pass through. `close` ends it early.
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
        """Return the image, after the last piece."""
        return self._archive.image().contents

    def is_canonical(self) -> bool:
        """Return whether this is the image's canonical archive, after the last piece."""
        contents = self.contents()
        layers = dict.fromkeys(canonical_layer_names(contents))
        canonical = [MANIFEST, config_name(contents.image_id), *layers]
        return self._written == canonical and not self._any_compressed

    def pieces(self) -> Iterator[bytes]:
        """Yield the archive in pieces of at most 1 MiB. Raises ArchiveError."""
        for layer in self._archive.layers():
            if not self._written and (head := self._archive.head()):
                entry, config, parsed = head
                names = tuple(map(layer_name, parsed.rootfs.diff_ids or ()))
                if (entry.layers, entry.config) == (names, config_name(image_id(config))):
                    yield self._head(config, names)
            self._any_compressed |= layer.compressed
            yield tar_header(self._add(layer.name), layer.stored_size)
            yield from layer.stored_pieces()
            yield padding(layer.stored_size)
        image = self._archive.image()
        if MANIFEST not in self._written:
            yield self._head(image.config, image.layers)
        elif missing := set(canonical_layer_names(image.contents)).difference(self._written):
            # The manifest that went first names them, and a link is not passed on.
            raise self._archive.error(f"has a link in place of its layer {min(missing)}")
        yield END

    def _head(self, config: bytes, layers: tuple[str, ...]) -> bytes:
        manifest_path, config_path = self._add(MANIFEST), self._add(config_name(image_id(config)))
        manifest = manifest_document(config=config_path, name=self._name, layers=layers)
        return tar_file(manifest_path, manifest) + tar_file(config_path, config)

    def _add(self, name: str) -> str:
        if name in self._written:
            raise self._archive.error(f"holds {name} as two different things")
        self._written.append(name)
        return name
