"""Records on disk: read whole, written to a temporary name and renamed."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.records import RecordT, decode_record, encode_json


def read_record(path: Path, kind: type[RecordT]) -> RecordT:
    """Return the record in the file `path`.

    Raises UsageError if there is no such file, SkyportError if it is not a record of this kind.
    """
    try:
        return decode_record(path.read_bytes(), kind, name=str(path))
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}. Run the step that writes it first.") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def write_record(path: Path, record: object) -> None:
    """Write the record to the file `path`, whole or not at all, and make its folder if need be.

    A file that holds the same bytes already is left as it is.
    """
    content = encode_json(record)
    try:
        if path.is_file() and path.read_bytes() == content:
            os.utime(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise SkyportError(f"cannot write {path}: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _umask() -> int:
    """Return the process's umask: mkstemp makes files for the owner alone, records are for everyone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
