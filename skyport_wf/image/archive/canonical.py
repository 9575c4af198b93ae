"""Write an image's archive in its canonical form, from an export whose layers come in any order.

Nothing is compressed twice: each layer becomes a gzip member of its own as it arrives, in a scratch file; when the
manifest gives their order, the members are joined. A gzip file may consist of many members (RFC 1952, 2.2), and
all readers of archives cope with it: docker, podman, skopeo, containerd, an AWE worker.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from isal import igzip_threaded

from skyport_wf.byte_streams import PIECE, ByteStream, ChunkReader, RawStream, pieces_of
from skyport_wf.image.archive.compression import ArchiveHasher, gzip_member, open_gzip_member
from skyport_wf.image.archive.layout import (
    END,
    canonical_layer_names,
    config_name,
    layer_name,
    padding,
    tar_file,
    tar_header,
)
from skyport_wf.image.archive.manifest import manifest_document
from skyport_wf.image.archive.reader import MANIFEST, ArchivedImage, ArchiveReader
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.output_file import OutputFile, replace_file, scratch_file


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
    """Write the canonical, gzipped archive of the image in `source` to `target`, and describe it.

    source: an uncompressed docker archive of one image, any layout; need not seek.
    reference: the one name that the image gets.
    target: replaced when all is written and on the disk; its folder takes twice the compressed size meanwhile.
    base: the diff ids of the layers that the archive is to leave out, the lowest first; the manifest lists them.
    Raises ArchiveError if the archive is not one of exactly one image, complete and undamaged, or if that does not
    begin with the layers of `base`; SkyportError if the folder is full or not writable. Exceptions of `source` pass
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
    """Write the same as `save_canonical` to a file without a name, which is gone after the `with` statement.

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
        start = scratch.size
        with open_gzip_member(scratch) as member:
            for piece in layer.pieces():
                member.write(piece)
            member.write(padding(layer.size))
        spooled.setdefault(layer.diff_id, _SpooledLayer(start, scratch.size))
    image = archive.image()
    if tuple(layer.diff_id for layer in image.contents.layers[: len(base)]) != tuple(base):
        raise archive.error("holds an image that is not built on its base image", "Build it again.")
    return _SpooledImage(image, spooled, scratch)


def _write_image(
    spooled: _SpooledImage, reference: ImageReference, base: Sequence[str], file: OutputFile
) -> SavedArchive:
    hasher = ArchiveHasher()

    def written() -> Iterator[bytes]:
        for piece in _members(spooled, reference, base):
            file.write(hasher.compressed(piece))
            yield piece

    # Decompressed as it is written, in a thread of its own: it is the uncompressed archive that has to be stable.
    with igzip_threaded.open(RawStream(ChunkReader(written())), "rb", block_size=PIECE) as archive:
        for piece in pieces_of(archive):
            hasher.uncompressed(piece)
    return SavedArchive(spooled.image.contents, hasher.digests(canonical=True))


def _members(spooled: _SpooledImage, reference: ImageReference, base: Sequence[str]) -> Iterator[bytes]:
    """Yield the gzip file: the headers between two layers are a small member of their own."""
    contents = spooled.image.contents
    config, layers = config_name(contents.image_id), canonical_layer_names(contents)
    manifest = manifest_document(config=config, name=str(reference), layers=layers)
    between = tar_file(MANIFEST, manifest) + tar_file(config, spooled.image.config)
    # A layer of the base that comes again further up is not found there by who loads the archive: it stays in.
    kept = {layer.diff_id for layer in contents.layers[len(base) :]}
    for layer in {layer.diff_id: layer for layer in contents.layers if layer.diff_id in kept}.values():
        yield gzip_member(between + tar_header(layer_name(layer.diff_id), layer.size))
        member = spooled.layers[layer.diff_id]
        for start in range(member.start, member.end, PIECE):
            yield os.pread(spooled.scratch.descriptor, min(PIECE, member.end - start), start)
        between = b""
    yield gzip_member(between + END)
