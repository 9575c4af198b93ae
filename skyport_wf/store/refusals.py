"""Reasons to refuse a request, each with its HTTP status.

Statuses are Shock's: it answers 400 for almost everything that a client got wrong, and 401 (not 403) for a
known user without the right.
"""

from pathlib import Path

from skyport_wf.errors import SkyportError
from skyport_wf.formatting import human_size

SERVER_FULL = "the server's disk is full"
"""The beginning of what clients are told of a full disk; by it they know that it may go on later."""


class RefusedError(SkyportError):
    """The request cannot be done; nothing was changed."""

    status = 400


class InvalidRequestError(RefusedError):
    """A parameter, a form or a document is wrong, or does not fit the node's state."""

    status = 400


class UnauthorizedError(RefusedError):
    """The user may not do this to the node; nobody may who did not say who they are."""

    status = 401


class NodeNotFoundError(RefusedError):
    """There is no such node, or no longer."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Node not found")


class TooLargeError(RefusedError):
    """Attributes, a form or a part of one are larger than the store takes."""

    status = 413


class LockedError(RefusedError):
    """The node's file is still being put together from its parts."""

    status = 423


class FaultError(RefusedError):
    """A link, a type or a location is not there, or not for this user: Shock takes that for a failure of its own."""

    status = 500


class UnsupportedError(RefusedError):
    """Shock can do this, this store cannot.

    Not a 501: clients take a 5xx for the server's trouble, and many try such a request again. No try will help.
    """

    status = 400


class StoreError(SkyportError):
    """The store itself failed: its disk, its database, or who may use them. Clients get to know less than its owner."""

    status = 500

    @property
    def public_words(self) -> str:
        """The words for clients of a server."""
        return "the store failed; the server's log says more"


class UnusableError(StoreError):
    """The folder of the store, or the database in it, has to be put right by hand: no other try will help."""


class ClosedError(UnusableError):
    """The store, or a file in it, is closed to us: nothing is known of what is in it."""


class DamagedError(UnusableError):
    """The database is damaged: what it says of files may be wrong."""


class LostFileError(UnusableError):
    """The node is there, and its file is not: a server answers 500, as Shock does."""

    def __init__(self, node_id: str, damage: str, path: Path) -> None:
        super().__init__(
            f"node {node_id} is damaged: {damage} ({path}). Restore it from a backup, or retire the image and publish "
            "it again; `skyport-wf gc --check` finds all that are damaged"
        )
        self._public = f"the node is damaged: {damage}"

    @property
    def public_words(self) -> str:
        """The damage, as it is of use to clients, too."""
        return self._public


class ReadOnlyError(UnusableError):
    """The store is on a read-only file system; it can be read.

    Not a 500, after which clients ask again: no try will help.
    """

    status = 400

    @property
    def public_words(self) -> str:
        """The reason, as it is of use to clients, too."""
        return "the server's store is on a read-only file system: it can be read, not written"


class FileLimitError(UnusableError):
    """A file would be larger than the file system takes, or than this process may write; there may be room."""

    status = 507

    @property
    def public_words(self) -> str:
        """The reason, as it is of use to clients, too."""
        return "the server's store can have no file so large"


class FullError(StoreError):
    """The disk of the store is full; nothing was written."""

    status = 507

    def __init__(self, folder: Path, free: int, needed: int) -> None:
        self._sizes = f"{human_size(free)} are free, at least {human_size(needed)} are needed"
        super().__init__(
            f"the disk of {folder} is full: {self._sizes}. Make room there; `skyport-wf delete` deletes images, "
            "`skyport-wf gc` finds what crashes left."
        )

    @property
    def public_words(self) -> str:
        """The sizes, as they are of use to clients, too."""
        return f"{SERVER_FULL}: {self._sizes}"
