"""The three formats of rpm's database, read without rpm: SQLite, ndb (SUSE), and Berkeley DB's hash (up to RHEL 8).

Each hands out the same header blobs. Source: rpm's lib/backend/{sqlite,ndb/rpmpkg}.c; Berkeley DB's dbinc/db_page.h.
"""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Final

_SQLITE: Final = b"SQLite format 3\0"
_SQLITE_STEPS: Final = 10_000_000
"""Of SQLite's virtual machine; a package takes about ten."""
_NDB: Final = b"RpmP"
_NDB_PAGE, _NDB_SLOT, _NDB_BLOCK = 4096, 16, 16
_BERKELEY_MAGIC: Final = 0x061561
_BERKELEY_HASH_PAGES: Final = (2, 13)
_BERKELEY_OVERFLOW: Final = 7
_BERKELEY_HEADER: Final = 26
_INLINE, _OFF_PAGE = 1, 3


def read_blobs(content: bytes) -> Iterator[bytes]:
    """Yield the header of each package, as rpm stores it.

    content: the file of the database.
    Raises ValueError if it is damaged or in another format.
    """
    if content.startswith(_SQLITE):
        blobs = _sqlite_blobs(content)
    elif content.startswith(_NDB):
        blobs = _ndb_blobs(content)
    elif order := next((order for order in "<>" if content[12:16] == struct.pack(f"{order}I", _BERKELEY_MAGIC)), ""):
        # Berkeley DB writes in the byte order of its machine.
        blobs = _berkeley_blobs(content, order)
    else:
        raise ValueError("its format is unknown")
    left = len(content)
    try:
        for blob in blobs:
            # Packages do not share bytes, unless the database is made to keep its reader busy.
            left -= len(blob) + 1
            if left < 0:
                raise ValueError("it is damaged (its packages overlap)")
            yield blob
    except (struct.error, sqlite3.Error) as error:
        raise ValueError(f"it is damaged ({error})") from error


def _sqlite_blobs(content: bytes) -> Iterator[bytes]:
    # Bytes 18 and 19 say that there is a write-ahead log beside the file, which a database in memory cannot have.
    content = content[:18] + b"\1\1" + content[20:]
    with closing(sqlite3.connect(":memory:")) as database:
        # `Packages` might be a view that never ends.
        database.set_progress_handler(lambda: 1, _SQLITE_STEPS)
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, len(content))
        database.deserialize(content)
        for (blob,) in database.execute("SELECT blob FROM Packages ORDER BY hnum"):
            if not isinstance(blob, bytes):
                raise ValueError("it is damaged (a package is no blob)")
            yield blob


def _ndb_blobs(content: bytes) -> Iterator[bytes]:
    (pages,) = struct.unpack_from("<I", content, 12)
    slots = content[2 * _NDB_SLOT : pages * _NDB_PAGE]
    for magic, package, block, _ in struct.iter_unpack("<4sIII", slots[: len(slots) // _NDB_SLOT * _NDB_SLOT]):
        if magic != b"Slot":
            raise ValueError("it is damaged (a slot)")
        if not package:
            continue
        at = block * _NDB_BLOCK
        blob_magic, owner, _, size = struct.unpack_from("<4sIII", content, at)
        if blob_magic != b"BlbS" or owner != package:
            raise ValueError("it is damaged (a blob)")
        yield content[at + 16 : at + 16 + size]


def _berkeley_blobs(content: bytes, order: str) -> Iterator[bytes]:
    """Yield the values of a Berkeley DB hash that are not the counter of packages, whose key is 0."""
    (page_size,) = struct.unpack_from(f"{order}I", content, 20)
    if page_size not in (512 << shift for shift in range(8)):
        raise ValueError("it is damaged (the page size)")
    for start in range(page_size, len(content) - page_size + 1, page_size):
        entries, _, _, kind = struct.unpack_from(f"{order}HHBB", content, start + 20)
        if kind not in _BERKELEY_HASH_PAGES:
            continue
        page = content[start : start + page_size]
        offsets = [page_size, *struct.unpack_from(f"{order}{entries}H", page, _BERKELEY_HEADER)]
        # Keys and values alternate; each item ends where the one before it begins.
        items = [page[offset:end] for end, offset in pairwise(offsets)]
        for key, value in zip(items[::2], items[1::2], strict=False):
            if key != bytes((_INLINE, 0, 0, 0, 0)):
                yield _berkeley_value(content, order, page_size, value)


def _berkeley_value(content: bytes, order: str, page_size: int, item: bytes) -> bytes:
    if item[:1] == bytes((_INLINE,)):
        return item[1:]
    if item[:1] != bytes((_OFF_PAGE,)):
        raise ValueError("it is damaged (an item)")
    page, size = struct.unpack_from(f"{order}II", item, 4)
    parts: list[bytes] = []
    if size > len(content):
        raise ValueError("it is damaged (a size)")
    while page and size > 0:
        start = page * page_size
        page, _, used, _, kind = struct.unpack_from(f"{order}IHHBB", content, start + 16)
        if kind != _BERKELEY_OVERFLOW or not used:
            raise ValueError("it is damaged (an overflow page)")
        parts.append(content[start + _BERKELEY_HEADER : start + _BERKELEY_HEADER + used])
        size -= used
    return b"".join(parts)
