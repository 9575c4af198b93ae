"""Files that users name: read only if they are files, and only up to a size."""

import errno
import os
import stat
from pathlib import Path


def read_bounded(path: Path, most: int, *, may_be_pipe: bool = False) -> bytes:
    """Return what is in a file, of which no more than `most` bytes are ever read.

    may_be_pipe: whether a pipe will do, as a shell makes one of `<(...)`. Where nobody writes into it, this waits.
    Raises OSError, with words that say why, if it cannot be read, is no file, or has more in it.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name has a NUL character")
    # Opening a pipe that nobody writes into would wait for ever, and some devices never end.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if may_be_pipe else os.O_NONBLOCK))
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (may_be_pipe and stat.S_ISFIFO(mode))):
            raise OSError(errno.EINVAL, "it is a device or pipe")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB" if most >> 20 else f"it has more than {most} B")
    return content
