"""The layers of an image that is being pushed: of the blobs that came, and of images that are published already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.byte_streams import ChunkReader
from skyport_wf.decoding import decode_json
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import ByteSink, open_gzip_member
from skyport_wf.image.archive.joined import GzippedLayer
from skyport_wf.image.archive.layer_scan import LayerFacts, compress_layer, scan_layer
from skyport_wf.output_file import replace_file
from skyport_wf.registry.refusals import BlobUnknownError, ManifestBlobUnknownError, ManifestInvalidError
from skyport_wf.registry.staging import STAGED_PIECE, gzip_of, note_of, read_pieces, require_room
from skyport_wf.registry.stored_image import StoredBlob
from skyport_wf.shock.file_part import read_exactly

if TYPE_CHECKING:
    from skyport_wf.image.distribution.parsing import ImageManifest
    from skyport_wf.registry.context import RequestContext


def examine_layer(path: Path) -> LayerFacts:
    """Return what a pushed blob is as a layer, which is noted beside it.

    One that is not gzip, or not as Docker reads it, is compressed into a file beside it.
    Raises ArchiveError if it is no layer, TooManyError if the disk is full.
    """
    note = note_of(path)
    with suppress(OSError, msgspec.DecodeError):
        noted = decode_json(note.read_bytes(), LayerFacts)
        # What came in several pieces was looked at only in part.
        if noted.stored == path.stat().st_size and (noted.is_kept or gzip_of(path).exists()):
            return noted
    with ExitStack() as opened:

        def sink() -> ByteSink:
            require_room()
            target = opened.enter_context(replace_file(gzip_of(path)))
            return opened.enter_context(open_gzip_member(target))

        facts = scan_layer(ChunkReader(read_pieces(path)))
        if facts is None:
            facts = compress_layer(ChunkReader(read_pieces(path)), sink)
    with replace_file(note) as written:
        written.write(msgspec.json.encode(facts))
    return facts


def find_layers(context: RequestContext, repository: str, manifest: ImageManifest) -> list[tuple[str, GzippedLayer]]:
    """Return the layers of a manifest with their diff ids, the lowest first.

    Reading one from a node raises ManifestInvalidError at its end if it is not what the node's owner says.
    Raises ManifestBlobUnknownError if one is neither pushed nor on a node that the caller may read,
    ManifestInvalidError if one is no layer.
    """
    found: dict[str, tuple[str, GzippedLayer]] = {}
    for digest in dict.fromkeys(manifest.layers):
        if path := context.staging.blob(digest):
            manifest.require_size(digest, path.stat().st_size)
            facts = examine_layer(path)
            stored, known = (path, digest) if facts.is_kept else (gzip_of(path), "")
            layer = GzippedLayer(facts.size, partial(read_pieces, stored), known, is_known=facts.is_kept)
            found[digest] = facts.diff_id, layer
            continue
        try:
            blob = context.lookup.blob(context.view, repository, digest).blob
        except BlobUnknownError as error:
            raise ManifestBlobUnknownError(f"the blob {digest} was not pushed, and {error}") from error
        if isinstance(blob, bytes):
            raise ManifestInvalidError(f"the blob {digest} is no layer")
        manifest.require_size(digest, blob.size)
        is_known = context.lookup.unpacks_to(blob)
        layer = GzippedLayer(blob.unpacked, partial(_read_checked, context, blob), digest, is_known=is_known)
        found[digest] = blob.diff_id, layer
    return [found[digest] for digest in manifest.layers]


def find_false_layers(context: RequestContext, repository: str, manifest: ImageManifest) -> list[str]:
    """Return the digests of a manifest's layers that some node says it has, and has not.

    Nobody is told any more that those nodes have them, so that whoever pushes the layers again is asked to send them.
    """
    false = []
    for digest in dict.fromkeys(manifest.layers):
        # Several nodes may say so, and each would be found out by another push that fails.
        with suppress(BlobUnknownError):
            while not context.staging.blob(digest):
                blob = context.lookup.blob(context.view, repository, digest).blob
                if isinstance(blob, bytes) or context.lookup.is_proven(blob):
                    break
                is_true = _is_true(context, blob)
                context.lookup.judge(blob, is_true=is_true)
                if not is_true:
                    false.append(digest)
    return false


def _is_true(context: RequestContext, blob: StoredBlob) -> bool:
    """Return whether a layer is what the owner of its node says."""
    digest = hashlib.sha256()

    def read() -> Iterator[bytes]:
        for piece in _read_stored(context, blob):
            digest.update(piece)
            yield piece

    try:
        facts = scan_layer(ChunkReader(read()))
    except ArchiveError:
        return False
    said = (blob.digest, blob.diff_id, blob.unpacked)
    return facts is not None and (f"sha256:{digest.hexdigest()}", facts.diff_id, facts.size) == said


def _read_checked(context: RequestContext, blob: StoredBlob) -> Iterator[bytes]:
    """Yield a layer of a published image. Raises ManifestInvalidError at its end if its owner says it is another."""
    digest = hashlib.sha256()
    for piece in _read_stored(context, blob):
        digest.update(piece)
        yield piece
    if f"sha256:{digest.hexdigest()}" != blob.digest:
        raise ManifestInvalidError(f"node {blob.node} has something else as the blob {blob.digest}")


def _read_stored(context: RequestContext, blob: StoredBlob) -> Iterator[bytes]:
    copied = context.lookup.copies.open(blob.node) if blob.is_copied else None
    with copied or context.view.shock.download(blob.node, part=(blob.offset, blob.size)) as stream:
        if copied:
            copied.seek(blob.offset)
        yield from read_exactly(stream, blob.size, f"the file of node {blob.node}", piece_size=STAGED_PIECE)
