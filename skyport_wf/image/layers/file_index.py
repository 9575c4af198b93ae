"""All paths of all layers, on disk where there are many: a million files take no more memory than ten.

SQLite's private temporary database holds them: it has no name, is removed whatever happens, and spills to disk
only the part that does not fit its cache.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from types import TracebackType
from typing import Final, NamedTuple, Self

from skyport_wf.byte_streams import ByteStream
from skyport_wf.errors import SkyportError
from skyport_wf.image.layers.content_digest import digest_content
from skyport_wf.image.layers.corrections import Corrections, retarget
from skyport_wf.image.layers.entries import LayerEntry
from skyport_wf.image.layers.flaws import Flaw
from skyport_wf.image.layers.stacking import HiddenHow, PlacedEntry, folders_above, path_of, sort_key, stack

MAX_PATHS: Final = 10_000_000
"""Paths of all layers together, a layer counting as often as the image uses it; large images have 500,000."""
MAX_PATH_BYTES: Final = 1 << 30
"""Bytes of these paths: the index may take three times as much on disk."""

_BATCH: Final = 1000
_MOST_FLAWS: Final = 1000
_MAX_LINKS: Final = 8
"""Hard links to hard links that are followed; engines write none."""
_COLUMNS: Final = (
    "key, place, kind, size, target, mode, uid, gid, mtime, xattrs, absolute, content, timeless, document, "
    "entries.rowid"
)
_ENTRIES: Final = f"SELECT {_COLUMNS} FROM entries JOIN places USING (layer)"  # noqa: S608 - constants
_IN_ORDER: Final = "ORDER BY key, place, kind NOT IN ('deleted', 'emptied'), entries.rowid"
"""A folder comes right before its files. A whiteout leaves its own layer alone, so it comes before the entries that the
layer adds."""
_SCHEMA: Final = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; PRAGMA temp_store = FILE;
CREATE TABLE entries (layer INTEGER, key BLOB, kind TEXT, size INTEGER, target BLOB, mode INTEGER, uid INTEGER,
                      gid INTEGER, mtime INTEGER, xattrs BLOB, absolute INTEGER, content BLOB, timeless BLOB,
                      document INTEGER);
CREATE TABLE places (layer INTEGER, place INTEGER);
CREATE TABLE hidden (place INTEGER, key BLOB, size INTEGER, by INTEGER, how TEXT);
CREATE TABLE kept (place INTEGER, key BLOB, PRIMARY KEY (place, key)) WITHOUT ROWID;
BEGIN;
"""


class TooManyFilesError(SkyportError):
    """The layers hold more paths than the index takes."""


class HiddenFile(NamedTuple):
    """A file that a layer holds and the image does not show."""

    place: int
    """The layer that holds it, the lowest being 0."""
    key: bytes
    size: int
    by: int
    """The lowest layer that hides it."""
    how: HiddenHow


