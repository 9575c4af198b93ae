"""All paths of all layers, on disk where there are many: a million files take no more memory than ten.

SQLite's private temporary database holds them: it has no name, is removed whatever happens, and spills to disk
only what does not fit its cache.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.image.examination.layer_files import Change, ChangeKind

MAX_PATHS: Final = 10_000_000
"""Paths of all layers together, a layer counting as often as the image uses it; large images have 500,000."""
MAX_PATH_BYTES: Final = 1 << 30
"""Bytes of these paths: the index may take three times as much on disk."""

Hiding = Literal["deleted", "overwritten"]

_KINDS: Final[tuple[ChangeKind, ...]] = ("file", "folder", "hard link", "other", "deleted", "emptied")
_CODES: Final = {kind: code for code, kind in enumerate(_KINDS)}
_BATCH: Final = 1000
_SCHEMA: Final = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; PRAGMA temp_store = FILE;
CREATE TABLE changes (layer INTEGER, path BLOB, kind INTEGER, size INTEGER, target BLOB, document INTEGER);
CREATE TABLE places (layer INTEGER, place INTEGER);
CREATE TABLE hidden (place INTEGER, path BLOB, size INTEGER, by INTEGER, how TEXT);
CREATE TABLE kept (place INTEGER, path BLOB, PRIMARY KEY (place, path)) WITHOUT ROWID;
BEGIN;
"""


class TooManyFilesError(SkyportError):
    """The layers hold more paths than the index takes."""


class PlacedChange(msgspec.Struct, frozen=True):
    """A change, and which layer of the image makes it."""

    path: bytes
    """A key: see `sort_key`."""
    place: int
    """The layer's number in the image, the lowest being 0."""
    kind: ChangeKind
    size: int
    target: bytes
    document: int | None
    """The number that `add` was given with it."""


class HiddenFile(msgspec.Struct, frozen=True):
    """A file that a layer holds and the image does not show."""

    place: int
    """The layer that holds it, the lowest being 0."""
    path: bytes
    """A key: see `sort_key`."""
    size: int
    by: int
    """The lowest layer that hides it."""
    how: Hiding


class FileIndex:
    """The paths of an image's layers. Use it in a `with` statement."""

    def __init__(self, *, max_paths: int = MAX_PATHS, max_path_bytes: int = MAX_PATH_BYTES) -> None:
        self._max_paths = max_paths
        self._max_path_bytes = max_path_bytes
        self._paths: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        self._seen_paths = self._seen_bytes = 0
        self._batch: list[tuple[int, bytes, int, int, bytes, int | None]] = []
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def add(self, layer: int, change: Change, document: int | None = None) -> None:
        """Add a change that the layer makes, and the number of what was read of the file, if anything was.

        Raises TooManyFilesError.
        """
        size = len(change.path) + len(change.target)
        self._paths[layer] += 1
        self._bytes[layer] += size
        self._seen_paths += 1
        self._seen_bytes += size
        self._check(self._seen_paths, self._seen_bytes)
        key, target = sort_key(change.path), sort_key(change.target)
        self._batch.append((layer, key, _CODES[change.kind], change.size, target, document))
        if len(self._batch) == _BATCH:
            self._flush()

    def in_order(self, layers: Sequence[int]) -> Iterator[PlacedChange]:
        """Yield the changes of the image's layers path by path, those of a path from the lowest layer up.

        Of a layer, what it deletes comes before what it adds: a whiteout leaves its own layer alone.
        A folder comes right before all that is in it.
        layers: the image's layers, the lowest first; one may be there twice.
        Raises TooManyFilesError if layers that are there twice make too many.
        """
        self._check(sum(self._paths[layer] for layer in layers), sum(self._bytes[layer] for layer in layers))
        self._flush()
        with disk_errors():
            self._database.executemany("INSERT INTO places VALUES (?, ?)", zip(layers, range(len(layers)), strict=True))
            rows = self._database.execute(
                "SELECT path, place, kind, size, target, document FROM changes JOIN places USING (layer) "
                "ORDER BY path, place, kind < ?, changes.rowid",
                (_CODES["deleted"],),
            )
            for path, place, kind, size, target, document in rows:
                yield PlacedChange(path, place, _KINDS[kind], size, target, document)

    def hide(self, files: Iterable[HiddenFile]) -> None:
        """Note files that do not show under this name."""
        with disk_errors():
            rows = ((file.place, file.path, file.size, file.by, file.how) for file in files)
            self._database.executemany("INSERT INTO hidden VALUES (?, ?, ?, ?, ?)", rows)

    def keep(self, place: int, path: bytes) -> None:
        """Note that the file shows under another name, a hard link of the same layer."""
        with disk_errors():
            self._database.execute("INSERT OR IGNORE INTO kept VALUES (?, ?)", (place, path))

    def forget_kept(self) -> None:
        """Take off the hidden files those that were kept."""
        with disk_errors():
            self._database.execute("DELETE FROM hidden WHERE (place, path) IN (SELECT place, path FROM kept)")

    def hidden_bytes(self) -> dict[int, int]:
        """Return the bytes of hidden files by layer."""
        with disk_errors():
            return dict(self._database.execute("SELECT place, SUM(size) FROM hidden GROUP BY place"))

    def largest_hidden(self, limit: int) -> tuple[HiddenFile, ...]:
        """Return the largest hidden files, the largest first."""
        query = "SELECT place, path, size, by, how FROM hidden ORDER BY size DESC, path, place LIMIT ?"
        with disk_errors():
            return tuple(HiddenFile(*row) for row in self._database.execute(query, (limit,)))

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
            self._database.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)", self._batch)
        self._batch.clear()


def sort_key(path: bytes) -> bytes:
    """Return what sorts a folder right before what is in it, and the root before all."""
    return b"\0" + path.replace(b"/", b"\0") if path else b""


def path_of(key: bytes) -> str:
    """Return the path that a key stands for, to show; bytes that are no UTF-8 become escapes."""
    return key[1:].replace(b"\0", b"/").decode(errors="backslashreplace")


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what SQLite raises into an error that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise SkyportError(
            f"cannot keep the list of the image's files on disk: {error}. Make room, or set SQLITE_TMPDIR to a folder "
            "that has some."
        ) from error
