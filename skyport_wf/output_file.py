"""Files that are either complete or not there: written under another name, flushed to disk, then renamed."""

import errno
import fcntl
import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path

from skyport_wf.errors import SkyportError, UsageError

LONGEST_NAME = 255
"""Bytes of a file's name (NAME_MAX of Linux)."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LONGEST_PART = 230
"""Bytes of a file's name that are in the name of its partial file, which may not be too long either."""
_FOLDER = "skyport-wf-scratch-"
_ENOUGH = 1 << 20
"""Bytes of a file by which its kind is told."""
_MOST_LINKS = 40
"""Links one behind the other that Linux follows."""


class OutputFile:
    """A file that is written from beginning to end; a failure says which it is.

    Using it when the file is closed raises ValueError: its descriptor may be that of another file then.
    """

    def __init__(self, file: FileIO, path: Path) -> None:
        self.size = 0
        self._file = file
        self._path = path

    @property
    def descriptor(self) -> int:
        """The descriptor of the open file."""
        return self._file.fileno()

    def write(self, data: bytes, /) -> None:
        """Write all of `data`. Raises SkyportError if the folder is full or the disk fails."""
        rest = memoryview(data)
        with _named(self._path):
            while rest:
                written = self._file.write(rest)
                self.size += written
                rest = rest[written:]

    def flush(self) -> None:
        """Nothing is held back."""

    def sync(self) -> None:
        """Wait until the bytes are on the disk. Raises SkyportError if they do not get there."""
        with _named(self._path):
            os.fsync(self.descriptor)


@contextmanager
def scratch_file(folder: Path) -> Iterator[OutputFile]:
    """Open a file without a name, which the system removes even if this process is killed."""
    with _named(folder):
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # closed below
    with file:
        yield OutputFile(file, folder)


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """Make a folder in `place`, and remove it at the end of the block; if this process is killed, the next one does.

    Raises SkyportError if `place` is full or may not be written to.
    """
    _remove_abandoned_folders(place)
    with ExitStack() as opened:
        while True:
            with _named(place):
                folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix=_FOLDER, dir=place)))
            # Another process may have taken it for abandoned, before it was locked.
            with suppress(FileNotFoundError):
                lock = _open_folder(folder)
                opened.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_SH)
                if folder.is_dir():
                    break
        yield folder


def _remove_abandoned_folders(place: Path) -> None:
    """Remove the folders that this user's killed processes have left; a living one holds a lock on its folder."""
    for folder in place.glob(f"{_FOLDER}*"):
        with suppress(OSError), ExitStack() as opened:
            lock = _open_folder(folder)
            opened.callback(os.close, lock)
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


@contextmanager
def replace_file(target: Path) -> Iterator[OutputFile]:
    """Open a file that becomes `target` if the block ends well, and vanishes if not.

    A device or pipe, such as /dev/null, cannot be replaced and is written to as it is; so is what /dev/stdout leads to.
    Raises SkyportError if the folder does not exist, is full or may not be written to.
    """
    with _named(target):
        special = is_special(target)
    if special:
        with _named(target):
            file = FileIO(open_for_writing(target), "wb")
        with file:
            yield OutputFile(file, target)
        return
    _remove_abandoned(target)
    partial = target.parent / f"{_beginning_of_partial(target)}{secrets.token_hex(4)}.part"
    try:
        with _named(target):
            file = partial.open("xb", buffering=0)
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            output = OutputFile(file, target)
            yield output
            output.sync()
        with _named(target):
            partial.replace(target)
    finally:
        # What could not be made cannot be removed either.
        with suppress(OSError):
            partial.unlink()


def cannot_write(path: Path | str, error: OSError) -> SkyportError:
    """Return what is said of a file or folder that cannot be written."""
    advice = ". Make room there, or write to another disk." if error.errno in _FULL else ""
    return SkyportError(f"cannot write {path}: {error.strerror}{advice}")


