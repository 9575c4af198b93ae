"""A part of a node's file as it comes from Shock: it has to come whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from skyport_wf.errors import TemporaryError, root_cause

_PART_PIECE: Final = 64 * 1024
"""Bytes of a part that are read at a time: a gateway passes many on at once."""


def read_exactly(stream: BinaryIO, size: int, name: str, *, piece_size: int = _PART_PIECE) -> Iterator[bytes]:
    """Yield the `size` bytes of a part of a file, as they come.

    name: what messages call the file.
    piece_size: bytes that are read at a time.
    Raises TemporaryError if the connection breaks off, or gives fewer.
    """
    import urllib3

    left, reason = size, "the connection ended"
    try:
        while left and (piece := stream.read(min(piece_size, left))):
            left -= len(piece)
            yield piece
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reason = root_cause(error)
    if left:
        raise TemporaryError(f"{name} broke off after {size - left} of {size} bytes: {reason}.")
