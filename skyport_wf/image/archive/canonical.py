"""Write an image's archive in its canonical form, from an export whose layers come in any order.

Nothing is compressed twice: each layer becomes a gzip member of its own as it arrives, in a scratch file; when the
manifest gives their order, the members are joined. A gzip file may consist of many members (RFC 1952, 2.2), and
all readers of archives cope with it: docker, podman, skopeo, containerd, an AWE worker.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from isal import igzip_threaded

from skyport_wf.byte_streams import PIECE, ByteStream, ChunkReader, RawStream, pieces_of
from skyport_wf.image.archive.compression import gzip_member
from skyport_wf.image.archive.hashing import ArchiveHasher
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
from skyport_wf.image.archive.spooling import SpooledLayer, read_spooled, spool_layer
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image_list.reference import ImageReference
from skyport_wf.output_file import OutputFile, replace_file, scratch_file


class _SpooledImage(msgspec.Struct, frozen=True):
    """An image whose layers are in the scratch file."""

    image: ArchivedImage
    layers: dict[str, SpooledLayer]
    """By diff id."""
    scratch: OutputFile


def save_canonical(
    source: ByteStream, reference: ImageReference, target: Path, *, base: Sequence[str] = (), image_id: str = ""
) -> SavedArchive:
    """Write the canonical, gzipped archive of the image in `source` to `target`, and describe it.

    source: an uncompressed archive, any layout; need not seek. Of several images the one of this id counts, or name.
    reference: the one name that the image gets.
    target: replaced when all is written and on the disk; its folder takes twice the compressed size meanwhile.
    base: the diff ids of the layers that the archive is to leave out, the lowest first; the manifest lists them.
    Raises ArchiveError if the archive is not one of exactly one image, complete and undamaged, or if that does not
    begin with the layers of `base`; SkyportError if the folder is full or not writable. Exceptions of `source` pass
    through. Nothing is left behind then.
    """
    with scratch_file(target.parent) as scratch:
        spooled = _spool_image(source, reference, image_id, base, scratch)
        with replace_file(target) as file:
            return _write_image(spooled, reference, base, file)


@contextmanager
def canonical_file(
    source: ByteStream, reference: ImageReference, folder: Path, *, base: Sequence[str] = (), image_id: str = ""
) -> Iterator[tuple[OutputFile, SavedArchive]]:
    """Write the same as `save_canonical` to a file without a name, which is gone after the `with` statement.

    folder: whose disk the file takes.
    """
    with scratch_file(folder) as file:
        with scratch_file(folder) as scratch:
            spooled = _spool_image(source, reference, image_id, base, scratch)
            saved = _write_image(spooled, reference, base, file)
        yield file, saved


def _spool_image(
    source: ByteStream, reference: ImageReference, image_id: str, base: Sequence[str], scratch: OutputFile
) -> _SpooledImage:
    archive = ArchiveReader(source, wanted=str(reference), image_id=image_id)
    spooled: dict[str, SpooledLayer] = {}
    for layer in archive.layers():
        found = spool_layer(layer, scratch)
        if not layer.damage:
            spooled.setdefault(found.diff_id, found)
    image = archive.image()
    if tuple(layer.diff_id for layer in image.contents.layers[: len(base)]) != tuple(base):
        raise archive.error("holds an image that is not built on its base image", "Build it again.")
    return _SpooledImage(image, spooled, scratch)


def _write_image(
    spooled: _SpooledImage, reference: ImageReference, base: Sequence[str], file: OutputFile
) -> SavedArchive:
    hasher = ArchiveHasher()

    def written() -> Iterator[bytes]:
        for piece in _members(spooled, reference, base, hasher):
            file.write(piece)
            yield piece

    # Decompressed as it is written, in a thread of its own: it is the uncompressed archive that has to be stable.
    with igzip_threaded.open(RawStream(ChunkReader(written())), "rb", block_size=PIECE) as archive:
        for piece in pieces_of(archive):
            hasher.uncompressed(piece)
    return SavedArchive(spooled.image.contents, hasher.digests(canonical=True))


def _members(
    spooled: _SpooledImage, reference: ImageReference, base: Sequence[str], hasher: ArchiveHasher
) -> Iterator[bytes]:
    """Yield the gzip file. A layer is a member alone; headers and padding between two are a small one."""
    contents = spooled.image.contents
    config, layers = config_name(contents.image_id), canonical_layer_names(contents)
    manifest = manifest_document(config=config, name=str(reference), layers=layers)
    between = tar_file(MANIFEST, manifest) + tar_file(config, spooled.image.config)
    # A layer of the base that comes again further up is not found there by who loads the archive: it stays in.
    kept = dict.fromkeys(layer.diff_id for layer in contents.layers[len(base) :])
    lowest_first = dict.fromkeys(layer.diff_id for layer in contents.layers)
    for diff_id in filter(kept.__contains__, lowest_first):
        layer = spooled.layers[diff_id]
        yield hasher.compressed(gzip_member(between + tar_header(layer_name(diff_id), layer.size)))
        hasher.begin_layer()
        yield from map(hasher.of_layer, read_spooled(layer, spooled.scratch))
        hasher.end_layer(diff_id)
        between = padding(layer.size)
    yield hasher.compressed(gzip_member(between + END))