class FileIndex:
    """The paths of an image's layers: filled layer by layer, then stacked. Use it in a `with` statement."""

    def __init__(
        self, *, with_contents: bool = False, max_paths: int = MAX_PATHS, max_path_bytes: int = MAX_PATH_BYTES
    ) -> None:
        """Make an empty index.

        with_contents: whether to digest the content of each file, so that images can be compared.
        """
        self._with_contents = with_contents
        self._max_paths = max_paths
        self._max_path_bytes = max_path_bytes
        self._paths: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        self._all_paths = self._all_bytes = 0
        self.flaws: list[tuple[int, bytes, Flaw]] = []
        """Reasons in the headers of a layer why engines refuse it, with the layer's number; the first of them."""
        self.layers: tuple[int, ...] = ()
        """The numbers of the image's layers, the lowest first, once they are stacked."""
        self._batch: list[tuple[object, ...]] = []
        self._stacked = False
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def add(
        self, layer: int, entry: LayerEntry, content: ByteStream | None = None, *, document: int | None = None
    ) -> None:
        """Add an entry of a layer.

        content: of a file, read to its end if contents are wanted.
        document: a number that the caller gives to something that it read of the file.
        Raises TooManyFilesError.
        """
        size = len(entry.path) + len(entry.target)
        self._paths[layer] += 1
        self._bytes[layer] += size
        self._all_paths += 1
        if entry.flaws and len(self.flaws) < _MOST_FLAWS:
            self.flaws += ((layer, entry.path, flaw) for flaw in entry.flaws)
        self._all_bytes += size
        self._check(self._all_paths, self._all_bytes)
        digest = timeless = b""
        if self._with_contents and content and entry.kind == "file":
            digest, timeless = digest_content(entry.path, content)
        target = sort_key(entry.target) if entry.kind == "hard link" else entry.target
        self._batch.append(
            (layer, sort_key(entry.path), entry.kind, entry.size, target, *entry[4:10], digest, timeless, document)
        )
        if len(self._batch) == _BATCH:
            self._flush()

    def stack(self, layers: Sequence[int]) -> None:
        """Say which layers make the image, the lowest first; one may be there twice.

        Raises TooManyFilesError if layers that are there twice make too many paths.
        """
        self._check(sum(self._paths[layer] for layer in layers), sum(self._bytes[layer] for layer in layers))
        self._flush()
        self.layers = tuple(layers)
        self._stacked = True
        with disk_errors():
            self._database.executemany("INSERT INTO places VALUES (?, ?)", zip(layers, range(len(layers)), strict=True))
            self._database.execute("CREATE INDEX entries_by_key ON entries (key)")

    def in_order(self) -> Iterator[PlacedEntry]:
        """Yield the entries of the image's layers path by path, those of a path from the lowest layer up."""
        if not self._stacked:
            raise RuntimeError("`stack` was not called")
        with disk_errors():
            yield from map(PlacedEntry._make, self._database.execute(f"{_ENTRIES} {_IN_ORDER}"))

    def shown(self) -> Iterator[PlacedEntry]:
        """Yield the files that the image shows, path by path; a hard link as the file that it is another name of."""
        for entry, hiding in stack(self.in_order()):
            if hiding is None:
                yield self.linked(entry)._replace(key=entry.key) if entry.kind == "hard link" else entry

    def linked_names(self) -> Iterator[tuple[PlacedEntry, bytes]]:
        """Yield the files that the image shows, path by path, each with the key of the first name that it has."""
        with disk_errors():
            self._database.execute("DROP TABLE IF EXISTS shown")
            self._database.execute("CREATE TABLE shown (name BLOB, at INTEGER, number INTEGER)")
            files = ((file.key, file.place, file.number) for file in self.shown())
            self._database.executemany("INSERT INTO shown VALUES (?, ?, ?)", files)
            self._database.execute("CREATE INDEX shown_by_file ON shown (number, at)")
            rows = self._database.execute(
                "SELECT name, (SELECT MIN(name) FROM shown AS other WHERE other.number = shown.number "  # noqa: S608
                f"AND other.at = shown.at), {_COLUMNS} FROM shown CROSS JOIN entries ON entries.rowid = shown.number "
                "JOIN places ON places.layer = entries.layer AND places.place = shown.at ORDER BY name"
            )
            for name, first_name, *columns in rows:
                yield PlacedEntry._make(columns)._replace(key=name), first_name

    def lookup(self, path: bytes) -> PlacedEntry | None:
        """Return what the image shows at a path, which is not followed if it is a link; None if nothing is there."""
        key = sort_key(path)
        # Layers may hide it by what they do to a folder above.
        keys = [*folders_above(key), key]
        marks = ", ".join("?" * len(keys))
        with disk_errors():
            rows = self._database.execute(f"{_ENTRIES} WHERE key IN ({marks}) {_IN_ORDER}", keys)
            found = [entry for entry, hiding in stack(map(PlacedEntry._make, rows)) if hiding is None]
        return found[-1] if found and found[-1].key == key else None

    def below(self, folder: bytes, *, most: int) -> Iterator[PlacedEntry]:
        """Yield what the image shows below a folder, path by path.

        Raises TooManyFilesError if the layers have more than `most` entries there.
        """
        key = sort_key(folder)
        keys, between = [*folders_above(key), key], (key + b"\0", key + b"\1")
        marks = ", ".join("?" * len(keys))
        with disk_errors():
            query = "SELECT COUNT(*) FROM (SELECT 1 FROM entries WHERE key > ? AND key < ? LIMIT ?)"
            if self._database.execute(query, (*between, most + 1)).fetchone()[0] > most:
                raise TooManyFilesError(f"its layers hold more than {most:,} files below {path_of(key)}")
            above = self._database.execute(f"{_ENTRIES} WHERE key IN ({marks}) {_IN_ORDER}", keys)
            inside = self._database.execute(f"{_ENTRIES} WHERE key > ? AND key < ? {_IN_ORDER}", between)
            for entry, hiding in stack(map(PlacedEntry._make, chain(above, inside))):
                if hiding is None and entry.key > key:
                    yield entry

    def in_layer(self, path: bytes, *, place: int, before: int) -> PlacedEntry | None:
        """Return the last entry that one layer has for a path, of those in its tar that come `before`."""
        where = "WHERE key = ? AND place = ? AND entries.rowid < ? AND kind NOT IN ('emptied', 'ignored')"
        with disk_errors():
            query = f"{_ENTRIES} {where} ORDER BY entries.rowid DESC LIMIT 1"
            row = self._database.execute(query, (sort_key(path), place, before)).fetchone()
        return PlacedEntry._make(row) if row else None

    def first_in_place_of(self, folder: bytes, *, place: int, after: int) -> int | None:
        """Return the number of the entry that takes the place of a folder, or of one above it, later in its layer."""
        keys = [*folders_above(sort_key(folder)), sort_key(folder)]
        where = f"WHERE key IN ({', '.join('?' * len(keys))}) AND place = ? AND entries.rowid > ?"
        with disk_errors():
            query = (
                f"{_ENTRIES} {where} AND kind NOT IN ('folder', 'emptied', 'ignored') ORDER BY entries.rowid LIMIT 1"
            )
            row = self._database.execute(query, (*keys, place, after)).fetchone()
        return PlacedEntry._make(row).number if row else None

    def is_implied(self, path: bytes, *, place: int, before: int) -> bool:
        """Return whether one layer has anything below a path, of the entries in its tar that come `before`."""
        where = "WHERE (key > ? AND key < ? OR key = ? AND kind = 'emptied') AND place = ? AND entries.rowid < ?"
        key = sort_key(path)
        with disk_errors():
            query = f"{_ENTRIES} {where} LIMIT 1"
            return self._database.execute(query, (key + b"\0", key + b"\1", key, place, before)).fetchone() is not None

    def unlinked(self, limit: int) -> list[PlacedEntry]:
        """Return the first hard links whose file is not before them in the tar of their layer, or is a folder."""
        query = (
            f"{_ENTRIES} WHERE kind = 'hard link' AND (target = key OR NOT EXISTS ("  # noqa: S608 - constants
            "SELECT 1 FROM entries AS file WHERE file.key = entries.target AND file.layer = entries.layer "
            "AND file.rowid < entries.rowid AND file.kind NOT IN ('folder', 'emptied'))) LIMIT ?"
        )
        with disk_errors():
            return [PlacedEntry._make(row) for row in self._database.execute(query, (limit,))]

    def links_to_removed(self, corrections: Corrections, limit: int) -> list[PlacedEntry]:
        """Return the first hard links that come after what removed their file, or remove it themselves.

        Engines make room for a link first: where it is named as a folder above its file, or as that file by way of
        another link, there is none then.
        """
        query = (
            f"{_ENTRIES} WHERE kind = 'hard link' AND entries.rowid >= ? AND (layer, target) = "  # noqa: S608 - constants
            "(SELECT layer, key FROM entries WHERE rowid = ?) LIMIT ?"
        )
        onto_itself = f"{_ENTRIES} WHERE kind = 'hard link' AND (entries.rowid, target) = (?, ?)"
        with disk_errors():
            rows = (self._database.execute(query, (by, number, limit)) for number, by in corrections.removed.items())
            moved = (self._database.execute(onto_itself, item) for item in corrections.moved.items())
            return [PlacedEntry._make(row) for row in islice(chain.from_iterable(chain(rows, moved)), limit)]

    def retarget(self, number: int, key: bytes) -> None:
        """Have a hard link be another name of the file with this key."""
        with disk_errors():
            retarget(self._database, number, key)

    def correct(self, corrections: Corrections) -> None:
        """Change entries as told."""
        with disk_errors():
            corrections.apply(self._database)

    def linked(self, entry: PlacedEntry) -> PlacedEntry:
        """Return the file that a hard link is another name of; the entry itself if it is none, or leads nowhere."""
        for _ in range(_MAX_LINKS):
            if entry.kind != "hard link":
                break
            # The file is what it was when the link was made, though its own name may be another file's by now.
            found = self._database.execute(
                f"{_ENTRIES} WHERE key = ? AND kind NOT IN ('deleted', 'emptied', 'ignored') "
                "AND (place < ? OR (place = ? AND entries.rowid < ?)) ORDER BY place DESC, entries.rowid DESC LIMIT 1",
                (entry.target, entry.place, entry.place, entry.number),
            ).fetchone()
            if found is None:
                break
            entry = PlacedEntry._make(found)
        return entry

    def hide(self, files: Iterable[HiddenFile]) -> None:
        """Note files that do not show under this name."""
        with disk_errors():
            self._database.executemany("INSERT INTO hidden VALUES (?, ?, ?, ?, ?)", files)

    def keep(self, place: int, key: bytes) -> None:
        """Note that the file shows under another name, a hard link of the same layer."""
        with disk_errors():
            self._database.execute("INSERT OR IGNORE INTO kept VALUES (?, ?)", (place, key))

    def forget_kept(self) -> None:
        """Take off the hidden files those that were kept."""
        with disk_errors():
            self._database.execute("DELETE FROM hidden WHERE (place, key) IN (SELECT place, key FROM kept)")

    def hidden_bytes(self) -> dict[int, int]:
        """Return the bytes of hidden files by layer."""
        with disk_errors():
            return dict(self._database.execute("SELECT place, SUM(size) FROM hidden GROUP BY place"))

    def largest_hidden(self, limit: int) -> tuple[HiddenFile, ...]:
        """Return the largest hidden files, the largest first."""
        query = "SELECT place, key, size, by, how FROM hidden ORDER BY size DESC, key, place LIMIT ?"
        with disk_errors():
            return tuple(map(HiddenFile._make, self._database.execute(query, (limit,))))

    def close(self) -> None:
        """Remove it from the disk."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, paths: int, size: int) -> None:
        if paths > self._max_paths:
            raise TooManyFilesError(f"its layers hold more than {self._max_paths:,} files")
        if size > self._max_path_bytes:
            raise TooManyFilesError(f"the paths in its layers have more than {self._max_path_bytes:,} bytes")

    def _flush(self) -> None:
        with disk_errors():
            values = ", ".join("?" * 14)
            self._database.executemany(f"INSERT INTO entries VALUES ({values})", self._batch)  # noqa: S608
        self._batch.clear()


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn an error of SQLite into one that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise SkyportError(
            f"cannot keep the list of the image's files on disk: {error}. Make room, or set SQLITE_TMPDIR to a folder "
            "that has some."
        ) from error
