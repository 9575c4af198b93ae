"""A blob of a registry looked at as a layer, while it comes or afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.byte_streams import ByteStream, ChunkReader, CountedStream, pieces_of
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import CompressionError, can_decompress, decompressed, recognise_format
from skyport_wf.image.archive.limits import check_expansion
from skyport_wf.image.tar.header import BLOCK

if TYPE_CHECKING:
    from skyport_wf.image.archive.compression import ByteSink


class LayerFacts(msgspec.Struct, frozen=True):
    """A layer in a file."""

    stored: int
    """Bytes of the blob."""
    diff_id: str
    size: int
    """Bytes of the uncompressed layer."""
    is_gzip: bool
    """Whether the blob is gzip; else something else is made of it."""
    digest: str = ""
    """Of the blob; empty where that was told otherwise."""


def scan_layer(stream: ByteStream, *, sink: Callable[[], ByteSink] | None = None) -> LayerFacts | None:
    """Read a blob, and return what it is as a layer.

    sink: makes what takes the uncompressed bytes of one that is not gzip; without it, such a one is not read: None.
    Raises ArchiveError if it is no layer.
    """
    head = stream.read(BLOCK)
    kind = recognise_format(head)
    if kind != "gzip" and sink is None:
        return None
    if kind not in ("tar", "") and not can_decompress(kind):
        raise ArchiveError(f"the layer is in {kind} format, and layers are tar, with gzip or zstd or neither")
    stored = size = 0

    def count(taken: int) -> None:
        nonlocal stored
        stored += taken

    counted = CountedStream(ChunkReader(_again(head, stream)), count)
    digest = hashlib.sha256()
    try:
        target = sink() if sink and kind != "gzip" else None
        for piece in decompressed(counted, kind) if can_decompress(kind) else pieces_of(counted):
            digest.update(piece)
            size += len(piece)
            check_expansion("the layer", stored=stored, unpacked=size)
            if target:
                target.write(piece)
    except (CompressionError, EOFError) as error:
        raise ArchiveError(f"the layer cannot be decompressed: {error}") from error
    return LayerFacts(stored, f"sha256:{digest.hexdigest()}", size, is_gzip=kind == "gzip")


def _again(head: bytes, stream: ByteStream) -> Iterator[bytes]:
    yield head
    yield from pieces_of(stream)
