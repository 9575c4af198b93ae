"""Write an image's archive in its canonical form, from an export whose layers come in any order.

Nothing is compressed twice: each layer becomes a gzip member of its own as it arrives, in a scratch file; when the
manifest has told their order, the members are joined. A gzip file may consist of many members (RFC 1952, 2.2), and
what reads archives copes with it: docker, podman, skopeo, containerd, an AWE worker.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from isal import igzip_threaded

from skyport_wf.image.archive.canonical_layout import (
    END,
    canonical_layer_names,
    config_name,
    layer_name,
    padding,
    tar_file,
    tar_header,
)
from skyport_wf.image.archive.gzip_file import ArchiveHasher, gzip_member, open_gzip_member
from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.image.archive.manifest import manifest_document
from skyport_wf.image.archive.reader import MANIFEST, ArchivedImage, ArchiveReader
from skyport_wf.image.archive.tar_reader import PIECE, ByteStream
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.output_file import OutputFile, replace_file, scratch_file

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _SpooledLayer(msgspec.Struct, frozen=True):
    """A layer in the scratch file, as a gzip member with the padding that follows it in a tar."""

    start: int
    end: int


class _SpooledImage(msgspec.Struct, frozen=True):
    """An image whose layers are in the scratch file."""

    image: ArchivedImage
    layers: dict[str, _SpooledLayer]
    """By diff id."""
    scratch: OutputFile


def save_canonical(
    source: ByteStream, reference: ImageReference, target: Path, *, base: Sequence[str] = ()
) -> SavedArchive:
    """Write the canonical, gzipped archive of the image in `source` to `target`, and return what was written.

    source: an uncompressed docker archive of one image, any layout; need not seek.
    reference: the one name that the image gets.
    target: replaced when all is written and on the disk; its folder takes twice the compressed size meanwhile.
    base: the diff ids of the layers that the archive is to leave out, the lowest first; the manifest lists them.
    Raises ArchiveError if the archive is not one of exactly one image, complete and undamaged, or if that does not
    begin with the layers of `base`; SkyportError if the folder is full or not writable. What `source` raises passes
    through. Nothing is left behind then.
    """
    with scratch_file(target.parent) as scratch:
        spooled = _spool_image(source, scratch, base)
        with replace_file(target) as file:
            return _write_image(spooled, reference, base, file)


@contextmanager
def canonical_file(
    source: ByteStream, reference: ImageReference, folder: Path, *, base: Sequence[str] = ()
) -> Iterator[tuple[OutputFile, SavedArchive]]:
    """Write what `save_canonical` writes to a file without a name, which is gone after the `with` statement.

    folder: whose disk the file takes.
    """
    with scratch_file(folder) as file:
        with scratch_file(folder) as scratch:
            saved = _write_image(_spool_image(source, scratch, base), reference, base, file)
        yield file, saved


def _spool_image(source: ByteStream, scratch: OutputFile, base: Sequence[str]) -> _SpooledImage:
    archive = ArchiveReader(source)
    spooled: dict[str, _SpooledLayer] = {}
    for layer in archive.layers():
        member = _spool(layer, scratch)
        spooled.setdefault(layer.diff_id, member)
    image = archive.image()
    if tuple(layer.diff_id for layer in image.contents.layers[: len(base)]) != tuple(base):
        raise archive.error("holds an image that is not built on its base image", "Build it again.")
    return _SpooledImage(image, spooled, scratch)


def _spool(layer: LayerFile, scratch: OutputFile) -> _SpooledLayer:
    """Compress the layer at the end of the scratch file."""
    start = scratch.size
    with open_gzip_member(scratch) as member:
        for piece in layer.pieces():
            member.write(piece)
        member.write(padding(layer.size))
    return _SpooledLayer(start, scratch.size)


def _write_image(
    spooled: _SpooledImage, reference: ImageReference, base: Sequence[str], file: OutputFile
) -> SavedArchive:
    hasher = _write(_members(spooled, reference, base), file)
    return SavedArchive(spooled.image.contents, hasher.digests(canonical=True))


def _members(spooled: _SpooledImage, reference: ImageReference, base: Sequence[str]) -> Iterator[bytes]:
    """Yield the gzip file: what stands between two layers is a small member of its own."""
    contents = spooled.image.contents
    config, layers = config_name(contents.image_id), canonical_layer_names(contents)
    manifest = manifest_document(config=config, name=str(reference), layers=layers)
    between = tar_file(MANIFEST, manifest) + tar_file(config, spooled.image.config)
    # A layer of the base that comes again further up is not found there by who loads the archive: it stays in.
    kept = {layer.diff_id for layer in contents.layers[len(base) :]}
    for layer in {layer.diff_id: layer for layer in contents.layers if layer.diff_id in kept}.values():
        yield gzip_member(between + tar_header(layer_name(layer.diff_id), layer.size))
        yield from _read(spooled.layers[layer.diff_id], spooled.scratch)
        between = b""
    yield gzip_member(between + END)


def _read(layer: _SpooledLayer, scratch: OutputFile) -> Iterator[bytes]:
    for start in range(layer.start, layer.end, PIECE):
        yield os.pread(scratch.descriptor, min(PIECE, layer.end - start), start)


def _write(members: Iterator[bytes], file: OutputFile) -> ArchiveHasher:
    """Write the members, and decompress what was written: it is the uncompressed archive that has to be stable."""
    hasher = ArchiveHasher()
    with igzip_threaded.open(_Written(members, file, hasher), "rb", block_size=PIECE) as archive:
        while piece := archive.read(PIECE):
            hasher.uncompressed(piece)
    return hasher


class _Written(io.RawIOBase):
    """Hands the members to the decompressor, which reads them in a thread of its own, once they are written."""

    def __init__(self, members: Iterator[bytes], file: OutputFile, hasher: ArchiveHasher) -> None:
        self._members = members
        self._file = file
        self._hasher = hasher
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if not self._rest:
            self._rest = self._hasher.compressed(next(self._members, b""))
            self._file.write(self._rest)
        with memoryview(buffer) as view:
            size = min(len(view), len(self._rest))
            view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
