"""Files that are either complete or not there: written under another name, flushed to disk, then renamed."""

import errno
import fcntl
import glob
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skyport_wf.errors import SkyportError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OutputFile:
    """A file that is written from beginning to end; a failure says which it is."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.size = 0
        self._path = path

    def write(self, data: bytes, /) -> None:
        """Write all of `data`. Raises SkyportError if the folder is full or the disk fails."""
        rest = memoryview(data)
        with _named(self._path):
            while rest:
                written = os.write(self.descriptor, rest)
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
        yield OutputFile(file.fileno(), folder)


@contextmanager
def replace_file(target: Path) -> Iterator[OutputFile]:
    """Open a file that becomes `target` if the block ends well, and vanishes if not.

    A device or pipe, such as /dev/null, cannot be replaced and is written to as it is.
    Raises SkyportError if the folder does not exist, is full or may not be written to.
    """
    if target.exists() and not (target.is_file() or target.is_dir()):
        with _named(target), target.open("wb", buffering=0) as device:
            yield OutputFile(device.fileno(), target)
        return
    _remove_abandoned(target)
    partial = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        with _named(target):
            file = partial.open("xb", buffering=0)
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            output = OutputFile(file.fileno(), target)
            yield output
            output.sync()
        with _named(target):
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(target: Path) -> None:
    """Remove what a killed process has left; a living one holds a lock on its file."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn a failure to write into one that names the file."""
    try:
        yield
    except OSError as error:
        advice = ". Make room there, or write to another disk." if error.errno in _FULL else ""
        raise SkyportError(f"cannot write {path}: {error.strerror}{advice}") from error
