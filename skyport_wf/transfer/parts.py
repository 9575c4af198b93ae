"""The numbered parts that a large archive is sent in."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image_list.spec import ShockSettings

_MIB = 1 << 20
_MOST_PARTS = 1000
"""Each is listed in the node's document, which Shock writes anew with every part."""


class Part(msgspec.Struct, frozen=True):
    """A piece of the archive that is sent by itself."""

    number: int
    """From 1."""
    start: int
    """The byte that it begins with."""
    size: int
    """In bytes."""


def goes_in_parts(size: int, settings: ShockSettings) -> bool:
    """Return whether an archive of `size` bytes is sent in parts."""
    return size > settings.parts_above * _MIB


def plan_parts(size: int, settings: ShockSettings) -> list[Part]:
    """Return the parts of an archive of `size` bytes, of which there is at least one."""
    whole_mib = -(-size // (_MOST_PARTS * _MIB))
    part_size = max(settings.part_size, whole_mib) * _MIB
    return [
        Part(number, start, min(part_size, size - start))
        for number, start in enumerate(range(0, size, part_size), start=1)
    ]


def read_part(archive: Path, part: Part, stopping: threading.Event) -> Iterator[bytes]:
    """Yield the part's bytes, in pieces, until `stopping` is set.

    Each reader opens the file for itself, as threads would share a position.
    Raises UsageError if it cannot be read, SkyportError if it is shorter than it was.
    """
    left = part.size
    try:
        with archive.open("rb") as file:
            file.seek(part.start)
            while left and not stopping.is_set() and (piece := file.read(min(left, _MIB))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise UsageError(
            f"cannot read the archive {archive}: {error.strerror}. Run `skyport-wf save` again."
        ) from error
    if left:
        raise SkyportError(f"{archive} became shorter while it was sent. Run `skyport-wf save` again.")


def md5_of_part(archive: Path, part: Part, stopping: threading.Event) -> str:
    """Return the MD5 of the part's bytes. Raises what read_part raises."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in read_part(archive, part, stopping):
        digest.update(piece)
    return digest.hexdigest()
