"""What the store holds: users, nodes, and the files that nodes have."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

PUBLIC = "public"
"""Shock's name for everyone: owner of anonymous uploads, and in an ACL the right of all users."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Return whether `text` is a UUID as this store writes them: only such a text becomes part of a path."""
    return _UUID.fullmatch(text) is not None


def timestamp(moment: datetime | None = None) -> str:
    """Return a moment (now, unless given) as RFC 3339 text in UTC with microseconds.

    All texts have one length, so that comparing them compares the moments.
    """
    moment = (moment or datetime.now(UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class User(msgspec.Struct, frozen=True):
    """Who is acting."""

    id: str
    """A UUID, or `public` for everyone who did not say who they are."""
    name: str
    """What people call the user."""
    admin: bool = False
    """An admin has every right on every node."""


ANONYMOUS = User(PUBLIC, PUBLIC)
"""Someone who did not say who they are."""

OURSELVES = User("store", "store", admin=True)
"""The store, for what it does on nobody's behalf."""


class Acl(msgspec.Struct, frozen=True):
    """Who may do what to a node; user ids, in the order in which they were added."""

    owner: str
    """The user who may also change the ACL; `public` for an anonymous upload."""
    read: tuple[str, ...] = ()
    """Users who may read the node and its file."""
    write: tuple[str, ...] = ()
    """Users who may change its attributes and add a file."""
    delete: tuple[str, ...] = ()
    """Users who may delete it, or let it expire."""


class Content(msgspec.Struct, frozen=True):
    """The bytes of a node's file, or of a part; never changed once they are there."""

    id: str
    """UUID, the name of the file on disk; nodes that were copied share it."""
    size: int
    """In bytes."""
    md5: str
    """32 hex digits, computed while the bytes arrived."""


class Part(msgspec.Struct, frozen=True):
    """One numbered piece of a file that is uploaded in parts."""

    number: int
    """From 1."""
    name: str
    """The file name that came with it."""
    content: Content
    """Its bytes."""


class Parts(msgspec.Struct, frozen=True):
    """The pieces of a file that is, or was, uploaded in parts."""

    count: int
    """How many there will be; while that is unknown, the highest number so far."""
    open_ended: bool = False
    """Whether the number was unknown at the start (`parts=unknown`)."""
    compression: str = ""
    """`gzip` or `bzip2` if the joined file is to be unpacked."""
    present: tuple[Part, ...] = ()
    """The pieces that arrived, by number."""


class Lock(msgspec.Struct, frozen=True):
    """Why the file cannot be read yet: its parts are being joined."""

    since: str
    """When the last part arrived."""
    error: str = ""
    """Why joining failed, if it did."""


class Node(msgspec.Struct, frozen=True):
    """A node: a file, a JSON document about it, and who may do what."""

    id: str
    """UUID."""
    acl: Acl
    """Who may do what."""
    type: str = "basic"
    """`basic`, `parts` or `copy`."""
    attributes: msgspec.Raw = msgspec.Raw(b"null")
    """The JSON document as it was sent."""
    file_name: str = ""
    """What a download is called."""
    file_format: str = ""
    """Free text, set once."""
    content: Content | None = None
    """The file's bytes, if there is a file."""
    content_since: str = ""
    """When the file was complete."""
    parts: Parts | None = None
    """The pieces, for a node of type `parts`."""
    lock: Lock | None = None
    """Set while parts are joined, and when that failed."""
    tags: tuple[str, ...] = ()
    """Free words."""
    priority: int = 0
    """Free number."""
    created_on: str = ""
    """When the node was acknowledged."""
    last_modified: str = ""
    """When it was changed after that; empty if never."""
    expiration: str = ""
    """When the node deletes itself; empty if never."""

    def decoded_attributes(self) -> Any:
        """Return the attributes as Python values."""
        return msgspec.json.decode(self.attributes)
