"""The layers of an image that is being pushed: of the blobs that came, and of images that are published already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.byte_streams import ChunkReader, CountedStream
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import (
    CompressionError,
    can_decompress,
    decompressed,
    open_gzip_member,
    recognise_format,
)
from skyport_wf.image.archive.joined import GzippedLayer
from skyport_wf.image.archive.limits import check_expansion
from skyport_wf.image.tar.header import BLOCK
from skyport_wf.output_file import replace_file
from skyport_wf.registry.refusals import BlobUnknownError, ManifestBlobUnknownError, ManifestInvalidError
from skyport_wf.registry.staging import LayerFacts, read_pieces
from skyport_wf.transfer.download import read_part

if TYPE_CHECKING:
    from skyport_wf.registry.context import RequestContext
    from skyport_wf.registry.pushed_manifests import PushedManifest
    from skyport_wf.registry.stored_image import StoredBlob


def examine_layer(path: Path) -> LayerFacts:
    """Return what a pushed blob is as a layer, which is noted beside it.

    One that is not gzip is compressed into a file beside it.
    Raises ManifestInvalidError if it is no layer.
    """
    note = path.with_suffix(".json")
    try:
        return msgspec.json.decode(note.read_bytes(), type=LayerFacts)
    except (OSError, msgspec.DecodeError):
        pass
    with path.open("rb") as file:
        kind = recognise_format(file.read(BLOCK))
    name = f"the layer {path.stem}"
    if kind not in ("tar", "") and not can_decompress(kind):
        raise ManifestInvalidError(f"{name} is in {kind} format, and layers are tar, with gzip or zstd or neither")
    digest, size = hashlib.sha256(), 0
    try:
        pieces = _unpacked(path, kind, name)
        if kind != "gzip":
            pieces = _compress(pieces, path.with_suffix(".gz"))
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
    except (CompressionError, EOFError) as error:
        raise ManifestInvalidError(f"{name} cannot be decompressed: {error}") from error
    except ArchiveError as error:
        raise ManifestInvalidError(str(error)) from error
    facts = LayerFacts(f"sha256:{digest.hexdigest()}", size, path.name if kind == "gzip" else f"{path.stem}.gz")
    with replace_file(note) as written:
        written.write(msgspec.json.encode(facts))
    return facts


def find_layers(context: RequestContext, repository: str, manifest: PushedManifest) -> list[tuple[str, GzippedLayer]]:
    """Return the layers of a manifest with their diff ids, the lowest first.

    Raises ManifestBlobUnknownError if one is neither pushed nor on a node that the caller may read,
    ManifestInvalidError if one is no layer.
    """
    found: dict[str, tuple[str, GzippedLayer]] = {}
    for digest in dict.fromkeys(manifest.layers):
        if path := context.staging.blob(digest):
            _require_size(manifest, digest, path.stat().st_size)
            facts = examine_layer(path)
            layer = GzippedLayer(facts.size, partial(read_pieces, path.with_name(facts.file)))
            found[digest] = facts.diff_id, layer
            continue
        try:
            blob = context.lookup.blob(context.view, repository, digest).blob
        except BlobUnknownError as error:
            raise ManifestBlobUnknownError(f"the blob {digest} was not pushed, and {error}") from error
        if isinstance(blob, bytes):
            raise ManifestInvalidError(f"the blob {digest} is no layer")
        _require_size(manifest, digest, blob.size)
        found[digest] = blob.diff_id, GzippedLayer(blob.unpacked, partial(_read_stored, context, blob))
    return [found[digest] for digest in manifest.layers]


def _require_size(manifest: PushedManifest, digest: str, size: int) -> None:
    if manifest.sizes[digest] != size:
        raise ManifestInvalidError(f"the blob {digest} has {size} bytes, the manifest says {manifest.sizes[digest]}")


def _unpacked(path: Path, kind: str, name: str) -> Iterator[bytes]:
    if not can_decompress(kind):
        yield from read_pieces(path)
        return
    taken = unpacked = 0

    def count(size: int) -> None:
        nonlocal taken
        taken += size

    for piece in decompressed(CountedStream(ChunkReader(read_pieces(path)), count), kind):
        unpacked += len(piece)
        check_expansion(name, stored=taken, unpacked=unpacked)
        yield piece


def _compress(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    with replace_file(path) as file, open_gzip_member(file) as member:
        for piece in pieces:
            member.write(piece)
            yield piece


def _read_stored(context: RequestContext, blob: StoredBlob) -> Iterator[bytes]:
    """Yield a layer of a published image. Raises ManifestInvalidError at its end if its owner says it is another."""
    digest = hashlib.sha256()
    name = f"the file of node {blob.node}"
    copied = context.lookup.copies.open(blob.node) if blob.is_copied else None
    with copied or context.view.shock.download(blob.node, part=(blob.offset, blob.size)) as stream:
        if copied:
            copied.seek(blob.offset)
        for piece in read_part(stream, blob.size, name):
            digest.update(piece)
            yield piece
    if f"sha256:{digest.hexdigest()}" != blob.digest:
        raise ManifestInvalidError(f"{name} has something else as the blob {blob.digest}. Push it.")
