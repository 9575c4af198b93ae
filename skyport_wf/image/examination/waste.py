"""Bytes that lower layers hold although the image no longer shows them: files deleted or overwritten further up.

Every layer is downloaded, stored and loaded whole, so such bytes are paid for by everyone and used by nobody.
What counts is the content of files; headers and padding of the tars are not counted as waste.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Final

import msgspec

from skyport_wf.image.examination.file_index import FileIndex, HiddenFile, Hiding, PlacedChange, path_of

LARGEST: Final = 20
"""Wasted files that are named."""
_BATCH: Final = 1000


class WastedFile(msgspec.Struct, frozen=True):
    """A file that a layer holds and the image does not show."""

    path: str
    """From the root, without a leading `/`; bytes that are no UTF-8 as escapes."""
    size: int
    """Bytes of its content."""
    layer: int
    """The number of the layer that holds it, the lowest being 1."""
    hidden_by: int
    """The number of the lowest layer that hides it."""
    how: Hiding


class Waste(msgspec.Struct, frozen=True):
    """What an image's layers hold in vain."""

    by_layer: tuple[int, ...]
    """Bytes of hidden files in each layer, the lowest first."""
    largest: tuple[WastedFile, ...]
    """The largest hidden files, the largest first."""
    documents: tuple[int, ...]
    """The numbers of those files with a number that the image shows."""

    @property
    def total(self) -> int:
        """Bytes in all layers."""
        return sum(self.by_layer)


def find_waste(index: FileIndex, layers: Sequence[int], *, largest: int = LARGEST) -> Waste:
    """Return what the image's layers hold in vain.

    index: all that the layers change.
    layers: the numbers under which the index has the image's layers, the lowest first.
    A hard link is another name of its file: the bytes count as shown while one of the names in that layer shows.
    Raises TooManyFilesError if layers that are there twice make too many files.
    """
    documents: list[int] = []
    hidden: list[HiddenFile] = []
    for change, hiding in _judge(index.in_order(layers)):
        if hiding is not None:
            hidden += [hiding] if hiding.size else []
        elif change.kind == "hard link":
            index.keep(change.place, change.target)
        elif change.document is not None:
            documents.append(change.document)
        if len(hidden) == _BATCH:
            index.hide(hidden)
            hidden.clear()
    index.hide(hidden)
    index.forget_kept()
    by_layer = index.hidden_bytes()
    return Waste(
        by_layer=tuple(by_layer.get(place, 0) for place in range(len(layers))),
        largest=tuple(map(_wasted, index.largest_hidden(largest))),
        documents=tuple(documents),
    )


def _judge(changes: Iterable[PlacedChange]) -> Iterator[tuple[PlacedChange, HiddenFile | None]]:
    """Yield each file, and the hard links that show, with what hides it.

    changes: path by path, a folder right before all that is in it.
    """
    above = [_Folder(b"", ())]
    for path, group in groupby(changes, attrgetter("path")):
        while not path.startswith(above[-1].prefix):
            above.pop()
        folder = _Folder(path + b"\0", above[-1].emptied_by)
        for change, replacement in _pairs(group, folder):
            hiding = _hiding(change, replacement, folder.inherited)
            if change.kind == "file" or (change.kind == "hard link" and hiding is None):
                yield change, hiding
        above.append(folder)


class _Folder:
    """A path that others may lie below."""

    def __init__(self, prefix: bytes, inherited: tuple[int, ...]) -> None:
        self.prefix = prefix
        """What the paths below it begin with."""
        self.inherited = inherited
        """Layers that hide what lower ones have at it and below, as they hide all of a folder further up."""
        self.own: set[int] = set()
        """Layers that hide what lower ones have below it: they delete it, empty it, or put a file in its place."""

    @cached_property
    def emptied_by(self) -> tuple[int, ...]:
        """Layers that hide what lower ones have below it, the lowest first."""
        return tuple(sorted(self.own.union(self.inherited))) if self.own else self.inherited


def _pairs(changes: Iterable[PlacedChange], folder: _Folder) -> Iterator[tuple[PlacedChange, PlacedChange | None]]:
    """Yield each change of a path with the one that takes its place, and note which layers empty the path."""
    lower = None
    for change in changes:
        if change.kind != "folder":
            folder.own.add(change.place)
        if change.kind != "emptied":
            if lower is not None:
                yield lower, change
            lower = change
    if lower is not None:
        yield lower, None


def _hiding(change: PlacedChange, replacement: PlacedChange | None, inherited: tuple[int, ...]) -> HiddenFile | None:
    """Return what hides the change, None if it shows."""
    at = bisect_right(inherited, change.place)
    by: int | None = inherited[at] if at < len(inherited) else None
    how: Hiding = "deleted"
    if replacement is not None and (by is None or replacement.place <= by):
        by, how = replacement.place, "deleted" if replacement.kind == "deleted" else "overwritten"
    return None if by is None else HiddenFile(change.place, change.path, change.size, by, how)


def _wasted(file: HiddenFile) -> WastedFile:
    return WastedFile(path_of(file.path), file.size, file.place + 1, file.by + 1, file.how)
