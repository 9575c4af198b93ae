"""Records on disk: read whole, written to a temporary name and renamed."""

import fcntl
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.input_file import read_bounded
from skyport_wf.output_file import (
    behind_links,
    cannot_write,
    check_different,
    check_writable,
    keep_other_file,
    make_folders,
    replace_file,
)
from skyport_wf.records.encoding import RecordT, decode_record, encode_json, read_kind
from skyport_wf.records.receipt import LockFile, Receipt, merge_into_lock

_LARGEST = 64 << 20
"""Bytes of a record that are read: a container's has its changed paths, an image's its layers and labels."""


def read_record(path: Path, kind: type[RecordT], *, may_be_pipe: bool = True) -> RecordT:
    """Return the record in the file `path`.

    may_be_pipe: as for `open_file`. What a pipe gives can be read only once.
    Raises UsageError if there is no such file, SkyportError if it is not a record of this kind.
    """
    try:
        return decode_record(read_bounded(path, _LARGEST, may_be_pipe=may_be_pipe), kind, name=str(path))
    except FileNotFoundError as error:
        # No step writes a lock file, but whatever publishes.
        hint = "Publishing images writes one" if issubclass(kind, LockFile) else "Run the step that writes it first"
        raise UsageError(f"there is no {path}. {hint}.") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def write_record(path: Path, record: object, *, keep_time: bool = False) -> None:
    """Write the record to the file `path`, as `write_document` does.

    keep_time: whether the file keeps its time, so that workflow engines take it for the one that it was.
    Raises UsageError if there is a file that is no record of this kind: someone has mistaken its name.
    """
    content = encode_json(record)
    there = _keep_other_record(path, read_kind(content))
    time = path.stat() if there and keep_time else None
    write_document(path, content)
    if time:
        os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))


def check_receipt_files(
    receipts: Iterable[Path], lock: Path | None, names: Collection[str], *, packages: Iterable[Path] = ()
) -> None:
    """Raise what writing these files would raise, as far as it can be told: to be said before anything is published.

    names: what the lock file is to have. One that has them may stay as it is, and need not be writable.
    Raises UsageError if one file is to be two of them.
    """
    receipts, packages = [*receipts], [*packages]
    lock = behind_links(lock) if lock else None
    check_different([*receipts, *packages, *([lock] if lock else [])])
    for path in receipts:
        check_record_file(path, "skyport-wf receipt")
    for path in packages:
        check_packages_file(path)
    if lock:
        is_there = os.path.lexists(lock) and not (lock.is_symlink() and not lock.exists())
        known = read_record(lock, LockFile, may_be_pipe=False).images if is_there else {}
        if not {*names} <= known.keys():
            check_writable(lock)


def check_record_file(path: Path, kind: str) -> None:
    """Raise what writing a record to the file would raise, as far as it can be told.

    kind: such as `skyport-wf receipt`.
    """
    check_writable(path)
    _keep_other_record(path, kind)


def _keep_other_record(path: Path, kind: str) -> bytes:
    """Return the record in a file that is to be written, empty if there is none. Raises UsageError for another file."""
    try:
        # A link is replaced, not the file that it leads to.
        there = read_bounded(path, _LARGEST) if path.is_file() and not path.is_symlink() else b""
    except OSError as error:
        raise cannot_write(path, error) from error
    # A large record is not a whole document in the bytes by which other kinds of files are told.
    keep_other_file(path, f"`{kind}` record", lambda _: not there.strip() or read_kind(there) == kind)
    return there


def check_packages_file(path: Path) -> None:
    """Raise what writing a list of packages to the file would raise, as far as it can be told."""
    check_writable(path)
    _keep_other_packages(path)


def write_packages(path: Path, document: bytes) -> None:
    """Write a list of packages to the file `path`, as `write_document` does.

    Raises UsageError if there is a file that is no CycloneDX document: someone has mistaken its name.
    """
    _keep_other_packages(path)
    write_document(path, document)


def _keep_other_packages(path: Path) -> None:
    keep_other_file(path, "CycloneDX JSON", lambda there: b'"CycloneDX"' in there)


def write_document(path: Path, content: bytes) -> None:
    """Write the bytes to the file `path`, whole or not at all, and make its folder if need be.

    A file that holds the same bytes already is left as it is, but for its time, if that may be changed.
    """
    try:
        if path.is_file() and path.stat().st_size == len(content) and read_bounded(path, len(content)) == content:
            with suppress(OSError):
                os.utime(path)
            return
        make_folders(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    with replace_file(path) as file:
        file.write(content)


def update_lock(lock: Path, receipts: list[Receipt]) -> LockFile:
    """Put the receipts' entries into the lock file, leave the others as they are, and return the whole.

    Commands that do this at the same moment wait for each other, so none loses the entry of another. A link to a lock
    file stays one.
    """
    lock = behind_links(lock)
    with _turn_in(lock.parent):
        old = read_record(lock, LockFile, may_be_pipe=False) if lock.exists() else None
        new = merge_into_lock(old, receipts)
        write_record(lock, new)
    return new


def write_lock(lock: Path, receipts: list[Receipt], *, keep: Collection[str] = ()) -> LockFile:
    """Write a lock file of these receipts' entries and no others, and return it.

    keep: images whose entries stay.
    Whoever updates it at this moment is waited for: what he has read before, he would write again. A link to a lock
    file stays one.
    """
    lock = behind_links(lock)
    with _turn_in(lock.parent):
        new = _plan_lock(lock, receipts, keep)
        write_record(lock, new)
    return new


def has_lock(lock: Path, receipts: list[Receipt], *, keep: Collection[str] = ()) -> bool:
    """Return whether a lock file is as `write_lock` would write it, and so need not be writable."""
    lock = behind_links(lock)
    # Of what is no lock file, whoever writes it tells.
    with suppress(SkyportError):
        return lock.exists() and read_record(lock, LockFile, may_be_pipe=False) == _plan_lock(lock, receipts, keep)
    return False


def _plan_lock(lock: Path, receipts: list[Receipt], keep: Collection[str]) -> LockFile:
    old = read_record(lock, LockFile, may_be_pipe=False) if keep and lock.exists() else LockFile({})
    kept = LockFile({name: entry for name, entry in old.images.items() if name in keep})
    return merge_into_lock(kept, receipts)


@contextmanager
def _turn_in(folder: Path) -> Iterator[None]:
    """Hold the folder's own lock, so that no file of a lock is left behind."""
    try:
        make_folders(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SkyportError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        # Some network file systems lock no folders. There, publishing one image list twice at once is a risk as before.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
