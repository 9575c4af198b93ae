"""Package databases that an image shows behind links, or in what may be conda's cache, and notes on unread ones."""

from typing import Final

from skyport_wf.formatting import printable
from skyport_wf.image.examination.packages.catalogue import PackageCatalogue, is_database_folder
from skyport_wf.image.examination.packages.conda import IN_CACHE, folders_like_cached
from skyport_wf.image.examination.waste import MAX_LINKS, Waste
from skyport_wf.image.layers.file_index import FileIndex, TooManyFilesError
from skyport_wf.image.layers.links import follow
from skyport_wf.image.layers.stacking import PlacedEntry, path_of, sort_key

_MOST_NOTES: Final = 10
_MOST_FOLDERS: Final = 50
"""Links to folders that are looked into; an image has a few."""
_MOST_BELOW: Final = 300_000
"""Entries below all such folders together; those of a large Python have 60,000."""


def file_at(index: FileIndex, path: bytes) -> PlacedEntry | None:
    """Return what the image shows at a path, links of either kind followed, None if nothing is there."""
    target = follow(path, index.lookup)
    found = index.lookup(target) if target else None
    return index.linked(found) if found else None


def find_linked(index: FileIndex, catalogue: PackageCatalogue, waste: Waste) -> tuple[list[int], list[str]]:
    """Return the numbers of the package databases that are found at `waste.links`, and notes on unread ones."""
    search = _Search(index, catalogue, room=MAX_LINKS - len(waste.links))
    for path in waste.links:
        if is_database_folder(path):
            search.look_below(path)
        else:
            search.look_at(path)
    if more := search.more + waste.more_links:
        search.notes.append(f"{more:,} more package databases are links, and were not read")
    return sorted(search.numbers), search.notes


class _Search:
    """What is found behind one link after the other."""

    def __init__(self, index: FileIndex, catalogue: PackageCatalogue, *, room: int) -> None:
        """Begin a search.

        room: how many databases may be looked for below folders.
        """
        self._index = index
        self._catalogue = catalogue
        self._room = room
        self._folders = 0
        self._below = 0
        self.numbers: set[int] = set()
        self.notes: list[str] = []
        self.more = 0
        """Databases that were not read, and are not told one by one."""

    def look_at(self, path: bytes) -> None:
        """Take the database that is found at `path`, unless that is in conda's cache of packages."""
        if any(map(self._is_cached, folders_like_cached(path))):
            return
        file = file_at(self._index, path)
        if file is None or file.kind not in ("file", "hard link"):
            return
        if file.document is not None:
            if self._catalogue.is_installed(file.document, path):
                self.numbers.add(file.document)
            if self._catalogue.is_whole(file.document):
                return
        if file.kind == "hard link":
            why = "it is a hard link whose file is not found"
        elif file.document is None:
            why = f"it is a link to {path_of(file.key)}, which is no name of a database"
        elif file.key == sort_key(path):
            why = "it is damaged, or too large, or one of too many"
        else:
            why = f"it is a link to {path_of(file.key)}, which is damaged, or too large, or one of too many"
        self._note(path, why)

    def look_below(self, path: bytes) -> None:
        """Take the databases that are found in the folder at `path`, if that is a link to one."""
        target = follow(path, self._index.lookup)
        if target is None:
            return
        start = len(sort_key(target))
        self._folders += 1
        most = _MOST_BELOW - self._below if self._folders <= _MOST_FOLDERS else 0
        try:
            for entry in self._index.below(target, most=most):
                self._below += 1
                if entry.kind in ("file", "hard link", "symbolic link"):
                    self._look_at_link(path + entry.key[start:].replace(b"\0", b"/"))
        except TooManyFilesError:
            at = printable(f"/{target.decode(errors='backslashreplace')}")
            self._note(path, f"it is a link to {at}, which holds too many files, or is one of too many folders")

    def _look_at_link(self, path: bytes) -> None:
        """Take the databases at a file or link whose path leads through a link.

        A folder of databases that is a link itself has been looked into under its own name.
        """
        for found in self._catalogue.databases_at(path):
            if is_database_folder(found):
                continue
            if not self._room:
                self.more += 1
                continue
            self._room -= 1
            self.look_at(found)

    def _is_cached(self, folder: bytes) -> bool:
        """Return whether a folder is that of a package in conda's cache."""
        return any(self._index.lookup(folder + b"/" + name) for name in IN_CACHE)

    def _note(self, path: bytes, why: str) -> None:
        if len(self.notes) == _MOST_NOTES:
            self.more += 1
        else:
            shown = printable(path.decode(errors="backslashreplace"))
            self.notes.append(f"{shown} was not read for packages: {why}")
