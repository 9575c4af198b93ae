"""A node as a Shock server describes it."""

from typing import Any

import msgspec


class FileChecksum(msgspec.Struct, frozen=True):
    """What the server computed over the file as it stored it."""

    md5: str = ""


class NodeFile(msgspec.Struct, frozen=True):
    """The file of a node."""

    name: str = ""
    size: int = 0
    """In bytes."""
    checksum: FileChecksum = FileChecksum()
    locked: Any = None
    """Not None while the server still puts the file together."""


class Node(msgspec.Struct, frozen=True):
    """A node, as far as publishing images has to do with it; whatever else the server says is passed over."""

    id: str
    attributes: dict[str, Any] | None
    file: NodeFile
    created_on: str = ""
    expiration: str = ""

    @property
    def expires(self) -> bool:
        """Whether the server will delete the node by itself; the year 1 stands for never."""
        return not self.expiration.startswith("0001-")


class PublicAccess(msgspec.Struct, frozen=True):
    """What everyone may do with a node."""

    read: bool = False
    write: bool = False
    delete: bool = False


class AccessControl(msgspec.Struct, frozen=True):
    """Who may do what with a node."""

    owner: str
    """The owner's id, or `public` for a node that was uploaded without a token."""
    public: PublicAccess
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
