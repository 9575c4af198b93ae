"""Files on disk: written to staging while they are hashed, then renamed to where they stay.

    DATA/staging/UUID    being written, locked by the process that writes it
    DATA/files/ab/UUID   complete; named by the first two digits of its UUID
    DATA/doubtful/UUID   an empty file: the database is just being told that the file came, or goes

A file is locked (flock) from its first byte until the database knows it. The lock ends with the process that
holds it, so an unlocked file that the database does not know is what a crash left behind. A file in its place
is in doubt before the database hears of it, so that the next start has only these to look at: see garbage.py.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import uuid4

from skyport_wf.store.hashing import BackgroundMD5
from skyport_wf.store.values import Content, is_uuid

_WRITE_BACK = 8 * 1024 * 1024
"""How much is gathered before the disk is told to begin."""


class FileStore:
    """The folder with the files of one store."""

    def __init__(self, folder: Path) -> None:
        self.staging = folder / "staging"
        self.files = folder / "files"
        self.doubtful = folder / "doubtful"

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.staging, self.files, self.doubtful):
            folder.mkdir(parents=True, exist_ok=True)

    def stage(self, name: str = "") -> "Staging":
        """Return a new file to write into, locked by us.

        name: for a task that must not be done twice at a time, the task's name.
        Raises BlockingIOError if someone else is at the task of that name.
        """
        identity = str(uuid4())
        return Staging(self, self.staging / (name or identity), identity)

    def path(self, identity: str) -> Path:
        """Return where the file of that UUID stays. Raises ValueError for anything but a UUID."""
        if not is_uuid(identity):
            raise ValueError(f"{identity!r} does not name a file of the store")
        return self.files / identity[:2] / identity

    def open(self, identity: str) -> BinaryIO:
        """Return the file, for reading. Raises FileNotFoundError if it was deleted."""
        return self.path(identity).open("rb", buffering=0)

    def remove(self, identity: str) -> None:
        """Remove a file that no node has any more; a download that has begun still ends."""
        self.path(identity).unlink(missing_ok=True)
        self.settle(identity)

    def doubt(self, identity: str) -> None:
        """Note that the database is about to hear that the file came, or that it goes."""
        (self.doubtful / identity).touch()

    def settle(self, identity: str) -> None:
        """Take the note away: what the database says of the file is so."""
        (self.doubtful / identity).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[Path]:
        """Go through every file there is, staging and notes included."""
        for folder in (self.staging, self.doubtful, *sorted(self.files.iterdir())):
            yield from sorted(folder.iterdir())


class Staging:
    """A file that is being written; removed on leaving unless it was committed."""

    def __init__(self, store: FileStore, path: Path, identity: str) -> None:
        self._store = store
        self._path = path
        self._id = identity
        self._md5 = BackgroundMD5()
        self._committed = False
        self._on_its_way = 0
        self.size = 0
        self._file = _create_locked(path, wait=path.name == identity)

    def write(self, data: bytes) -> int:
        """Append `data`."""
        self._md5.update(data)
        self.size += len(data)
        written = self._file.write(data)
        if self.size - self._on_its_way >= _WRITE_BACK:
            # Linux begins to write what it is told not to keep (what is still to be written, it keeps): else
            # all of it would wait for the fsync at the end.
            os.posix_fadvise(self._file.fileno(), self._on_its_way, _WRITE_BACK, os.POSIX_FADV_DONTNEED)
            self._on_its_way += _WRITE_BACK
        return written

    def keep(self) -> Content:
        """Bring the file to its place, on disk for sure, and return what it is; it can still be discarded."""
        self._file.flush()
        os.fsync(self._file.fileno())
        target = self._store.path(self._id)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _sync_folder(target.parent.parent)
        self._store.doubt(self._id)
        self._path.rename(target)
        self._path = target
        _sync_folder(target.parent)
        return Content(self._id, self.size, self._md5.hexdigest())

    def commit(self) -> None:
        """Say that the database is being told of the file: from now on it stays."""
        self._committed = True

    def close(self, *, in_doubt: bool = False) -> None:
        """Let go of the file, and remove it unless it was committed.

        in_doubt: the database may not have been told: the next start is to ask it.
        """
        if self._file.closed:
            return
        self._md5.end()
        if not self._committed:
            self._path.unlink(missing_ok=True)
        if not (self._committed and in_doubt):
            self._store.settle(self._id)
        # On a full disk closing fails once more, for bytes that nobody wants: what stays was flushed by keep().
        with suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(in_doubt=error is not None)


def lock_unused(path: Path) -> BinaryIO | None:
    """Return the file locked by us, or None if someone is writing it or it is gone."""
    try:
        file = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if not _is_same_file(path, file):
        # Whoever was writing it has finished meanwhile: it is in its place, or gone.
        file.close()
        return None
    return file


def _create_locked(path: Path, *, wait: bool) -> BinaryIO:
    """Return a new empty file, or an abandoned one emptied, locked by us.

    wait: whether to wait for whoever has it locked (that is garbage collection, if the name is new) or to
    raise BlockingIOError.
    """
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            file.close()
            raise
        if _is_same_file(path, file):
            file.truncate(0)
            return file
        # Garbage collection locked and removed it between our two calls: make another.
        file.close()


def _is_same_file(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """Make renames and new names in the folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
