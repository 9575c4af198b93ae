"""Records as JSON: the same bytes for the same value, and read again whatever version of this program wrote them."""

from typing import Any, TypeVar

import msgspec

from skyport_wf.decoding import convert, decode_json
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.formatting import unicode_text
from skyport_wf.records.receipt import LockFile, Receipt
from skyport_wf.records.records import BuildRecord, SaveRecord, UploadRecord
from skyport_wf.records.version_1 import upgrade_record

RecordT = TypeVar("RecordT", BuildRecord, SaveRecord, UploadRecord, Receipt, LockFile)


def encode_json(value: Any) -> bytes:
    """Return `value` as JSON to read and compare: keys in order, two spaces, a line's end at the end."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def encode_outcome(value: Any) -> bytes:
    """Return `value` as encode_json does, with names of files that are not UTF-8 made visible.

    For what is told, and nobody reads back: a record has to name each file as it is called.
    """
    try:
        return encode_json(value)
    except UnicodeEncodeError:
        return encode_json(_with_unicode_text(msgspec.to_builtins(value)))


def _with_unicode_text(value: Any) -> Any:
    if isinstance(value, str):
        return unicode_text(value)
    if isinstance(value, dict):
        return {_with_unicode_text(key): _with_unicode_text(item) for key, item in value.items()}
    return [_with_unicode_text(item) for item in value] if isinstance(value, list | tuple) else value


def check_unicode(text: str) -> str:
    """Return a text that JSON can hold. Raises UsageError for a path that has other bytes than those of UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{text!r} is not UTF-8, so no record can name it. Give the file or folder another name."
        ) from error
    return text


def read_kind(content: bytes) -> str:
    """Return the kind of record that `content` is, such as `skyport-wf build`; an empty text if it is none."""
    try:
        document = decode_json(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    tag = document.get("record") if isinstance(document, dict) else None
    return tag.rpartition(" ")[0] if isinstance(tag, str) else ""


def decode_record(content: bytes, kind: type[RecordT], *, name: str) -> RecordT:
    """Return the record in `content`, of this version or an earlier one.

    name: what messages call it, usually the file's name.
    Raises SkyportError if it is another record, or none.
    """
    wanted = kind.__struct_config__.tag
    try:
        document = decode_json(content)
        # Checked here: msgspec takes a document that does not say what it is, and may name another field of a wrong
        # one.
        if not isinstance(document, dict) or not isinstance(document.get("record"), str):
            raise msgspec.ValidationError("it has no field `record`")
        document = upgrade_record(document)
        told = str(document["record"])
        if told != wanted and told.rpartition(" ")[0] == str(wanted).rpartition(" ")[0]:
            raise SkyportError(f"{name} is a `{told}` record, of a newer skyport-wf. Upgrade this one.")
        if told != wanted:
            raise msgspec.ValidationError(f"it is a `{told}` record")
        return convert(document, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = (
            "it is empty" if not content else "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        )
        hint = "Give the file that the step before this one wrote."
        if issubclass(kind, LockFile):
            what = "it has the marks of a merge that has conflicts" if b"<<<<<<< " in content else what
            hint = "Take it anew from version control, or from whoever publishes the images."
        raise SkyportError(f"{name} is not a `{wanted}` record: {what}. {hint}") from error
