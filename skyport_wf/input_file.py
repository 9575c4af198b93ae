"""Files that users name: read only if they are files, and only up to a size."""

import errno
import os
import select
import stat
from pathlib import Path
from typing import BinaryIO, Final

_SECONDS_FOR_A_WRITER: Final = 5


def read_bounded(path: Path, most: int, *, may_be_pipe: bool = False) -> bytes:
    """Return what is in a file, of which no more than `most` bytes are ever read.

    may_be_pipe: as for `open_file`.
    Raises OSError, with words that say why, if it cannot be read, is no file, or has more in it.
    """
    with open_file(path, may_be_pipe=may_be_pipe) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB" if most >> 20 else f"it has more than {most} B")
    return content


def open_file(path: Path, *, may_be_pipe: bool = False) -> BinaryIO:
    """Open a file for reading, without taking a device for one.

    may_be_pipe: whether a pipe will do, as a shell makes one of `<(...)`. One that nobody begins to write into within
        five seconds is empty.
    Raises OSError, with words that say why, if it cannot be opened, or is no file.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name has a NUL character")
    # Whoever closes the file closes its descriptor: a signal between the two must not close that twice.
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - with an opener, for the caller
    try:
        mode = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(mode) or (may_be_pipe and stat.S_ISFIFO(mode))):
            raise OSError(errno.EINVAL, "it is a device" if may_be_pipe else "it is a device or pipe")
        if stat.S_ISFIFO(mode):
            _wait_for_writer(file.fileno())
        os.set_blocking(file.fileno(), True)
    except BaseException:
        file.close()
        raise
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a pipe that nobody writes into at once, too: that would wait for ever, and some devices never end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _wait_for_writer(pipe: int) -> None:
    """Wait until something has been written: before somebody has opened the pipe for that, it would count as empty."""
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    waiting.poll(_SECONDS_FOR_A_WRITER * 1000)


def exists(path: Path) -> bool:
    """Return whether there is something. Unlike Path.exists, this takes names that nothing can have."""
    return os.path.exists(path)  # noqa: PTH110


def is_absent(path: Path) -> bool:
    """Return whether there is nothing. Where nobody may look, there may be something: whoever reads it is told why."""
    try:
        os.stat(path)  # noqa: PTH116 - a name that nothing can have is a ValueError of both
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        return False
    return False


def is_folder(path: Path) -> bool:
    """Return whether there is a folder. Unlike Path.is_dir, this takes names that nothing can have."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Return whether there is a file. Unlike Path.is_file, this takes names that nothing can have."""
    return os.path.isfile(path)  # noqa: PTH113
