"""Taking a file or a folder out of an image's archive, onto this disk.

An image is anyone's: nothing is written outside of the target, no link is followed, no device is made, and no file
belongs to another user or gets a right that only the image was to have.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.byte_streams import pieces_of
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.image.archive.layers import read_layers
from skyport_wf.image.archive.reader import ArchiveReader
from skyport_wf.image.layers.stacking import PlacedEntry, path_bytes, path_of
from skyport_wf.image.tar.sparse import SPARSE
from skyport_wf.output_file import (
    cannot_write,
    check_writable,
    is_special,
    make_folders,
    own_descriptor,
    replace_file,
)

if TYPE_CHECKING:
    from skyport_wf.image.layers.entries import LayerEntry
    from skyport_wf.image.tar.reader import TarReader
    from skyport_wf.inspection.files import WantedFiles
    from skyport_wf.inspection.image_source import ImageSource

_MODE: Final = 0o777
"""Permissions that are kept: no set-user-id, set-group-id, sticky."""
_OWN: Final = 0o600
"""Permissions that the user has in any case, to be able to read and remove what was written."""


class TakenOut(msgspec.Struct, frozen=True):
    """The files and folders that were written."""

    files: int
    size: int
    """Bytes of their content."""
    left_out: tuple[str, ...]
    """Paths of what no user may want on a disk: devices, pipes, and links that lead out of the folder."""


def check_target(target: Path) -> None:
    """Raise what `take_out` would raise of the target, as far as it can be told: before the image is read."""
    if own_descriptor(target) is None:
        _require_absent(target)
        check_writable(target)


def take_out(source: ImageSource, wanted: WantedFiles, target: Path) -> TakenOut:
    """Write what is wanted to `target`, whole or not at all.

    Raises UsageError if something is there already, SkyportError if it is neither a file nor a folder, or the disk is
    full; what reading the image raises.
    """
    if wanted.is_folder or own_descriptor(target) is None:
        _require_absent(target)
    try:
        make_folders(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    if not wanted.is_folder:
        return _take_file(source, wanted.entries[0], target)
    with _new_folder(target) as folder:
        return _take_folder(source, wanted, folder)


def _require_absent(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageError(f"{target} is there already, and stays as it is. Name another file, or remove it.")


def _take_file(source: ImageSource, entry: PlacedEntry, target: Path) -> TakenOut:
    if entry.kind != "file":
        raise SkyportError(f"/{path_of(entry.key)} is a {entry.kind}, and not taken out")
    with replace_file(target) as file:

        def put(_: list[PlacedEntry], pieces: Iterator[bytes]) -> None:
            for piece in pieces:
                file.write(piece)
            # Of a stdout that is /dev/null, root would take its rights from everyone.
            if not is_special(target):
                os.fchmod(file.descriptor, _mode(entry))

        _read_again(source, {entry.number: [entry]}, put)
    return TakenOut(1, entry.size, ())


def _take_folder(source: ImageSource, wanted: WantedFiles, folder: Path) -> TakenOut:
    left_out: list[str] = []
    links: list[PlacedEntry] = []
    by_number: dict[int, list[PlacedEntry]] = {}

    def place(entry: PlacedEntry) -> Path:
        """Return where a file goes, in a folder that is there: layers need not name those that they imply."""
        found = folder / os.fsdecode(path_bytes(entry.key)[len(wanted.path) :].lstrip(b"/"))
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    for entry in wanted.entries:
        if entry.kind == "folder":
            place(entry).mkdir(exist_ok=True)
        elif entry.kind == "file":
            by_number.setdefault(entry.number, []).append(entry)
        elif entry.kind == "symbolic link" and _stays_inside(entry, wanted.path):
            links.append(entry)
        else:
            left_out.append(f"/{path_of(entry.key)}")

    def put(names: list[PlacedEntry], pieces: Iterator[bytes]) -> None:
        first = place(names[0])
        with first.open("xb") as file:
            for piece in pieces:
                file.write(piece)
            os.fchmod(file.fileno(), _mode(names[0]))
        for other in names[1:]:
            place(other).hardlink_to(first)

    _read_again(source, by_number, put)
    # Last of all, and the deepest first, so that nothing is ever written through one: of a link and something below it,
    # the link is left out.
    for entry in sorted(links, key=lambda link: -_depth(link, wanted.path)):
        try:
            place(entry).symlink_to(os.fsdecode(entry.target))
        except FileExistsError:
            left_out.append(f"/{path_of(entry.key)}")
    taken = [entry for names in by_number.values() for entry in names]
    return TakenOut(len(taken) + len(links), sum(names[0].size for names in by_number.values()), tuple(left_out))


def _read_again(
    source: ImageSource,
    wanted: Mapping[int, list[PlacedEntry]],
    put: Callable[[list[PlacedEntry], Iterator[bytes]], None],
) -> None:
    """Read the image once more, as only now it is known which of the files of a path it shows.

    wanted: files with all their names, by the numbers that the file index has given them.
    put: called for each, in the order of the archive.
    Raises SkyportError if the archive is not the one that was read before.
    """
    number = found = 0

    def take(_: int, entry: LayerEntry, tar: TarReader) -> bool:
        nonlocal number, found
        # The index numbers all entries as they come.
        number += 1
        if names := wanted.get(number):
            if entry.size != names[0].size or any(key.startswith(SPARSE) for key in tar.member.records):
                path = path_of(names[0].key)
                raise SkyportError(
                    f"/{path} is a sparse file, or {source.name} changed while it was read: not taken out"
                )
            put(names, pieces_of(tar))
            found += 1
        return True

    with source.open() as stream:
        read_layers(ArchiveReader(stream), take)
    if found != len(wanted):
        raise SkyportError(f"{source.name} changed while it was read. Try again.")


def _mode(entry: PlacedEntry) -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return entry.mode & _MODE & ~mask | _OWN


def _depth(entry: PlacedEntry, folder: bytes) -> int:
    """Return how many folders a file is below the one that is taken out."""
    return path_bytes(entry.key)[len(folder) :].strip(b"/").count(b"/")


def _stays_inside(link: PlacedEntry, folder: bytes) -> bool:
    """Return whether a link leads to somewhere in the folder that is taken out, whatever other links it leads through.

    So it goes up at its beginning only: a step behind another link would go up from where that leads.
    """
    steps = [step for step in link.target.split(b"/") if step not in (b"", b".")]
    down = list(dropwhile(lambda step: step == b"..", steps))
    up = len(steps) - len(down)
    return not link.target.startswith(b"/") and b".." not in down and up <= _depth(link, folder)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Make a folder that becomes `target` if the block ends well, and vanishes if not."""
    partial = target.parent / f".{target.name[:200]}.{secrets.token_hex(4)}.part"
    try:
        partial.mkdir()
        yield partial
        partial.rename(target)
    except OSError as error:
        # Users know nothing of the name that it has until it is whole.
        place = str(error.filename or target).replace(str(partial), str(target), 1)
        raise cannot_write(place, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
