"""A node as the store keeps it."""

import msgspec

from skyport_wf.store.access import Acl
from skyport_wf.store.files import Content
from skyport_wf.store.refusals import SERVER_FULL


class StoredPart(msgspec.Struct, frozen=True):
    """One numbered piece of a file that is uploaded in parts."""

    number: int
    """From 1."""
    name: str
    """The file name that came with it."""
    content: Content
    """Its bytes."""


class StoredParts(msgspec.Struct, frozen=True):
    """The pieces of a file that is, or was, uploaded in parts."""

    count: int
    """Number of parts; while that is unknown, the highest number so far."""
    open_ended: bool = False
    """True: the number was unknown at the start (`parts=unknown`)."""
    compression: str = ""
    """`gzip` or `bzip2` if the joined file is to be unpacked."""
    present: tuple[StoredPart, ...] = ()
    """The pieces that arrived, by number."""


class Lock(msgspec.Struct, frozen=True):
    """A file that cannot be read yet, as its parts are being joined."""

    since: str
    """When the last part arrived."""
    error: str = ""
    """Reason why joining failed, for clients; empty if it did not."""

    @property
    def is_for_good(self) -> bool:
        """Whether joining failed, and is not tried again: it is where there was no room."""
        return bool(self.error) and not self.error.startswith(SERVER_FULL)


class StoredNode(msgspec.Struct, frozen=True):
    """A file, a JSON document about it, and who may do what."""

    id: str
    """UUID."""
    acl: Acl
    """Rights of users."""
    type: str = "basic"
    """`basic`, `parts` or `copy`."""
    attributes: msgspec.Raw = msgspec.Raw(b"null")
    """The JSON document as it was sent."""
    file_name: str = ""
    """Name of a download."""
    file_format: str = ""
    """Free text, set once."""
    content: Content | None = None
    """The file's bytes, if there is a file."""
    content_since: str = ""
    """When the file was complete."""
    parts: StoredParts | None = None
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

    @property
    def is_joining(self) -> bool:
        """Whether all parts have arrived and are to become one file, now or when there is room."""
        return bool(self.lock and not self.lock.is_for_good and not self.content)
