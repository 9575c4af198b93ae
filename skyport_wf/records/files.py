"""Records on disk: read whole, written to a temporary name and renamed."""

import os
from pathlib import Path

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.output_file import replace_file
from skyport_wf.records.records import RecordT, decode_record, encode_json


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
    """Write the record to the file `path`, as `write_document` does."""
    write_document(path, encode_json(record))


def write_document(path: Path, content: bytes) -> None:
    """Write the bytes to the file `path`, whole or not at all, and make its folder if need be.

    A file that holds the same bytes already is left as it is, but for its time.
    """
    try:
        if path.is_file() and path.read_bytes() == content:
            os.utime(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SkyportError(f"cannot write {path}: {error.strerror}") from error
    with replace_file(path) as file:
        file.write(content)
