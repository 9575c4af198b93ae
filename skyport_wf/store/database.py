"""SQLite under the store: connections, transactions, older databases brought up to date, ids and moments as text.

Several processes use one store at once, so the journal is a write-ahead log: readers never wait for a writer.
"""

import fcntl
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from skyport_wf.errors import SkyportError
from skyport_wf.store.schema import STEPS

_BUSY_SECONDS = 60
_IDLE_CONNECTIONS = 16

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Return whether `text` is a UUID as this store writes them: only such a text becomes part of a path."""
    return _UUID.fullmatch(text) is not None


def timestamp(moment: datetime | None = None) -> str:
    """Return a moment (now, unless given) as RFC 3339 text in UTC with microseconds.

    All texts have one length, so that comparing them compares the moments.
    """
    moment = (moment or datetime.now(UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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
        with self._turn(), closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(STEPS):
                raise SkyportError(
                    f"{self.path} was written by a newer skyport-wf (its version is {version}, this program knows "
                    f"{len(STEPS)}). Update skyport-wf, or choose another folder with SKYPORT_DATA."
                )
            for number, step in enumerate(STEPS[version:], start=version + 1):
                # A step and its number in one transaction: after a crash between them it would be done twice.
                connection.executescript(f"BEGIN IMMEDIATE;{step};PRAGMA user_version = {number};COMMIT;")

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
