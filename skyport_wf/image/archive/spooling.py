"""Layers that wait in a scratch file, compressed, until their place in the archive comes."""

import os
from collections.abc import Iterator

import msgspec

from skyport_wf.byte_streams import PIECE
from skyport_wf.image.archive.compression import open_gzip_member
from skyport_wf.image.archive.layer_file import LayerFile
from skyport_wf.output_file import OutputFile


class SpooledLayer(msgspec.Struct, frozen=True):
    """A layer in a scratch file, as one gzip member."""

    diff_id: str
    size: int
    """Bytes of the uncompressed layer."""
    start: int
    end: int
    """Where in the file the member begins and ends."""


def spool_layer(layer: LayerFile, scratch: OutputFile) -> SpooledLayer:
    """Compress the layer at the end of the scratch file."""
    start = scratch.size
    with open_gzip_member(scratch) as member:
        for piece in layer.pieces():
            member.write(piece)
    return SpooledLayer(layer.diff_id, layer.size, start, scratch.size)


def read_spooled(layer: SpooledLayer, scratch: OutputFile) -> Iterator[bytes]:
    """Yield the gzip member of the layer."""
    for start in range(layer.start, layer.end, PIECE):
        yield os.pread(scratch.descriptor, min(PIECE, layer.end - start), start)
