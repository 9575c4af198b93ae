"""Effects of layers that the names of their entries alone do not tell, put into the index of paths."""

import sqlite3
from typing import Final

_MOST: Final = 100_000
"""Corrections of a kind that are noted."""
_FILE: Final = "kind, size, target, mode, uid, gid, mtime, xattrs, content, timeless, document"
"""The columns that a hard link shares with the file that it is another name of."""


class Corrections:
    """Entries that engines unpack to another effect than their names alone tell. Images have a handful."""

    def __init__(self) -> None:
        self.implied: list[tuple[bytes, int]] = []
        """Folders that no layer names, but that take the place of a lower layer's file or link: key, and place of the
        layer that has something below it."""
        self.moved: dict[int, bytes] = {}
        """Keys of entries whose paths lead through a link of their own layer, by number."""
        self.removed: dict[int, int] = {}
        """Numbers of entries, and of what takes the place of their folder later in their layer."""

    def imply(self, key: bytes, place: int) -> None:
        """Note a folder that no layer names."""
        if len(self.implied) < _MOST:
            self.implied.append((key, place))

    def move(self, number: int, key: bytes) -> None:
        """Note where an entry really is."""
        if len(self.moved) < _MOST:
            self.moved[number] = key

    def remove(self, number: int, by: int) -> None:
        """Note that an entry is gone."""
        if len(self.removed) < _MOST:
            self.removed[number] = by

    def apply(self, database: sqlite3.Connection) -> None:
        """Change the entries of an index, which are in this database."""
        # An image may have a layer twice, and it implies a folder only above certain others: each place gets a layer of
        # its own for these.
        places = {place for _, place in self.implied}
        database.executemany("INSERT INTO places VALUES (?, ?)", ((-1 - place, place) for place in places))
        database.executemany(
            "INSERT INTO entries SELECT ?, ?, 'folder', 0, x'', 493, 0, 0, 0, x'', 0, x'', x'', NULL",
            ((-1 - place, key) for key, place in self.implied),
        )
        if self.moved or self.removed:
            # Else each of them would mean a look at all entries.
            database.execute("CREATE INDEX links ON entries (target) WHERE kind = 'hard link'")
        for number, key in self.moved.items():
            for link, _ in _links_to(database, number):
                retarget(database, link, key)
            database.execute("UPDATE entries SET key = ? WHERE rowid = ?", (key, number))
        for number in self.removed:
            _hand_on(database, number)
            database.execute("DELETE FROM entries WHERE rowid = ?", (number,))


def retarget(database: sqlite3.Connection, number: int, key: bytes) -> None:
    """Have a hard link be another name of the file with this key."""
    database.execute("UPDATE entries SET target = ? WHERE rowid = ?", (key, number))


def _hand_on(database: sqlite3.Connection, number: int) -> None:
    """Have the first hard link to a file be the file itself, and the others lead there: it lives on in them."""
    links = _links_to(database, number)
    for link, _ in links[:1]:
        query = f"UPDATE entries SET ({_FILE}) = (SELECT {_FILE} FROM entries WHERE rowid = ?) WHERE rowid = ?"  # noqa: S608
        database.execute(query, (number, link))
    for link, _ in links[1:]:
        retarget(database, link, links[0][1])


def _links_to(database: sqlite3.Connection, number: int) -> list[tuple[int, bytes]]:
    """Return number and key of the hard links to an entry in its layer."""
    return database.execute(
        "SELECT link.rowid, link.key FROM entries AS file JOIN entries AS link ON link.layer = file.layer "
        "AND link.target = file.key AND link.rowid > file.rowid "
        "WHERE file.rowid = ? AND link.kind = 'hard link' ORDER BY link.rowid",
        (number,),
    ).fetchall()
