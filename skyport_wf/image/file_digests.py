"""Digests of files, those of a context and archives, remembered between runs.

A file that has kept its size, times, inode and device has kept its content, as nobody can set the time of its last
change (ctime). There is one exception, as for git's index: of two changes in the same tick of the clock, the second
leaves no trace in the times. So a file that changed just before it was read is not remembered.
"""

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from skyport_wf.decoding import decode_msgpack
from skyport_wf.errors import SkyportError
from skyport_wf.formatting import human_size, printable
from skyport_wf.output_file import replace_file

_log = logging.getLogger(__name__)

_FEWEST_FILES: Final = 500
_FEWEST_BYTES: Final = 16 << 20
"""A context with fewer files and fewer bytes is read faster than it is remembered."""
_SLOW: Final = 2 << 30
"""Bytes that take more than a moment to read."""
_MOST_FILES: Final = 1_000_000
_MOST_CONTEXTS: Final = 32
_MOST_BYTES: Final = 256 << 20
"""Kept in all; the contexts stay that were digested last."""
_TICK_NS: Final = 2_000_000_000
"""No file system in use has a clock that ticks slower."""


class _KnownFile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file as it was when it was read."""

    digest: str
    size: int
    modified: int
    changed: int
    inode: int
    device: int


def digest_files(root: Path, files: Mapping[str, os.stat_result], *, memory: Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of each file in hexadecimal digits, by its path.

    files: regular files by their path below the root, as the system has described them just now.
    memory: a folder in which the digests of large contexts are kept; with None each file is read.
    Raises SkyportError, naming the file, for one that cannot be read.
    """
    is_large = len(files) >= _FEWEST_FILES or sum(status.st_size for status in files.values()) >= _FEWEST_BYTES
    path = _memory_of(root, memory) if memory and is_large and len(files) <= _MOST_FILES else None
    known = _recall(path) if path else {}
    same = {file for file, status in files.items() if (one := known.get(file)) and _describe(one.digest, status) == one}
    to_read = sum(status.st_size for file, status in files.items() if file not in same)
    if to_read > _SLOW:
        _log.warning(
            "reading %s of the build context %s, as that decides whether the image is another one; name in "
            ".dockerignore what no COPY takes",
            human_size(to_read), printable(str(root)),
        )  # fmt: skip
    begun = time.time_ns()
    found = {}
    for file in files:
        try:
            found[file] = known[file] if file in same else _read(root / file)
        except OSError as error:
            raise SkyportError(f"cannot read {root / file} of the build context: {error.strerror}") from error
    if path:
        _remember(path, {file: one for file, one in found.items() if one.changed < begun - _TICK_NS}, known)
    return {file: one.digest for file, one in found.items()}


def digest_file(file: Path, *, of: Path, memory: Path | None = None) -> str:
    """Return the SHA-256 of a regular file in hexadecimal digits.

    of: what names the file, with others. What is known of those stays.
    memory: a folder in which the digests of large files are kept; with None the file is read.
    Raises OSError if it cannot be read.
    """
    name = os.path.realpath(file)
    status = os.stat(name)  # noqa: PTH116 - a name, as it is kept
    path = _memory_of(of, memory) if memory and status.st_size >= _FEWEST_BYTES else None
    known = _recall(path) if path else {}
    begun = time.time_ns()
    one = known.get(name)
    found = one if one and _describe(one.digest, status) == one else _read(Path(name))
    if path and found.changed < begun - _TICK_NS:
        there = {other: it for other, it in known.items() if os.path.exists(other)}  # noqa: PTH110 - as above
        _remember(path, {**there, name: found}, known)
    return found.digest


def _memory_of(what: Path, memory: Path) -> Path:
    return memory / f"{hashlib.sha256(os.fsencode(what.resolve())).hexdigest()[:40]}.msgpack"


def _recall(path: Path) -> dict[str, _KnownFile]:
    """Return what is known. A memory that is missing or damaged costs time, and nothing else."""
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return decode_msgpack(path.read_bytes(), dict[str, _KnownFile])
    return {}


def _describe(digest: str, status: os.stat_result) -> _KnownFile:
    return _KnownFile(digest, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def _read(path: Path) -> _KnownFile:
    # Should it have become a pipe meanwhile, opening it must not wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        # Described before it is read: a change from now on makes another description.
        status = os.fstat(descriptor)
        return _describe(hashlib.file_digest(file, "sha256").hexdigest(), status)


def _remember(path: Path, files: dict[str, _KnownFile], known: dict[str, _KnownFile]) -> None:
    try:
        if files == known:
            os.utime(path)
            return
        with replace_file(path) as file:
            file.write(msgspec.msgpack.encode(files))
        size = 0
        kept = sorted(path.parent.glob("*.msgpack"), key=lambda other: other.stat().st_mtime, reverse=True)
        for number, other in enumerate(kept):
            size += other.stat().st_size
            if number >= _MOST_CONTEXTS or size > _MOST_BYTES:
                other.unlink()
    except (OSError, SkyportError, UnicodeEncodeError) as error:
        _log.debug("digests of files are not remembered: %s", error)
