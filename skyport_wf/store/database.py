"""SQLite under the store: connections, transactions, older databases brought up to date, ids and moments as text.

Several processes use one store at once, so the journal is a write-ahead log: readers never wait for a writer.
"""

import fcntl
import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from skyport_wf.store.folder import LITTLE_ROOM, DataFolder
from skyport_wf.store.refusals import UnusableError
from skyport_wf.store.schema import NOTED_SINCE, STEPS

_BUSY_SECONDS = 60
_IDLE_CONNECTIONS = 16
_RESERVE = 1024 * 1024
"""Bytes that are kept for deleting where the disk is full: SQLite writes what it deletes, too."""
_MUCH_ROOM = 2 * _RESERVE
"""Bytes of which the reserve may be taken."""
_VERSION = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"

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
    """The SQLite file of a store, used by any number of threads; failures are StoreErrors."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._writing = threading.Lock()
        self._writing_much = threading.Lock()
        self._idle: list[_Connection] = []
        self._exists = False
        self._prepared = False
        self._closed = False

    def exists(self) -> bool:
        """Return whether anything was ever written. Raises StoreError if the folder is closed to us."""
        if not self._exists:
            with self._folder.failing_in_words():
                self._exists = self._folder.database.exists() and self._is_made()
        return self._exists

    def _is_made(self) -> bool:
        """Return whether the tables are there; waits for another process that is making them."""
        with closing(self._connect()) as connection:
            made = self._version(connection) == len(STEPS)
        if made:
            return True
        # Who may not wait may only read what is there.
        with suppress(OSError), self._turn():
            pass
        with closing(self._connect()) as connection:
            return self._version(connection) > 0

    def prepare(self) -> None:
        """Make the folder and the tables, or bring older ones up to date.

        Raises UnusableError for a database that a newer version of this program has written, and where the database is
        missing beside files: a new one would make garbage of them.
        """
        if self._prepared:
            return
        with self._folder.failing_in_words():
            self._folder.make()
            with self._turn():
                path = self._folder.database
                missing = "is empty" if path.exists() else "is missing"
                if (missing == "is missing" or not path.stat().st_size) and self._folder.has_files():
                    raise UnusableError(
                        f"{path} {missing}, while the files of nodes are there. Put it back: without it nothing tells "
                        "what the files are. Or choose another folder with SKYPORT_DATA."
                    )
                self._folder.make_file(path)
                with closing(self._connect()) as connection:
                    self._bring_up_to_date(connection)
        self._exists = self._prepared = True

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        version = self._version(connection)
        for number, step in enumerate(STEPS[version:], start=version + 1):
            # A step and its number in one transaction: after a crash between them it would be done twice.
            connection.executescript(f"BEGIN IMMEDIATE;{step};PRAGMA user_version = {number};COMMIT;")
        if not version:
            connection.execute("UPDATE store SET created_on = ?", (timestamp(),))

    def _version(self, connection: sqlite3.Connection) -> int:
        # In one statement, which sees one state: another process may be making the tables.
        version: int
        version, tables = connection.execute(_VERSION).fetchone()
        if not version and tables:
            raise UnusableError(
                f"{self._folder.database} is the database of another program. Choose another folder with SKYPORT_DATA."
            )
        if version > len(STEPS):
            raise UnusableError(
                f"{self._folder.database} was written by a newer skyport-wf (its version is {version}, this program "
                f"knows {len(STEPS)}). Update skyport-wf, or choose another folder with SKYPORT_DATA."
            )
        return version

    def check(self) -> None:
        """Raise StoreError for a database that cannot be read, or that a newer version of this program has written."""
        with self.read() as connection:
            self._version(connection)

    def require_intact(self) -> None:
        """Read all of the database, and raise DamagedError if it contradicts itself: takes seconds where it is large.

        What an index says of a file may be wrong where the table is right, which no question to the database shows.
        """
        with self.read() as connection:
            found: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            # A line that says which database it is may stand before what was found.
            raise self._folder.damage(found.splitlines()[-1])

    def created_on(self) -> str:
        """Return when the database was made; an empty text if that was before this was noted."""
        with self.read() as connection:
            if self._version(connection) < NOTED_SINCE:
                return ""
            moment: str = connection.execute("SELECT created_on FROM store").fetchone()[0]
            return moment

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the database throughout; an empty one, if nothing was written."""
        with self._borrow() if self.exists() else closing(_empty()) as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def write(self, *, much: bool = False, makes_room: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are on disk when the block ends, or, after an error, never were.

        much: whether the changes take long. Of those that do, one at a time waits for its turn among the others.
        makes_room: whether they lead to there being more room on the disk: they are made on a full one, too.
        """
        self.prepare()
        with self._turn(much=much):
            self._look_after_reserve(makes_room=makes_room)
            with self._borrow() as connection:
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
        if self._prepared and not self._folder.reserve.exists():
            # What a deletion has given up: only now is there room for it.
            with suppress(OSError), self._turn():
                self._look_after_reserve(makes_room=False)

    def _look_after_reserve(self, *, makes_room: bool) -> None:
        """Keep some room on the disk, or give it up on a full one to a change that `makes_room`.

        Only for whoever has the turn to write. Without a reserve, a full disk is as full for deleting as for the rest.
        """
        reserve = self._folder.reserve
        with suppress(OSError):
            free = shutil.disk_usage(self._folder.path).free
            if makes_room and free < LITTLE_ROOM:
                reserve.unlink(missing_ok=True)
            elif free >= _MUCH_ROOM and not reserve.exists():
                self._folder.make_file(reserve)
                # Zeros would take no room on some file systems.
                reserve.write_bytes(os.urandom(_RESERVE))

    @contextmanager
    def _turn(self, *, much: bool = False) -> Iterator[None]:
        """Wait for our turn to write.

        SQLite's own waiting is to sleep and ask again, which starves the unlucky when many processes write;
        a file lock wakes the next in line.
        """
        if much:
            with self._turn_in(self._writing_much, self._folder.long_turns), self._turn():
                yield
        else:
            with self._turn_in(self._writing, self._folder.turns):
                yield

    @contextmanager
    def _turn_in(self, lock: threading.Lock, path: Path) -> Iterator[None]:
        """Wait for other threads, and for other processes."""
        # Not an ExitStack, which would keep the lock for ever if a signal came while it takes note of it.
        with lock, path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _borrow(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop() if self._idle else self._connect()
        except IndexError:
            # Another thread was faster.
            connection = self._connect()
        try:
            yield connection
        except sqlite3.Error as error:
            # What went wrong may be this connection's fault: the next user gets a new one.
            connection.close()
            raise self._folder.failure(error) from error
        except BaseException:
            self._return(connection)
            raise
        self._return(connection)

    def _return(self, connection: "_Connection") -> None:
        # A signal may have come just after a transaction began, and nobody else can begin one then.
        is_busy = connection.is_alone or connection.in_transaction
        if self._closed or is_busy or len(self._idle) >= _IDLE_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> "_Connection":
        try:
            try:
                return self._open(alone=False)
            except sqlite3.OperationalError as error:
                code = error.sqlite_errorcode & 0xFF
                if code == sqlite3.SQLITE_IOERR:
                    # A full disk has no room for the file that SQLite shares with others. Alone it needs none.
                    return self._open(alone=True)
                if code == sqlite3.SQLITE_CANTOPEN and self._folder.is_read_only():
                    # Where that file cannot be made, the database can be read if nobody else has it open.
                    self._require_closed()
                    return self._open(alone=True, mode="ro&immutable=1")
                raise
        except sqlite3.Error as error:
            raise self._folder.failure(error) from error

    def _require_closed(self) -> None:
        """Raise UnusableError if there are changes that are not in the database's file yet."""
        log = self._folder.database.with_name(f"{self._folder.database.name}-wal")
        if log.exists() and log.stat().st_size:
            raise UnusableError(
                f"{self._folder.database} was not closed by who wrote to it last: its last changes are in {log.name}, "
                "and cannot be read on a read-only file system. Mount that for writing and run `skyport-wf ls` once, "
                "or copy the folder to where you may write."
            )

    def _open(self, *, alone: bool, mode: str = "rw") -> "_Connection":
        """Open the file, which must be there.

        alone: no other connection, in any process, may use it meanwhile.
        mode: as in SQLite's URIs.
        """
        connection = sqlite3.connect(
            f"{self._folder.database.absolute().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS,
            isolation_level=None, check_same_thread=False, factory=_Connection,
        )  # fmt: skip
        try:
            connection.is_alone = alone
            connection.row_factory = sqlite3.Row
            if alone:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA foreign_keys = ON")
            # FULL: a commit is on disk when it returns. In WAL mode the default may lose the last ones on power loss.
            connection.execute("PRAGMA synchronous = FULL")
            # The first thing that looks at the file.
            connection.execute("PRAGMA schema_version").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection


class _Connection(sqlite3.Connection):
    is_alone = False


def _empty() -> sqlite3.Connection:
    """Return a connection to a database with nothing in it, in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    for step in STEPS:
        connection.executescript(step)
    return connection
