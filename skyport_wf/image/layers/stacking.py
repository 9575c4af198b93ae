"""Stack the layers of an image: some entries show, each of the others is hidden by a layer above.

Source: OCI image-spec, layer.md, "Applying Changesets".
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Literal, NamedTuple

from skyport_wf.image.layers.entries import EntryKind

HiddenHow = Literal["deleted", "overwritten"]


class PlacedEntry(NamedTuple):
    """An entry, and which layer of the image it is of. A named tuple: there are many, each for a moment."""

    key: bytes
    """The path in a form that sorts: see `sort_key`."""
    place: int
    """The layer's number in the image, the lowest being 0."""
    kind: EntryKind
    size: int
    target: bytes
    """As in `LayerEntry`, but of a hard link a key, too."""
    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: bytes
    absolute: bool
    content: bytes
    """SHA-256 of a file's content; empty if nobody wanted it."""
    timeless: bytes
    """The same without the times in it, where the content is of a format that holds some; otherwise empty."""
    document: int | None
    """The number under which something that was read of the file is known elsewhere."""
    number: int
    """Of the entries of a layer, the first in its tar has the lowest."""


class Hiding(NamedTuple):
    """The reason why an entry does not show."""

    by: int
    """The lowest layer that hides it."""
    how: HiddenHow


def sort_key(path: bytes) -> bytes:
    """Return a key that sorts a folder right before its files, and the root before all."""
    return b"\0" + path.replace(b"/", b"\0") if path else b""


def folders_above(key: bytes) -> list[bytes]:
    """Return the keys of all folders that lead to a path, the root first."""
    return [key[:at] for at, byte in enumerate(key) if not byte]


def path_bytes(key: bytes) -> bytes:
    """Return the path that a key stands for."""
    return key[1:].replace(b"\0", b"/")


def path_of(key: bytes) -> str:
    """Return the path that a key stands for, to show; bytes that are no UTF-8 become escapes."""
    return path_bytes(key).decode(errors="backslashreplace")


def stack(entries: Iterable[PlacedEntry]) -> Iterator[tuple[PlacedEntry, Hiding | None]]:
    """Yield each entry but whiteouts, with the reason why it is hidden; None if it shows.

    entries: path by path, a folder right before its files; those of a path from the lowest layer up.
    """
    above = [_Folder(b"", ())]
    for key, group in groupby(entries, attrgetter("key")):
        while not key.startswith(above[-1].prefix):
            above.pop()
        folder = _Folder(key + b"\0", above[-1].emptied_by)
        for entry, replacement in _with_replacements(group, folder):
            if entry.kind == "deleted":
                continue
            at = bisect_right(folder.inherited, entry.place)
            emptied_by = folder.inherited[at] if at < len(folder.inherited) else None
            if replacement is not None and (emptied_by is None or replacement.place <= emptied_by):
                yield entry, Hiding(replacement.place, "deleted" if replacement.kind == "deleted" else "overwritten")
            else:
                yield entry, None if emptied_by is None else Hiding(emptied_by, "deleted")
        above.append(folder)


class _Folder:
    """A path that others may lie below."""

    def __init__(self, prefix: bytes, inherited: tuple[int, ...]) -> None:
        self.prefix = prefix
        """The beginning of all keys below it."""
        self.inherited = inherited
        """Layers that hide the entries of lower ones at it and below, as they hide all of a folder further up."""
        self.own: set[int] = set()
        """Layers that hide the entries of lower ones below it: they delete it, empty it, or put a file there."""

    @cached_property
    def emptied_by(self) -> tuple[int, ...]:
        """Layers that hide the entries of lower ones below it, the lowest first."""
        return tuple(sorted(self.own.union(self.inherited))) if self.own else self.inherited


def _with_replacements(
    entries: Iterable[PlacedEntry], folder: _Folder
) -> Iterator[tuple[PlacedEntry, PlacedEntry | None]]:
    """Yield each entry of a path with the one that takes its place, and note which layers empty the path."""
    lower = None
    for entry in entries:
        if entry.kind not in ("folder", "ignored"):
            folder.own.add(entry.place)
        if entry.kind not in ("emptied", "ignored"):
            if lower is not None:
                yield lower, entry
            lower = entry
    if lower is not None:
        yield lower, None
