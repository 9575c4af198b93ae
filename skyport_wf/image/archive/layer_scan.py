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
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
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
    is_kept: bool
    """Whether archives have the blob as it is; else its gzip is made anew."""
    digest: str = ""
    """Of the blob; empty where that was told otherwise."""


def scan_layer(stream: ByteStream) -> LayerFacts | None:
    """Read a blob, and return what it is as a layer.

    None if no archive can have it as it is: it is not gzip, or not as Docker reads it. Then it is not read to its end.
    Raises ArchiveError if it cannot be a layer.
    """
    head = stream.read(BLOCK)
    if recognise_format(head) != "gzip":
        return None
    try:
        return _read(_again(head, stream), decompressed_strictly, is_kept=True)
    except (CompressionError, EOFError):
        return None


def compress_layer(stream: ByteStream, sink: Callable[[], ByteSink]) -> LayerFacts:
    """Read a blob, and return what it is as a layer.

    sink: makes what takes the uncompressed bytes, so that another gzip file is made of them.
    Raises ArchiveError if it is no layer.
    """
    head = stream.read(BLOCK)
    kind = recognise_format(head)
    if kind not in ("tar", "") and not can_decompress(kind):
        raise ArchiveError(f"the layer is in {kind} format, and layers are tar, with gzip or zstd or neither")

    def unpacked(stored: ByteStream) -> Iterator[bytes]:
        target = sink()
        for piece in decompressed(stored, kind) if can_decompress(kind) else pieces_of(stored):
            target.write(piece)
            yield piece

    try:
        return _read(_again(head, stream), unpacked, is_kept=False)
    except (CompressionError, EOFError) as error:
        raise ArchiveError(f"the layer cannot be decompressed: {error}") from error


def _read(pieces: Iterator[bytes], unpacked: Callable[[ByteStream], Iterator[bytes]], *, is_kept: bool) -> LayerFacts:
    stored = size = 0

    def count(taken: int) -> None:
        nonlocal stored
        stored += taken

    digest = hashlib.sha256()
    for piece in unpacked(CountedStream(ChunkReader(pieces), count)):
        digest.update(piece)
        size += len(piece)
        check_expansion("the layer", stored=stored, unpacked=size)
    return LayerFacts(stored, f"sha256:{digest.hexdigest()}", size, is_kept)


def _again(head: bytes, stream: ByteStream) -> Iterator[bytes]:
    yield head
    yield from pieces_of(stream)
