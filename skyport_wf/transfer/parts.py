"""The numbered parts that a large archive is sent in."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image_list.spec import ShockSettings

if TYPE_CHECKING:
    from skyport_wf.output_file import OutputFile

ReadRange = Callable[[int, int], Iterator[bytes]]
"""Yields bytes of an archive in pieces, given the first one's position and how many; several threads may call it."""

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


def part_size(size: int, settings: ShockSettings) -> int:
    """Return the bytes of each part, but the last, of an archive of about `size` bytes."""
    whole_mib = -(-size // (_MOST_PARTS * _MIB))
    return max(settings.part_size, whole_mib) * _MIB


def plan_parts(size: int, settings: ShockSettings) -> list[Part]:
    """Return the parts of an archive of `size` bytes, of which there is at least one."""
    step = part_size(size, settings)
    return [Part(number, start, min(step, size - start)) for number, start in enumerate(range(0, size, step), start=1)]


def cut_into_parts(content: Iterator[bytes], step: int) -> Iterator[tuple[Part, bytes]]:
    """Yield the parts of a stream whose end nobody knows, and their bytes: `step` of each, but the last."""
    number, held = 1, bytearray()
    for piece in content:
        held += piece
        while len(held) >= step:
            yield Part(number, (number - 1) * step, step), bytes(held[:step])
            del held[:step]
            number += 1
    if held:
        yield Part(number, (number - 1) * step, len(held)), bytes(held)


def range_of_file(archive: Path) -> ReadRange:
    """Return what reads the file.

    Reading raises UsageError if it cannot be read, SkyportError if it is shorter than it was.
    """

    def read(start: int, size: int) -> Iterator[bytes]:
        # Each reader opens the file for itself, as threads would share a position.
        try:
            with archive.open("rb") as file:
                file.seek(start)
                while size and (piece := file.read(min(size, _MIB))):
                    size -= len(piece)
                    yield piece
        except OSError as error:
            raise unreadable(archive, error) from error
        if size:
            raise SkyportError(f"{archive} became shorter while it was sent. Run `skyport-wf save` again.")

    return read


def unreadable(archive: Path, error: OSError) -> UsageError:
    """Return the error for an archive that a save record names and that cannot be read."""
    return UsageError(f"cannot read the archive {archive}: {error.strerror}. Run `skyport-wf save` again.")


def range_of_scratch(file: OutputFile) -> ReadRange:
    """Return what reads a file without a name."""

    def read(start: int, size: int) -> Iterator[bytes]:
        for at in range(start, start + size, _MIB):
            yield os.pread(file.descriptor, min(_MIB, start + size - at), at)

    return read


def read_part(read: ReadRange, part: Part, stopping: threading.Event) -> Iterator[bytes]:
    """Yield the part's bytes, in pieces, until `stopping` is set."""
    for piece in read(part.start, part.size):
        yield piece
        if stopping.is_set():
            raise SkyportError("the upload was given up")


def md5_of_part(read: ReadRange, part: Part, stopping: threading.Event) -> str:
    """Return the MD5 of the part's bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in read_part(read, part, stopping):
        digest.update(piece)
    return digest.hexdigest()
