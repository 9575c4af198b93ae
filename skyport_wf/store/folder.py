"""The folder of a store: made at the first write, closed to other users, and its failures in words."""

import errno
import os
import resource
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from skyport_wf.errors import OUT_OF_FILES, out_of_files
from skyport_wf.input_file import is_absent
from skyport_wf.store.refusals import (
    ClosedError,
    DamagedError,
    FileLimitError,
    FullError,
    ReadOnlyError,
    StoreError,
    UnusableError,
)
from skyport_wf.user_folders import DATA_VARIABLE

LITTLE_ROOM = 1024 * 1024
"""SQLite says `disk I/O error` where there is less than this: it needs a file of 32 kB beside the database, and more
for what it writes."""
_FILES_OF_DATABASE = 4
"""Itself, its journal, its log, and the memory that processes share."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM)
_MISPLACED = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)


class DataFolder:
    """The folder of one store, and the modes of what is in it.

    The folder's own mode is not always ours to change: it may be someone's home, or a mounted disk. So everything in it
    is closed to others. A folder that a group shares (mode 2770) is open to the group.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "shock.sqlite"
        self.turns = path / "write.lock"
        self.long_turns = path / "write-much.lock"
        self.staging = path / "staging"
        self.files = path / "files"
        self.doubtful = path / "doubtful"
        self.reserve = path / "reserve"
        self.file_mode = 0o600
        self.folder_mode = 0o700

    def is_read_only(self) -> bool:
        """Return whether the folder is on a file system that nobody may write, or is mounted so here."""
        with suppress(OSError):
            return bool(os.statvfs(self.path).f_flag & os.ST_RDONLY)
        return False

    def check(self) -> None:
        """Raise UnusableError for a folder that can have no store: readers are to hear what writers would."""
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise UnusableError(f"{self.path} is no folder. Choose another one with {DATA_VARIABLE}.")
        if os.path.lexists(self.database) and not self.database.is_file():
            raise UnusableError(f"{self.database} is no file. Choose another folder with {DATA_VARIABLE}.")
        with suppress(FileNotFoundError):
            self.close()

    def make(self) -> None:
        """Make what is not there yet. Raises UnusableError for a folder in which others could replace the store."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.close()
        for folder in (self.staging, self.files, self.doubtful):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                folder.chmod(self.folder_mode)
        self.make_file(self.turns)
        self.make_file(self.long_turns)

    def make_file(self, path: Path) -> None:
        """Make an empty file, if there is none."""
        with suppress(FileExistsError), open(path, "xb", opener=self._opener) as file:
            # The umask may have taken the group's rights away.
            os.fchmod(file.fileno(), self.file_mode)

    def _opener(self, path: str, flags: int) -> int:
        return os.open(path, flags, self.file_mode)

    def close(self) -> None:
        """Close what is in the folder to others. Raises UnusableError for a folder in which they could replace it."""
        mode = self.path.stat().st_mode
        advice = "Give it mode 700 (`chmod 700`), or, to share the store with its group, mode 2770."
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise UnusableError(f"everyone may write into {self.path}, and so replace the store. {advice}")
        if mode & stat.S_IWGRP and not mode & (stat.S_ISGID | stat.S_ISVTX):
            raise UnusableError(f"a group may write into {self.path}, but would not share what is written. {advice}")
        if mode & stat.S_IWGRP and mode & stat.S_ISGID:
            self.file_mode, self.folder_mode = 0o660, 0o2770
        beside = [self.database.with_name(f"{self.database.name}{end}") for end in ("", "-wal", "-shm")]
        for path in (self.staging, self.files, self.doubtful, self.reserve, self.turns, self.long_turns, *beside):
            # A file that is another user's has the mode that they gave it.
            with suppress(FileNotFoundError, PermissionError):
                wanted = self.folder_mode if path.is_dir() else self.file_mode
                differs = stat.S_IMODE(path.stat().st_mode) ^ wanted
                if differs and not self.is_read_only():
                    if path.is_dir() and differs & 0o777:
                        # Before its own mode, which says that all in it is done.
                        self._close_within(path)
                    path.chmod(wanted)

    def _close_within(self, folder: Path) -> None:
        """Give what is in a folder the modes that it would have if it were made now, as far as it is ours.

        No link is followed: in a folder that others may write, one could lead to anything of ours.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        for _, folders, files, here in os.fwalk(folder):
            for mode, names in ((self.folder_mode, folders), (self.file_mode, files)):
                for name in names:
                    with suppress(OSError):
                        descriptor = os.open(name, flags, dir_fd=here)
                        try:
                            os.fchmod(descriptor, mode)
                        finally:
                            os.close(descriptor)

    def has_files(self) -> bool:
        """Return whether there are files of nodes."""
        return next(self.files.glob("*/*"), None) is not None

    @contextmanager
    def failing_in_words(self, *, size: int = 0) -> Iterator[None]:
        """Turn what the system or SQLite says of a failure into a StoreError. size: bytes that are to be written."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise self.failure(error, size=size) from error

    def failure(self, error: OSError | sqlite3.Error, *, size: int = 0) -> StoreError:
        """Return a failure in words; what to do depends on its kind."""
        number = error.errno if isinstance(error, OSError) else None
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        free = 0
        with suppress(OSError):
            free = shutil.disk_usage(self.path).free
        if number in _NO_ROOM or code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and free < LITTLE_ROOM):
            return FullError(self.path, free, max(size, LITTLE_ROOM))
        if number == errno.EFBIG or (code == sqlite3.SQLITE_IOERR and _may_write_little()):
            return FileLimitError(
                f"a file of the store in {self.path} would be larger than its file system takes, or than this process "
                f"may write (`ulimit -f`). Raise that limit, or choose another folder with {DATA_VARIABLE}."
            )
        if number == errno.EROFS or (code == sqlite3.SQLITE_READONLY and self.is_read_only()):
            return ReadOnlyError(
                f"the store in {self.path} is on a read-only file system: it can be read, not written. Mount that for "
                f"writing, or choose another folder with {DATA_VARIABLE}."
            )
        if number in OUT_OF_FILES or (code == sqlite3.SQLITE_CANTOPEN and _may_open_no_more()):
            return UnusableError(out_of_files(f"the store in {self.path}"))
        if number in _CLOSED or code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            if self._is_shared_with_us():
                named = getattr(error, "filename", None)
                closed = Path(named) if isinstance(named, str | os.PathLike) else self.database
                return ClosedError(
                    f"you may not use {closed}, of the store that the group shares: {_owner(closed)} has not opened it "
                    f"to the group. Have them run `chmod -R g+rwX {self.path}`."
                )
            if is_absent(self.path):
                return ClosedError(
                    f"the embedded Shock cannot keep its data in {self.path}: you may not make that folder. Choose "
                    f"another one with {DATA_VARIABLE}."
                )
            return ClosedError(
                f"you may not use the store in {self.path}: {_owner(self.path)} has not opened it to you. Choose "
                f"another folder with {DATA_VARIABLE}, or share that one with a group (`chgrp -R`, mode 2770)."
            )
        # Python's own error, without a code.
        is_garbled = isinstance(error, sqlite3.Error) and "Could not decode to UTF-8" in str(error)
        if is_garbled or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self.damage(str(error))
        if isinstance(error, OSError):
            kind = UnusableError if number in _MISPLACED else StoreError
            return kind(
                f"the embedded Shock cannot keep its data in {self.path}: {error.strerror or error}. "
                f"Choose another folder with {DATA_VARIABLE}."
            )
        return StoreError(f"the database {self.database} failed: {error}. Try again; nothing was changed.")

    def _is_shared_with_us(self) -> bool:
        shared = self.folder_mode & stat.S_IWGRP
        return bool(shared) and os.access(self.path, os.W_OK | os.X_OK, effective_ids=True)

    def damage(self, what: str) -> DamagedError:
        """Return the error that says that the database is damaged, and how."""
        return DamagedError(
            f"{self.database} is damaged: {what}. Restore it from a backup. Until then leave the files beside it "
            "as they are: without it nothing tells which of them belong to nodes."
        )


def _owner(path: Path) -> str:
    """Return who owns a path; where nobody tells us that, who owns the folder that it is in."""
    try:
        return path.owner()
    except PermissionError:
        return _owner(path.parent)
    except (KeyError, OSError):
        return "its owner"


def _may_write_little() -> bool:
    """Return whether the files that this process writes have a limit: SQLite does not say that it was reached."""
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def _may_open_no_more() -> bool:
    """Return whether this process may not open as many files as a database needs: SQLite does not say why it failed."""
    with ExitStack() as opened:
        try:
            for _ in range(_FILES_OF_DATABASE):
                opened.enter_context(Path(os.devnull).open("rb"))
        except OSError as error:
            return error.errno in OUT_OF_FILES
    return False
