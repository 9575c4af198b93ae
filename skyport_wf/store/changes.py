"""Changes that requests ask for: read from forms, checked against a node, applied to it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal, Self

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.store.database import timestamp
from skyport_wf.store.files import Staging
from skyport_wf.store.node import Lock, StoredNode, StoredParts
from skyport_wf.store.refusals import InvalidRequestError
from skyport_wf.store.rows import MOST_LEAVES, leaves
from skyport_wf.store.unpacking import COMPRESSIONS

MOST_PARTS = 10_000
"""More parts than this are refused: each is listed in the node's document."""
_MOST_TAGS = 1000
_LONGEST_NAME = 1000

_LINK_FIELDS = frozenset(("archive_format", "download_url", "ids"))
"""Fields of a form that makes no node."""

_BEFORE_VALUES = (b",", b"[", b"{")
_PLACES = re.compile(rb'[,\[{]|"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
"""A place before a value, or a text, whose commas and brackets do not count."""
_QUOTE = ord('"')
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_LIFETIME = re.compile(r"([0-9]{1,6})([MHD])")
_UNITS = {"M": timedelta(minutes=1), "H": timedelta(hours=1), "D": timedelta(days=1)}


class Upload(msgspec.Struct, frozen=True):
    """A file that came with a request."""

    name: str
    """The name that the client gives it."""
    staging: Staging
    """The file on disk, until the node has it."""


class NodeChange(msgspec.Struct, frozen=True):
    """A change to a node, new or there, as a request asks for it."""

    attributes: msgspec.Raw | None = None
    """The new attributes: they replace the old ones as a whole."""
    file_name: str | None = None
    """The new name of the file."""
    file_format: str | None = None
    """The format of the file, if none is set yet."""
    tags: tuple[str, ...] = ()
    """Words to add."""
    priority: int | None = None
    """The new priority."""
    lifetime: timedelta | None = None
    """Time from now until the node expires."""
    forever: bool = False
    """True: the node is not to expire any more."""
    upload: Upload | None = None
    """The node's file."""
    parts: int | Literal["unknown", "close"] | None = None
    """Number of parts that the file will come in; `close`: all are there."""
    compression: str = ""
    """`gzip` or `bzip2`, if the joined parts are to be unpacked."""
    pieces: Mapping[int, Upload] = {}
    """Parts, by number."""
    copy_of: str | None = None
    """The node whose file the new node has too: it stays on disk once."""
    copy_attributes: bool = False
    """True: it has that node's attributes, too."""

    @classmethod
    def of_form(
        cls, fields: Mapping[str, str], attributes: bytes | None, upload: Upload | None, pieces: Mapping[int, Upload]
    ) -> Self:
        """Return what a form asks for.

        fields: the text fields, their names already known to be Shock's.
        attributes: the file of that name.
        Raises InvalidRequestError for values that mean nothing.
        """
        if stray := fields.keys() & _LINK_FIELDS:
            raise InvalidRequestError(
                f"{', '.join(sorted(stray))}: a link is made by POST /node with download_url and ids"
            )
        text = fields.get("attributes_str")
        if text is not None and attributes is not None:
            raise InvalidRequestError(
                "Cannot define an attributes file and an attributes_str parameter in the same request."
            )
        document = text.encode() if text is not None else attributes
        lifetime = _LIFETIME.fullmatch(fields["expiration"]) if "expiration" in fields else None
        if "expiration" in fields and not lifetime:
            raise InvalidRequestError("expiration format is invalid")
        if "priority" in fields and not _INTEGER.fullmatch(fields["priority"]):
            raise InvalidRequestError("priority must be an integer")
        return cls(
            attributes=None if document is None else _parse_attributes(document),
            file_name=fields.get("file_name"),
            file_format=fields.get("format"),
            tags=tuple(fields["tags"].split(",")) if "tags" in fields else (),
            priority=int(fields["priority"]) if "priority" in fields else None,
            lifetime=int(lifetime[1]) * _UNITS[lifetime[2]] if lifetime else None,
            forever="remove_expiration" in fields,
            upload=upload,
            parts=_parse_parts(fields["parts"]) if "parts" in fields else None,
            # Shock ignores a compression that it does not know.
            compression=fields.get("compression", "") if fields.get("compression") in COMPRESSIONS else "",
            pieces=pieces,
            copy_of=fields.get("copy_data"),
            copy_attributes="copy_attributes" in fields,
        )

    def check(self, node: StoredNode) -> None:
        """Raise InvalidRequestError if the change contradicts itself, or does not fit the node as it is."""
        given = {
            "upload": self.upload is not None,
            "parts": self.parts is not None,
            "copy_data": self.copy_of is not None,
            "numbered file": bool(self.pieces),
        }
        sources = [name for name, is_given in given.items() if is_given]
        if len(sources) > 1:
            raise InvalidRequestError(
                f"{' and '.join(sources)} parameters are incompatible: each gives the node a file"
            )
        files = [upload.name for upload in (self.upload, *self.pieces.values()) if upload]
        if any(len(name) > _LONGEST_NAME for name in (self.file_name, self.file_format, *files) if name):
            raise InvalidRequestError(f"file names and formats cannot be longer than {_LONGEST_NAME} characters")
        if sources and node.content:
            raise InvalidRequestError("Node file immutable")
        if sources and node.lock:
            raise InvalidRequestError("Node file is locked while its parts are joined")
        if node.type == "parts" and (self.upload or self.copy_of is not None):
            raise InvalidRequestError("parts node and upload or copy_data parameters are incompatible")
        if self.parts == "close" and not (node.parts and node.parts.open_ended):
            raise InvalidRequestError("can only call 'close' on unknown / variable length parts node")
        if self.parts not in (None, "close") and node.parts:
            raise InvalidRequestError("parts already set")
        if self.pieces and not node.parts:
            raise InvalidRequestError("This is not a parts node and thus does not support uploading in parts.")
        if max(self.pieces, default=0) > MOST_PARTS:
            raise InvalidRequestError(f"a file cannot have more than {MOST_PARTS} parts")
        if len({*node.tags, *self.tags}) > _MOST_TAGS:
            raise InvalidRequestError(f"a node cannot have more than {_MOST_TAGS} tags")
        if self.file_format is not None and node.file_format:
            raise InvalidRequestError(f"file format already set: {node.file_format}")

    def apply(self, node: StoredNode, now: datetime) -> StoredNode:
        """Return the node with the change made, except for its file and its parts (see node_store.py)."""
        new: dict[str, object] = {
            "attributes": self.attributes,
            "file_name": self.file_name,
            "file_format": self.file_format,
            "priority": self.priority,
            "tags": tuple(dict.fromkeys((*node.tags, *self.tags))),
        }
        if self.forever:
            new["expiration"] = ""
        elif self.lifetime is not None:
            new["expiration"] = timestamp(now.astimezone(UTC) + self.lifetime)
        if self.parts == "close":
            new["lock"] = Lock(timestamp(now))
        elif self.parts is not None:
            count = self.parts if isinstance(self.parts, int) else 0
            new["type"] = "parts"
            new["parts"] = StoredParts(count, self.parts == "unknown", self.compression)
        return msgspec.structs.replace(node, **{name: value for name, value in new.items() if value is not None})


def _parse_attributes(document: bytes) -> msgspec.Raw:
    """Return the document if it is JSON that can be stored and queried."""
    # Before they become objects, which take many times the document's room. Each value but the first has a comma or a
    # bracket before it, outside of texts; an empty container has both.
    most = 2 * MOST_LEAVES
    if sum(map(document.count, _BEFORE_VALUES)) > most:
        places = (found for found in _PLACES.finditer(document) if document[found.start()] != _QUOTE)
        if next(islice(places, most, None), None):
            raise InvalidRequestError(f"attributes have more than {MOST_LEAVES} values")
    try:
        for path, _, _, text in leaves(decode_json(document)):
            # A lone half of a surrogate pair is JSON, but no text that the database takes.
            path.encode()
            (text or "").encode()
    except (msgspec.DecodeError, UnicodeError, OverflowError) as error:
        raise InvalidRequestError(f"attributes are not valid JSON: {error}") from error
    except RecursionError:
        raise InvalidRequestError("attributes are nested too deeply") from None
    return msgspec.Raw(document)


def _parse_parts(text: str) -> int | Literal["unknown", "close"]:
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
