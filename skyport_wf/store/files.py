"""Files on disk: written to staging while they are hashed, then renamed to where they stay.

    DATA/staging/UUID    being written, locked by the process that writes it
    DATA/files/ab/UUID   complete; named by the first two digits of its UUID
    DATA/doubtful/UUID   an empty file: the database is just being told that the file came, or goes

A file is locked (flock) from its first byte until the database knows it. The lock ends with the process that
holds it, so an unlocked file that the database does not know is what a crash left behind. A file in its place
is in doubt before the database hears of it, so that the next start has only these to look at: see garbage.py.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import uuid4

import msgspec

from skyport_wf.byte_streams import PIECE
from skyport_wf.store.database import is_uuid
from skyport_wf.store.folder import LITTLE_ROOM, DataFolder
from skyport_wf.store.refusals import FullError, StoreError

_WRITE_BACK = 8 * 1024 * 1024
"""Bytes to gather before the disk is told to begin."""
_HASHED_BESIDE = 4 * 1024 * 1024
"""From this size on a file is hashed in a thread of its own, if a processor is free for it."""

_processors = threading.BoundedSemaphore(os.cpu_count() or 1)


class Content(msgspec.Struct, frozen=True):
    """The bytes of a node's file, or of a part; never changed once they are there."""

    id: str
    """UUID, the name of the file on disk; nodes that were copied share it."""
    size: int
    """In bytes."""
    md5: str
    """32 hex digits, computed while the bytes arrived."""


class FileStore:
    """The files in the folder of a store."""

    def __init__(self, folder: DataFolder, prepare: Callable[[], None]) -> None:
        """prepare: makes what is not there yet; called before anything is written."""
        self.folder = folder
        self._prepare = prepare

    def require_room(self, size: int) -> None:
        """Raise FullError if the disk has no room for a file of that size: better before it is sent than after.

        What is small is tried: a change that leads to there being more room has the reserve for it.
        """
        self._prepare()
        free = shutil.disk_usage(self.folder.path).free
        if size >= LITTLE_ROOM and size > free:
            raise FullError(self.folder.path, free, size)

    def stage(self, task: str = "") -> "Staging":
        """Return a new file to write into, locked by us.

        task: names work that must not be done twice at a time.
        Raises BlockingIOError if someone else is at that work.
        """
        self._prepare()
        return Staging(self, task)

    def path(self, identity: str) -> Path:
        """Return where the file of that UUID stays. Raises ValueError for anything but a UUID."""
        if not is_uuid(identity):
            raise ValueError(f"{identity!r} does not name a file of the store")
        return self.folder.files / identity[:2] / identity

    def damaged_path(self, identity: str) -> Path:
        """Return which file find_damage speaks of: the database, if that has something else than a file's name."""
        return self.path(identity) if is_uuid(identity) else self.folder.database

    def open(self, identity: str) -> BinaryIO:
        """Return the file, for reading. Raises FileNotFoundError if it was deleted, or is something else now."""
        path = self.path(identity)
        # Of a pipe, opening would wait for ever, and a device may have no end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileNotFoundError(errno.ENOENT, "no regular file", str(path))
        return path.open("rb", buffering=0)

    def find_damage(self, content: Content) -> str:
        """Read a file, and return in words what is wrong with it; an empty text if it is as it was written.

        Raises ClosedError for one that we may not read: nothing is known of it then.
        """
        if not is_uuid(content.id):
            return f"the database has {content.id!r} in the place of the file's name"
        md5 = hashlib.md5(usedforsecurity=False)
        try:
            with self.open(content.id) as file:
                size = os.fstat(file.fileno()).st_size
                while size == content.size and (data := file.read(PIECE)):
                    md5.update(data)
        except FileNotFoundError:
            there = os.path.lexists(self.path(content.id))
            return "something else is in the place of the file" if there else "the file is missing"
        except PermissionError as error:
            raise self.folder.failure(error) from error
        except OSError as error:
            return f"the file cannot be read: {error.strerror or error}"
        if size != content.size:
            return f"the file has {size} bytes instead of {content.size}"
        if md5.hexdigest() != content.md5:
            return f"the file has other bytes: their MD5 is {md5.hexdigest()} instead of {content.md5}"
        return ""

    def remove(self, identity: str) -> None:
        """Remove a file that no node has any more; a download that has begun still ends."""
        self.path(identity).unlink(missing_ok=True)
        self.settle(identity)

    def doubt(self, identity: str) -> None:
        """Note that the database is about to hear that the file came, or that it goes."""
        (self.folder.doubtful / identity).touch()

    def settle(self, identity: str) -> None:
        """Take the note away: what the database says of the file is so."""
        (self.folder.doubtful / identity).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[Path]:
        """Go through every file there is, staging and notes included."""
        for folder in (self.folder.staging, self.folder.doubtful, *sorted(self.folder.files.glob("*"))):
            yield from sorted(folder.glob("*"))