def make_folders(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises OSError; NotADirectoryError if a file has its place, or that of one above it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        # Its words, "File exists", would be taken for ones about what was to be written there.
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def open_for_writing(path: Path) -> int:
    """Open a file, device or pipe for writing from the beginning, and return the descriptor.

    What this process has open already is written to from where it is, as programs do that share a stdout.
    Raises OSError, also where nobody reads a pipe.
    """
    if (number := own_descriptor(path)) is not None:
        return os.dup(number)
    # A pipe would wait until somebody does.
    how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    descriptor = os.open(path, how, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def check_writable(path: Path) -> None:
    """Raise SkyportError if the file cannot be written as `replace_file` does, as far as rights and folders tell.

    Folders that lack are taken for ones that are made. Nothing is touched.
    """
    with _named(path):
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        special = is_special(path)
        # To replace a file takes rights on its folder alone.
        place = path if special else next(folder for folder in path.parents if os.path.lexists(folder))
        if not (special or place.is_dir()):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        rights = os.W_OK if special else os.W_OK | os.X_OK
        if not os.access(place, rights, effective_ids=os.access in os.supports_effective_ids):
            reason = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(reason, os.strerror(reason))


def keep_other_file(path: Path, what: str, is_one: Callable[[bytes], bool]) -> None:
    """Raise UsageError if there is a file that is no `what`: someone has mistaken its name.

    is_one: tells from a file's first mebibyte.
    """
    try:
        if is_special(path) or not path.is_file():
            return
        with path.open("rb") as file:
            there = file.read(_ENOUGH)
    except OSError as error:
        raise cannot_write(path, error) from error
    if there.strip() and not is_one(there):
        raise UsageError(f"{path} is there, and is no {what}: it stays as it is. Name another file, or remove it.")


def check_different(paths: Iterable[Path]) -> None:
    """Raise UsageError if one of these files would be written in the place of another, or in a folder of its name."""
    there: dict[Path, Path] = {}
    for path in paths:
        with _named(path):
            # A pipe or /dev/null may get everything.
            if is_special(path):
                continue
        place = place_of(path)
        if place in there:
            raise UsageError(f"{path} would be written twice, with one thing in the place of another. Name two files.")
        there[place] = path
    for place, path in there.items():
        if outer := next((there[folder] for folder in place.parents if folder in there), None):
            raise UsageError(f"{path} would lie in {outer}, which is written as well. Name another file.")


def place_of(path: Path) -> Path:
    """Return where a file will be: folders may have two names, but a link in the place of the file is replaced."""
    return Path(os.path.realpath(path.parent), path.name)


def behind_links(path: Path) -> Path:
    """Return where a file really is, or is to be, that is written where a link to it leads."""
    # What cannot be looked at is told by whoever reads or writes it.
    with suppress(OSError):
        # A pipe has no other name than the link to it that a shell makes.
        if path.is_symlink() and own_descriptor(path) is None and (path.is_file() or not path.exists()):
            return Path(os.path.realpath(path))
    return path


def own_descriptor(path: Path) -> int | None:
    """Return the number of what this process has open that a path leads to, as /dev/stdout does; None for a file."""
    opened = Path(f"/proc/{os.getpid()}/fd")
    with suppress(OSError):
        for _ in range(_MOST_LINKS):
            path = place_of(path)
            if path.parent == opened and path.name.isdecimal():
                return int(path.name)
            path = path.parent / path.readlink()
    return None


def is_special(path: Path) -> bool:
    """Return whether a path leads to a device or pipe, or to what this process has open, as /dev/stdout does."""
    # Of a stdout that is a file, the link would be replaced that leads to it: by root, that of the whole machine.
    return own_descriptor(path) is not None or (path.exists() and not (path.is_file() or path.is_dir()))


def _beginning_of_partial(target: Path) -> str:
    # With all of a name that is as long as names can be, that of the partial file would be longer.
    return os.fsdecode(b".%s." % os.fsencode(target.name)[:_LONGEST_PART])


def _remove_abandoned(target: Path) -> None:
    """Remove what a killed process has left; a living one holds a lock on its file."""
    for path in target.parent.glob(f"{glob.escape(_beginning_of_partial(target))}*.part"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn a failure to write into one that names the file."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise SkyportError(f"cannot write {path}: it is a pipe or socket that nobody reads from") from error
        raise cannot_write(path, error) from error
