"""The user's folder for copies of what was fetched. It may be removed at any time, and several processes share it."""

import fcntl
import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.output_file import replace_file
from skyport_wf.user_folders import user_folder

_log = logging.getLogger(__name__)

CACHE_VARIABLE = "SKYPORT_CACHE"
"""The variable that names the folder."""
_OWN: Final = 0o700
_Note = TypeVar("_Note")


def cache_folder(*below: str) -> Path:
    """Return a folder of the cache, made if it is not there.

    below: the folder's path inside the cache. Its first part is closed to other users, also in a cache that is open:
        what comes from a private image or repository is nobody else's to read.
    Raises UsageError as `cache_root`, and SkyportError if the folder cannot be made.
    """
    root = cache_root()
    folder = root.joinpath(*below)
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if below:
            _close(root / below[0])
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SkyportError(
            f"cannot keep copies of what was fetched in {folder}: {error.strerror}. Choose another folder with "
            f"{CACHE_VARIABLE}."
        ) from error
    return folder


def _close(folder: Path) -> None:
    """Make a folder that nobody else may look into, or let one of ours be such."""
    folder.mkdir(exist_ok=True, mode=_OWN)
    status = folder.stat()
    if stat.S_IMODE(status.st_mode) & ~_OWN and status.st_uid == os.geteuid():
        # On a read-only file system it stays as it is.
        with suppress(OSError):
            folder.chmod(_OWN)


def cache_root() -> Path:
    """Return the folder of the cache, which need not be there.

    Raises UsageError if SKYPORT_CACHE is a relative path, or is not set and the user has no home folder.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        if not Path(named).is_absolute():
            raise UsageError(f"the variable {CACHE_VARIABLE} is {named!r}. Give it an absolute path.")
        return Path(named)
    if own := user_folder("cache"):
        return own
    raise UsageError(
        "this user has no home folder for copies of what is fetched. Give a folder's absolute path in "
        f"{CACHE_VARIABLE}, or a home folder's in HOME."
    )


def read_note(kind: str, about: str, shape: type[_Note]) -> _Note | None:
    """Return what was noted about an address; None if nothing was, or if it cannot be read any more."""
    try:
        return decode_json(_note(kind, about).read_bytes(), shape)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def write_note(kind: str, about: str, note: object) -> None:
    """Note something about an address, in the place of what was noted before."""
    _write(_note(kind, about), msgspec.json.encode(note))


def store_content(content: bytes, name: str) -> Path:
    """Return a file that is called `name` and holds `content`, alone in its folder."""
    path = cache_folder("contents", hashlib.sha256(content).hexdigest()) / name
    _write(path, content)
    return path


def empty_folder() -> Path:
    """Return a folder that holds nothing. Raises SkyportError if someone has put something there."""
    folder = cache_folder("empty")
    if any(folder.iterdir()):
        raise SkyportError(f"{folder} has to be empty: it is the build context of images that have none. Empty it.")
    return folder


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Let one process at a time in, of those that want the same path."""
    lock = path.with_name(path.name + ".lock")
    while True:
        with lock.open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info("waiting for another process, which is doing the same")
                fcntl.flock(file, fcntl.LOCK_EX)
            # Who was in before has removed it, and others may have a new one.
            if not _is_at(file, lock):
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def key_of(about: str) -> str:
    """Return a name for a file about an address."""
    return hashlib.sha256(about.encode()).hexdigest()[:40]


def _write(path: Path, content: bytes) -> None:
    # Most answers are the same as last time: they cost no write, and no wait for the disk.
    if not path.is_file() or path.read_bytes() != content:
        with replace_file(path) as file:
            file.write(content)


def _note(kind: str, about: str) -> Path:
    return cache_folder(kind) / f"{key_of(about)}.json"
