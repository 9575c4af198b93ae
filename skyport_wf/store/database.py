"""SQLite under the store: connections, transactions, and bringing an older database up to date.

Several processes use one store at once, so the journal is a write-ahead log: readers never wait for a writer.
"""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skyport_wf.errors import SkyportError
from skyport_wf.store.schema import STEPS

_BUSY_SECONDS = 60
_IDLE_CONNECTIONS = 16


class Database:
    """One SQLite file, used by any number of threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn_path = path.with_name("write.lock")
        self._writing = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def prepare(self) -> None:
        """Make the tables, or bring older ones up to date.

        Raises SkyportError for a database that a newer version of this program has written.
        """
        with self._turn():
            connection = self._connect()
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                _migrate(connection, self.path)
            finally:
                connection.close()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the database throughout."""
        with self._borrow() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are on disk when the block ends, or, after an error, never were."""
        with self._turn(), self._borrow() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            finally:
                connection.rollback()

    def close(self) -> None:
        """Close the connections; whatever borrows one later closes it itself."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for our turn to write.

        SQLite's own waiting is to sleep and ask again, which starves the unlucky when many processes write;
        a file lock wakes the next in line.
        """
        with self._writing, self._turn_path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _borrow(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.Error:
            # What went wrong may be this connection's fault: the next user gets a new one.
            connection.close()
            raise
        except BaseException:
            self._return(connection)
            raise
        self._return(connection)

    def _return(self, connection: sqlite3.Connection) -> None:
        if self._closed or len(self._idle) >= _IDLE_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        # FULL: a commit is on disk when it returns. In WAL mode the default may lose the last ones on power loss.
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise SkyportError(
            f"{path} was written by a newer skyport-wf (its version is {version}, this program knows {len(STEPS)}). "
            "Update skyport-wf, or choose another folder with SKYPORT_DATA."
        )
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{step};PRAGMA user_version = {number};COMMIT;")
