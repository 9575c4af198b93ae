"""A node as a Shock server describes it."""

from typing import Annotated, Any, Final

import msgspec

NODE_ID: Final = r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}"
"""Pattern of a node's id. It becomes part of addresses and of files' names, so nothing fits that leads elsewhere."""
NodeId = Annotated[str, msgspec.Meta(pattern=rf"\A{NODE_ID}\Z")]
"""A UUID on every known Shock."""


class FileChecksum(msgspec.Struct, frozen=True):
    """Computed by the server over the file as it stored it."""

    md5: str = ""


class FileLock(msgspec.Struct, frozen=True):
    """The lock on a file that cannot be read yet, as the server joins its parts."""

    error: str = ""
    """The reason why joining failed; empty while it goes on."""


class NodeFile(msgspec.Struct, frozen=True):
    """The file of a node."""

    name: str = ""
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    """In bytes."""
    checksum: FileChecksum = FileChecksum()
    locked: FileLock | None = None
    """Not None while the server still puts the file together, and if it failed to."""

    @property
    def complete(self) -> bool:
        """Whether the file is there, whole and readable. Nobody sends an empty one on purpose."""
        return self._came and self.size > 0

    @property
    def is_empty(self) -> bool:
        """Whether the file is there, and has nothing in it."""
        return self._came and self.size == 0

    @property
    def _came(self) -> bool:
        return self.locked is None and bool(self.checksum.md5)


class NodeParts(msgspec.Struct, frozen=True):
    """The parts of a file that is uploaded in several."""

    count: int = 0
    """How many there will be; as many as have arrived if that is not known before."""
    varlen: bool = False
    """Whether their number was not known when the node was made."""
    parts: tuple[tuple[str, ...] | None, ...] = ()
    """Name and MD5 of each, in its place; empty or None where the part has not arrived."""

    @property
    def md5s(self) -> dict[int, str]:
        """The MD5 of each part that has arrived, by its number; the first is number 1."""
        return {number: part[1] for number, part in enumerate(self.parts, start=1) if part and len(part) > 1}


class Node(msgspec.Struct, frozen=True):
    """A node, as far as publishing images has to do with it; whatever else the server says is passed over."""

    id: NodeId
    attributes_as_given: Any = msgspec.field(name="attributes")
    """Anything that is JSON: Shock lists nodes whose attributes are no object among all others."""
    file: NodeFile
    created_on: str = ""
    last_modified: str = ""
    expiration: str = ""
    parts: NodeParts | None = None
    """None if the file came, or comes, in one piece."""

    @property
    def attributes(self) -> dict[str, Any] | None:
        """Its attributes; None if it has none, or something else than an object."""
        return self.attributes_as_given if isinstance(self.attributes_as_given, dict) else None

    @property
    def expires(self) -> bool:
        """Whether the server will delete the node by itself; the year 1 stands for never."""
        return not self.expiration.startswith("0001-")

    def text(self, key: str) -> str:
        """Return an attribute, empty if it is missing or not text."""
        value = (self.attributes or {}).get(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> list[str]:
        """Return the texts of an attribute by which a query finds the node: a list is found by each of its elements."""
        value = (self.attributes or {}).get(key)
        return [one for one in value if isinstance(one, str)] if isinstance(value, list) else [self.text(key)]

    @property
    def part_md5s(self) -> dict[int, str]:
        """The MD5s of parts as the server lists them, by number; the first is number 1."""
        return self.parts.md5s if self.parts else {}


def download_url(base: str, node_id: str) -> str:
    """Return the address of a node's file. base: that of its Shock."""
    return f"{base}/node/{node_id}?download"


class PublicAccess(msgspec.Struct, frozen=True):
    """Rights that everyone has on a node."""

    read: bool = False
    write: bool = False
    delete: bool = False


class AccessControl(msgspec.Struct, frozen=True):
    """The rights on a node, and who has them."""

    owner: str
    """The owner's id, or `public` for a node that was uploaded without a token."""
    public: PublicAccess
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


def is_public(access: AccessControl | None) -> bool:
    """Return whether everyone may read a node that a user has found.

    access: the rights on it as `ShockClient.find_access` returns them. Shock tells a node's lists to those who are in
        one. Who is in none, and has found the node, may read it because everyone may.
    """
    return access is None or access.public.read