class Staging:
    """A file that is being written; removed on leaving unless it was committed."""

    def __init__(self, store: FileStore, task: str) -> None:
        self._store = store
        self._id = str(uuid4())
        self._path = store.folder.staging / (task or self._id)
        self._md5 = BackgroundMD5()
        self._committed = False
        self._on_its_way = 0
        self._expected = 0
        self.size = 0
        # A new name can be locked only by garbage collection, which is quick: wait for it. If that has removed
        # the file between our opening and locking it, make another.
        while (file := _open_locked(self._path, "ab", wait=not task)) is None:
            pass
        # An abandoned file of that task may be there, perhaps another user's, with a mode that we cannot change.
        file.truncate(0)
        with suppress(PermissionError):
            os.fchmod(file.fileno(), store.folder.file_mode)
        self._file = file

    def expect(self, size: int) -> None:
        """Say that the file will have at least `size` bytes. Raises FullError if the disk has no room for them."""
        self._store.require_room(size)
        self._expected = size

    def write(self, data: bytes) -> int:
        """Append `data`."""
        self._md5.update(data)
        self.size += len(data)
        try:
            written = self._file.write(data)
        except OSError as error:
            raise self._failure(error) from error
        if self.size - self._on_its_way >= _WRITE_BACK:
            # Linux begins to write what it is told not to keep (what is still to be written, it keeps): else
            # all of it would wait for the fsync at the end.
            os.posix_fadvise(self._file.fileno(), self._on_its_way, _WRITE_BACK, os.POSIX_FADV_DONTNEED)
            self._on_its_way += _WRITE_BACK
        return written

    def keep(self) -> Content:
        """Bring the file to its place, on disk for sure, and return what it is; it can still be discarded."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failure(error) from error
        target = self._store.path(self._id)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            with suppress(PermissionError):
                target.parent.chmod(self._store.folder.folder_mode)
            _sync_folder(target.parent.parent)
        self._store.doubt(self._id)
        self._path.rename(target)
        self._path = target
        _sync_folder(target.parent)
        return Content(self._id, self.size, self._md5.hexdigest())

    def _failure(self, error: OSError) -> StoreError:
        return self._store.folder.failure(error, size=max(self.size, self._expected))

    def commit(self) -> None:
        """Say that the database is being told of the file: from now on it stays.

        Called before the transaction ends: if ending it fails, a file is left that nobody knows, which garbage
        collection finds; the other way round a node could be left without its file.
        """
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


class BackgroundMD5:
    """The MD5 of pieces of bytes, each hashed while the next is received: MD5 is the slowest part of an upload."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        if not self._thread and self._size >= _HASHED_BESIDE and _processors.acquire(blocking=False):
            self._thread = ThreadPoolExecutor(1, "md5")
        if self._last:
            # One piece waits at most, so that no more than two are in memory.
            self._last.result()
        if self._thread:
            self._last = self._thread.submit(self._md5.update, data)
        else:
            self._md5.update(data)

    def hexdigest(self) -> str:
        """Return the MD5 of everything so far, as 32 hex digits; nothing can be added afterwards."""
        self.end()
        return self._md5.hexdigest()

    def end(self) -> None:
        """Wait until everything is hashed, and let go of the thread."""
        if self._thread:
            self._thread.shutdown()
            self._thread = None
            _processors.release()


def lock_unused(path: Path) -> BinaryIO | None:
    """Return the file locked by us, or None if someone is writing it, or it is gone or none of ours."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        try:
            return _open_locked(path, "r+b", wait=False)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            # To be locked by us a file need not be open for writing, but on some network file systems.
            return _open_locked(path, "rb", wait=False)
    except (FileNotFoundError, BlockingIOError):
        return None


def _open_locked(path: Path, mode: str, *, wait: bool) -> BinaryIO | None:
    """Return the file, locked by us; None if it was renamed or removed between opening and locking it.

    Raises BlockingIOError if someone else has it locked, unless we are to wait.
    """
    # Closed below unless it is returned.
    file: BinaryIO = path.open(mode)  # type: ignore[assignment]
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(path.stat(), os.fstat(file.fileno())):
            return file
    except FileNotFoundError:
        pass
    except OSError:
        file.close()
        raise
    file.close()
    return None


def _sync_folder(folder: Path) -> None:
    """Make renames and new names in the folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
