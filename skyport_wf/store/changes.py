"""What a POST or a PUT asks for, whether it fits a node, and what it makes of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from skyport_wf.store.files import Staging
from skyport_wf.store.refusals import InvalidRequestError, LockedError
from skyport_wf.store.values import Lock, Node, Parts, timestamp

MOST_PARTS = 10_000
"""More parts than this are refused: each is listed in the node's document."""

_MOST_TAGS = 1000


class Upload(msgspec.Struct, frozen=True):
    """A file that came with a request."""

    name: str
    """What the client calls it."""
    staging: Staging
    """Where it is until the node has it."""


class Change(msgspec.Struct, frozen=True):
    """What a request asks to be done to a node, new or there."""

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
    """How long from now the node is to live."""
    forever: bool = False
    """Whether the node is not to expire any more."""
    upload: Upload | None = None
    """The node's file."""
    parts: int | Literal["unknown", "close"] | None = None
    """How many parts the file will come in; `close`: all are there."""
    compression: str = ""
    """How the parts, joined, are packed."""
    pieces: Mapping[int, Upload] = {}
    """Parts, by number."""
    copy_of: str | None = None
    """The node whose file, on disk once, the new node has too."""
    copy_attributes: bool = False
    """Whether it also has that node's attributes."""

    @property
    def brings_file(self) -> bool:
        """Whether this gives the node a file, or a piece of one."""
        return bool(self.upload or self.pieces or self.parts is not None or self.copy_of is not None)

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """Every file that came along."""
        return (*((self.upload,) if self.upload else ()), *self.pieces.values())


def check_change(node: Node, change: Change) -> None:
    """Raise InvalidRequestError or LockedError if the change does not fit the node as it is."""
    if change.brings_file and node.content:
        raise InvalidRequestError("Node file immutable")
    if change.brings_file and node.lock:
        raise InvalidRequestError("Node file is locked while its parts are joined")
    if node.type == "parts" and (change.upload or change.copy_of is not None):
        raise InvalidRequestError("parts node and upload or copy_data parameters are incompatible")
    if change.parts == "close" and not (node.parts and node.parts.open_ended):
        raise InvalidRequestError("can only call 'close' on unknown / variable length parts node")
    if change.parts not in (None, "close") and node.parts:
        raise InvalidRequestError("parts already set")
    if change.pieces and not node.parts:
        raise InvalidRequestError("This is not a parts node and thus does not support uploading in parts.")
    if len({*node.tags, *change.tags}) > _MOST_TAGS:
        raise InvalidRequestError(f"a node cannot have more than {_MOST_TAGS} tags")
    if change.file_format is not None and node.file_format:
        raise InvalidRequestError(f"file format already set: {node.file_format}")


def changed(node: Node, change: Change, now: datetime) -> Node:
    """Return the node with the change made, except its file and pieces (see nodes.py)."""
    new: dict[str, object] = {
        "attributes": change.attributes,
        "file_name": change.file_name,
        "file_format": change.file_format,
        "priority": change.priority,
        "expiration": _expiration(change, now),
        "tags": tuple(dict.fromkeys((*node.tags, *change.tags))),
    }
    if change.parts == "close":
        new["lock"] = Lock(timestamp(now))
    elif change.parts is not None:
        new["type"] = "parts"
        new["parts"] = _new_parts(change)
    return msgspec.structs.replace(node, **{name: value for name, value in new.items() if value is not None})


def require_unlocked(node: Node) -> None:
    """Raise LockedError while the node's parts are joined."""
    if node.lock:
        raise LockedError("Node file is locked")


def _expiration(change: Change, now: datetime) -> str | None:
    if change.forever:
        return ""
    return None if change.lifetime is None else timestamp(now.astimezone(UTC) + change.lifetime)


def _new_parts(change: Change) -> Parts:
    if isinstance(change.parts, int):
        return Parts(change.parts, False, change.compression)
    return Parts(0, True, change.compression)
