"""The file system that an image shows: each path once, as the layers together have it.

Where the index of `examination/file_index.py` answers which bytes are hidden, this one has what is not: kept in the
same way, in SQLite's private temporary database, which spills to disk what does not fit its cache.

Source: OCI image-spec, layer.md, "Applying Changesets".
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Final, NamedTuple, Self, get_args

from skyport_wf.image.comparison.content_digest import digest_content
from skyport_wf.image.examination.file_attributes import FileType
from skyport_wf.image.examination.file_index import (
    MAX_PATH_BYTES,
    MAX_PATHS,
    TooManyFilesError,
    disk_errors,
    sort_key,
)
from skyport_wf.image.examination.layer_files import Change
from skyport_wf.image.examination.layer_tar import LayerTar

_TYPES: Final[tuple[FileType, ...]] = get_args(FileType)
_CODES: Final = {kind: code for code, kind in enumerate(_TYPES)}
_FOLDER: Final = _CODES["folder"]
_HARD_LINK: Final = _CODES["hard link"]
_DELETED: Final = -2
_EMPTIED: Final = -1
_BATCH: Final = 1000
_MAX_LINKS: Final = 8
"""Hard links to hard links that are followed; engines write none."""
_COLUMNS: Final = "path, place, kind, size, mode, uid, gid, mtime, target, content, timeless, xattrs, entries.rowid"
_SCHEMA: Final = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; PRAGMA temp_store = FILE;
CREATE TABLE entries (layer INTEGER, path BLOB, kind INTEGER, size INTEGER, mode INTEGER, uid INTEGER, gid INTEGER,
                      mtime INTEGER, target BLOB, content BLOB, timeless BLOB, xattrs BLOB);
CREATE TABLE places (layer INTEGER, place INTEGER);
BEGIN;
"""


class ShownFile(NamedTuple):
    """What is at a path. A named tuple: there are many, each for a moment."""

    key: bytes
    """What sorts a folder right before what is in it: see `sort_key`."""
    type: FileType
    """A hard link is what it is another name of; only one that leads nowhere is called one."""
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int
    target: bytes
    """Where a symbolic link leads; of a device its numbers; of a hard link that leads nowhere the path it names."""
    content: bytes
    """SHA-256 of a file's content; empty for others."""
    timeless: bytes
    """The same without the times in it, where the content is of a format that holds some; otherwise empty."""
    xattrs: bytes
    """Digest of the extended attributes; empty if there are none."""


class _Row(NamedTuple):
    key: bytes
    place: int
    kind: int
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int
    target: bytes
    content: bytes
    timeless: bytes
    xattrs: bytes
    number: int


class FileSystem:
    """An image's files, filled layer by layer. Use it in a `with` statement."""

    def __init__(self, *, max_paths: int = MAX_PATHS, max_bytes: int = MAX_PATH_BYTES) -> None:
        self._paths_left = max_paths
        self._bytes_left = max_bytes
        self._batch: list[tuple[object, ...]] = []
        self._stacked = False
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def add(self, layer: int, change: Change, tar: LayerTar) -> None:
        """Add what the layer does at a path; the member is the last that came of `tar`, and is read to its end.

        Raises TooManyFilesError, ArchiveError.
        """
        key = sort_key(change.path)
        if change.kind in ("deleted", "emptied"):
            code = _DELETED if change.kind == "deleted" else _EMPTIED
            self._insert((layer, key, code, 0, 0, 0, 0, 0, b"", b"", b"", b""))
            return
        file = tar.attributes()
        is_link = file.type == "hard link"
        target = sort_key(change.target) if is_link else file.target
        content, timeless = digest_content(change.path, tar.pieces()) if file.type == "file" else (b"", b"")
        self._insert(
            (layer, key, _CODES[file.type], change.size, file.mode, file.uid, file.gid, file.mtime, target, content,
             timeless, file.xattrs)
        )  # fmt: skip

    def stack(self, layers: Sequence[int]) -> None:
        """Say which layers make the image, the lowest first; one may be there twice."""
        self._flush()
        self._stacked = True
        with disk_errors():
            self._database.executemany("INSERT INTO places VALUES (?, ?)", zip(layers, range(len(layers)), strict=True))
            self._database.execute("CREATE INDEX entries_by_path ON entries (path)")

    def files(self) -> Iterator[ShownFile]:
        """Yield what the image shows, a folder right before all that is in it.

        Raises RuntimeError if nobody has said which layers make the image: an empty listing would pass for one.
        """
        if not self._stacked:
            raise RuntimeError("`stack` was not called")
        with disk_errors():
            # A whiteout leaves its own layer alone, so it comes before what that layer adds.
            rows = self._database.execute(
                f"SELECT {_COLUMNS} FROM entries JOIN places USING (layer) "  # noqa: S608 - a constant
                "ORDER BY path, place, kind >= 0, entries.rowid"
            )
            for row in _shown(map(_Row._make, rows)):
                yield self._file(row)

    def close(self) -> None:
        """Remove it from the disk."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _file(self, row: _Row) -> ShownFile:
        found = self._origin(row)
        return ShownFile(
            row.key, _TYPES[found.kind], found.size, found.mode, found.uid, found.gid, found.mtime, found.target,
            found.content, found.timeless, found.xattrs,
        )  # fmt: skip

    def _origin(self, row: _Row) -> _Row:
        """Return what a hard link is another name of; anything else is itself."""
        for _ in range(_MAX_LINKS):
            if row.kind != _HARD_LINK:
                break
            found = self._database.execute(
                f"SELECT {_COLUMNS} FROM entries JOIN places USING (layer) WHERE path = ? AND kind >= 0 "  # noqa: S608
                "AND (place < ? OR (place = ? AND entries.rowid < ?)) ORDER BY place DESC, entries.rowid DESC LIMIT 1",
                (row.target, row.place, row.place, row.number),
            ).fetchone()
            if found is None:
                break
            row = _Row._make(found)
        return row

    def _insert(self, entry: tuple[int, bytes, int, int, int, int, int, int, bytes, bytes, bytes, bytes]) -> None:
        self._paths_left -= 1
        self._bytes_left -= len(entry[1]) + len(entry[8])
        if self._paths_left < 0 or self._bytes_left < 0:
            raise TooManyFilesError("its layers hold more files, or longer paths, than can be compared")
        self._batch.append(entry)
        if len(self._batch) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        with disk_errors():
            self._database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._batch)
        self._batch.clear()


def _shown(rows: Iterable[_Row]) -> Iterator[_Row]:
    """Yield what shows at each path.

    rows: path by path, a folder right before all that is in it; those of a path from the lowest layer up.
    """
    # What the paths below a folder begin with, and the lowest layer of which something shows there.
    above = [(b"", 0)]
    for key, group in groupby(rows, itemgetter(0)):
        while not key.startswith(above[-1][0]):
            above.pop()
        last, lowest = _topmost(group, above[-1][1])
        if last is not None:
            yield last
        above.append((key + b"\0", lowest))


def _topmost(rows: Iterable[_Row], lowest: int) -> tuple[_Row | None, int]:
    """Return what shows at a path, None if nothing does, and the lowest layer of which something shows below it.

    lowest: the lowest layer of which something shows here.
    """
    last = None
    for row in rows:
        if row.place < lowest:
            continue
        if row.kind != _FOLDER:
            lowest = row.place
        if row.kind == _DELETED:
            last = None
        elif row.kind != _EMPTIED:
            last = row
    return last, lowest
