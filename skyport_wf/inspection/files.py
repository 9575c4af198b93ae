"""The files that an image shows: listed, and taken out of its archive without an engine."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.formatting import printable
from skyport_wf.image.layers.entries import EntryKind
from skyport_wf.image.layers.links import follow
from skyport_wf.image.layers.stacking import PlacedEntry, path_bytes, path_of, sort_key

if TYPE_CHECKING:
    from skyport_wf.image.layers.file_index import FileIndex

MAX_LISTED: Final = 200_000
"""Files that are listed; all are counted. Large images have as many."""
_TYPES: Final = {
    "folder": stat.S_IFDIR, "symbolic link": stat.S_IFLNK, "character device": stat.S_IFCHR,
    "block device": stat.S_IFBLK, "named pipe": stat.S_IFIFO,
}  # fmt: skip


class ListedFile(msgspec.Struct, frozen=True):
    """A file of an image."""

    path: str
    """From the root, with a leading `/`; bytes that are no UTF-8 as escapes."""
    type: EntryKind
    mode: str
    """As `ls -l` shows it, such as `-rwxr-xr-x`."""
    uid: int
    gid: int
    size: int
    """Bytes of its content."""
    mtime: int
    """Seconds since 1970."""
    target: str
    """Where a symbolic link leads, or a device's MAJOR:MINOR; empty for others."""


class FileListing(msgspec.Struct, frozen=True):
    """Files of an image."""

    files: tuple[ListedFile, ...]
    """By path; the first of them, if there are too many to be listed."""
    total: int
    size: int
    """Bytes of the content of all."""


def list_files(index: FileIndex, path: str) -> FileListing:
    """Return what the image shows at a path and below it.

    index: filled and stacked.
    path: from the root; links in it are followed, but not one at its end.
    Raises SkyportError if nothing is there.
    """
    start = _resolve(index, path, follow_last=path.endswith("/"))
    files, total, size = [], 0, 0
    for entry in _below(index, start):
        total += 1
        size += entry.size
        if total <= MAX_LISTED:
            files.append(_listed(entry))
    if start and not total:
        raise _nothing_at(path, start)
    return FileListing(tuple(files), total, size)


class WantedFiles(msgspec.Struct, frozen=True):
    """Something to be taken out of an image: a file, or a folder with all below it."""

    path: bytes
    """From the root, links followed."""
    entries: tuple[PlacedEntry, ...]
    """By path, a folder before what is in it; hard links as the files that they are other names of."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.entries[0].kind == "folder" or path_bytes(self.entries[0].key) != self.path


def find_wanted(index: FileIndex, path: str) -> WantedFiles:
    """Return what is at a path, links followed. Raises SkyportError if nothing is there."""
    start = _resolve(index, path, follow_last=True)
    entries = tuple(islice(_below(index, start), MAX_LISTED + 1))
    if not entries:
        raise _nothing_at(path, start)
    if len(entries) > MAX_LISTED:
        raise SkyportError(f"{path} has more than {MAX_LISTED:,} files. Name a folder further down.")
    return WantedFiles(start, entries)


def _nothing_at(path: str, start: bytes) -> SkyportError:
    """Return the error that says so.

    start: the path without links.
    """
    asked = posixpath.normpath(f"/{path}").lstrip("/")
    leads = printable(start.decode(errors="backslashreplace"))
    why = "" if start == asked.encode(errors="surrogateescape") else f": a link leads to /{leads}, which is not there"
    return SkyportError(f"the image has nothing at {path}{why}")


def _resolve(index: FileIndex, path: str, *, follow_last: bool) -> bytes:
    """Return the path without links, as the kernel finds it."""
    asked = path.encode(errors="surrogateescape").rstrip(b"/")
    look: Callable[[bytes], PlacedEntry | None] = index.lookup
    folder, _, name = asked.rpartition(b"/")
    if follow_last or name in (b"", b".", b".."):
        found = follow(asked, look)
    else:
        found = follow(folder, look)
        found = None if found is None else found + b"/" * bool(found) + name
    if found is None:
        raise SkyportError(f"the image has nothing at {path}: a link on the way leads nowhere")
    return found


def _below(index: FileIndex, path: bytes) -> Iterator[PlacedEntry]:
    """Yield what the image shows at a path and below it."""
    key = sort_key(path)
    for entry in index.shown():
        if entry.key == key or entry.key.startswith(key + b"\0") or not key:
            yield entry


def _listed(entry: PlacedEntry) -> ListedFile:
    # A hard link to nothing shows as an empty file.
    mode = stat.filemode(_TYPES.get(entry.kind, stat.S_IFREG) | entry.mode)
    target = "" if entry.kind == "hard link" else entry.target.decode(errors="backslashreplace")
    return ListedFile("/" + path_of(entry.key), entry.kind, mode, entry.uid, entry.gid, entry.size, entry.mtime, target)
