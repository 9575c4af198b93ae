"""The text fields of a form: what each may be, and which exclude each other."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import msgspec

from skyport_wf.store.changes import MOST_PARTS, Change, Upload
from skyport_wf.store.indexing import leaves
from skyport_wf.store.refusals import InvalidRequestError
from skyport_wf.store.unpacking import COMPRESSIONS

_LONGEST_NAME = 1000
_EXPIRATION = re.compile(r"([0-9]{1,6})([MHD])")
_UNITS = {"M": timedelta(minutes=1), "H": timedelta(hours=1), "D": timedelta(days=1)}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def change_of_form(
    fields: Mapping[str, str],
    *,
    attributes: bytes | None = None,
    upload: Upload | None = None,
    pieces: Mapping[int, Upload] | None = None,
) -> Change:
    """Return what a form asks for.

    fields: the text fields, their names already known to be Shock's.
    attributes: the file part of that name.
    Raises InvalidRequestError for values that mean nothing and for things that exclude each other.
    """
    text = fields.get("attributes_str")
    if text is not None and attributes is not None:
        raise InvalidRequestError(
            "Cannot define an attributes file and an attributes_str parameter in the same request."
        )
    document = text.encode() if text is not None else attributes
    change = Change(
        attributes=None if document is None else _attributes(document),
        file_name=fields.get("file_name"),
        file_format=fields.get("format"),
        tags=tuple(fields["tags"].split(",")) if "tags" in fields else (),
        priority=_integer("priority", fields["priority"]) if "priority" in fields else None,
        lifetime=_lifetime(fields["expiration"]) if "expiration" in fields else None,
        forever="remove_expiration" in fields,
        upload=upload,
        parts=_parts(fields["parts"]) if "parts" in fields else None,
        # Shock ignores a compression that it does not know.
        compression=fields.get("compression", "") if fields.get("compression") in COMPRESSIONS else "",
        pieces=pieces or {},
        copy_of=fields.get("copy_data"),
        copy_attributes="copy_attributes" in fields,
    )
    _check_combination(change)
    return change


def _check_combination(change: Change) -> None:
    names = [change.file_name, change.file_format, *(upload.name for upload in change.uploads)]
    if any(len(name) > _LONGEST_NAME for name in names if name):
        raise InvalidRequestError(f"file names and formats cannot be longer than {_LONGEST_NAME} characters")
    if change.upload and (change.parts is not None or change.copy_of is not None):
        raise InvalidRequestError(
            "upload parameter incompatible with upload_url, parts, path, type, copy_data "
            "and/or parent_node parameter(s)"
        )
    if change.parts is not None and change.copy_of is not None:
        raise InvalidRequestError("parts parameter incompatible with copy_data parameter")
    if change.pieces and change.upload:
        raise InvalidRequestError("parts file and upload parameters are incompatible")
    if change.pieces and change.parts is not None:
        raise InvalidRequestError("can not upload parts file when creating parts node")
    if change.pieces and change.copy_of is not None:
        raise InvalidRequestError("parts file and copy_data parameters are incompatible")


def _attributes(document: bytes) -> msgspec.Raw:
    """Return the document if it is JSON that can be stored and queried."""
    try:
        value = msgspec.json.decode(document)
        for leaf in leaves(value):
            leaf.path.encode()
            (leaf.text or "").encode()
    except (msgspec.DecodeError, UnicodeError, OverflowError) as error:
        raise InvalidRequestError(f"attributes are not valid JSON: {error}") from error
    except RecursionError:
        raise InvalidRequestError("attributes are nested too deeply") from None
    return msgspec.Raw(document)


def _integer(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InvalidRequestError(f"{name} must be an integer")
    return int(text)


def _lifetime(text: str) -> timedelta:
    """Return how long `12M`, `12H` or `12D` is: minutes, hours or days."""
    found = _EXPIRATION.fullmatch(text)
    if not found:
        raise InvalidRequestError("expiration format is invalid")
    return int(found[1]) * _UNITS[found[2]]


def _parts(text: str) -> int | Literal["unknown", "close"]:
    if text == "unknown":
        return "unknown"
    if text == "close":
        return "close"
    if not _INTEGER.fullmatch(text):
        raise InvalidRequestError("parts value must be an integer or 'unknown'")
    if int(text) < 1:
        raise InvalidRequestError("parts value cannot be less than 1")
    if int(text) > MOST_PARTS:
        raise InvalidRequestError(f"parts value cannot be more than {MOST_PARTS}")
    return int(text)
