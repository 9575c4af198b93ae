"""Read the tar of a layer front to back, believing nothing that it says of itself.

Unlike the archive around it, a layer may hold anything that a file system can: devices, names that are no UTF-8,
millions of files. Nothing of it is ever written to disk, and no link is followed.
"""

import tarfile
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.tar_reader import BLOCK, MAX_EXTENSION, PIECE
from skyport_wf.image.examination.file_attributes import PAX_KEYS, XATTR, FileAttributes, parse_attributes
from skyport_wf.image.examination.tar_header import TarHeader, parse_header
from skyport_wf.image.pieced_bytes import PiecedBytes

MAX_PATH: Final = 4096
"""Bytes of a path: no Linux system call takes more."""
MAX_EXTENSIONS: Final = 16
"""Extension headers before one member: engines write two at most."""

MemberKind = Literal["file", "folder", "hard link", "other"]

_PAX = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
_GNU_NAMES: Final = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
_PAX_KEYS: Final = {b"path": b"path", b"linkpath": b"linkpath", b"size": b"size", b"GNU.sparse.name": b"path"}
_FILES = frozenset({tarfile.REGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE})
_WITHOUT_DATA = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}
)
"""Whatever size their headers claim, no data follows: so docker reads them."""


class LayerMember(msgspec.Struct, frozen=True):
    """A member of a layer's tar."""

    path: bytes
    """From the root of the file system, without `/` at either end, `.` and `..`; empty for the root itself."""
    kind: MemberKind
    """`other` is a symbolic link, a device, a named pipe."""
    size: int
    """Bytes of its data in the tar."""
    target: bytes
    """The path of the file that a hard link is another name of; empty for others."""


class LayerTar:
    """Iterates over the members of a layer; of the member that came last, the other methods tell more."""

    def __init__(self, pieces: Iterable[bytes], *, name: str) -> None:
        """Read the layer whose bytes `pieces` yields.

        name: what messages call it.
        """
        self._bytes = PiecedBytes(pieces)
        self._name = name
        self._left = 0
        self._block = b""
        self._type = b""
        self._extended: dict[bytes, bytes] = {}
        self._content = b""

    def __iter__(self) -> Iterator[LayerMember]:
        """Yield each member, passing over what was not read of the one before, and read to the end of the bytes.

        Raises ArchiveError for what is no tar, ends early, is damaged or leads out of the file system.
        """
        while (member := self._next_member()) is not None:
            padding = -self._left % BLOCK
            yield member
            self._skip(self._left + padding)
        self._bytes.drain()

    def content(self, limit: int) -> bytes | None:
        """Return the member's data, or None, and nothing is read, if it has more than `limit` bytes."""
        if self._left > limit:
            return None
        self._content = self._take(self._left)
        self._left = 0
        return self._content

    def pieces(self) -> Iterator[bytes]:
        """Yield the member's data, once, in pieces of at most 1 MiB; or all of it together if `content` returned it."""
        if self._content:
            yield self._content
        while self._left:
            piece = self._take(min(self._left, PIECE))
            self._left -= len(piece)
            yield piece

    def attributes(self) -> FileAttributes:
        """Return what the member's headers say of it. Raises ArchiveError if they cannot be read."""
        target = self._extended.get(b"linkpath", self._block[157:257].partition(b"\0")[0])
        try:
            return parse_attributes(self._block, self._type, target, self._extended)
        except ValueError as error:
            raise self._error("has a member with a number in its header that is none") from error

    def _next_member(self) -> LayerMember | None:
        """Return the next member, its extension headers applied, or None at the end."""
        extended: dict[bytes, bytes] = {}
        for _ in range(MAX_EXTENSIONS):
            header = self._one_header()
            if header is None:
                return None
            if header.type in _GNU_NAMES:
                extended[_GNU_NAMES[header.type]] = self._extension(header).partition(b"\0")[0]
            elif header.type in _PAX:
                extended |= self._pax_records(self._extension(header))
            elif header.type == tarfile.XGLTYPE:
                self._extension(header)
            else:
                return self._member(header, extended)
        raise self._error("has a member with too many extension headers")

    def _one_header(self) -> TarHeader | None:
        self._block = block = self._bytes.read(BLOCK)
        if not block:
            # Docker's Go reader, too, takes a layer without the two empty blocks for a whole one.
            return None
        try:
            return parse_header(block)
        except ValueError as error:
            raise self._error("has something that is not a tar header") from error

    def _extension(self, header: TarHeader) -> bytes:
        if not 0 <= header.size <= MAX_EXTENSION:
            raise self._error(f"has an extension header of {header.size:,} bytes")
        return self._take(header.size + -header.size % BLOCK)[: header.size]

    def _pax_records(self, data: bytes) -> dict[bytes, bytes]:
        """Return the records of a pax header that count here: each `LENGTH KEY=VALUE` and a newline."""
        records: dict[bytes, bytes] = {}
        start = 0
        while start < len(data):
            digits, _, _ = data[start : start + 10].partition(b" ")
            length = int(digits) if digits.isdigit() else 0
            key, equals, value = data[start + len(digits) + 1 : start + length - 1].partition(b"=")
            if not equals or data[start + length - 1 : start + length] != b"\n":
                raise self._error("has a pax header that cannot be read")
            if key in _PAX_KEYS:
                records[_PAX_KEYS[key]] = value
            elif key in PAX_KEYS or key.startswith(XATTR):
                records[key] = value
            start += length
        return records

    def _member(self, header: TarHeader, extended: dict[bytes, bytes]) -> LayerMember:
        self._type, self._extended, self._content = header.type, extended, b""
        path = self._inside(extended.get(b"path", header.name))
        self._left = 0 if header.type in _WITHOUT_DATA else self._size(header, extended)
        if header.type == tarfile.DIRTYPE:
            return LayerMember(path, "folder", 0, b"")
        if header.type in _FILES:
            self._skip_sparse_map(header)
            return LayerMember(path, "file", self._left, b"")
        if header.type == tarfile.LNKTYPE:
            target = self._inside(extended.get(b"linkpath", header.target))
            return LayerMember(path, "hard link", 0, target)
        return LayerMember(path, "other", 0, b"")

    def _size(self, header: TarHeader, extended: dict[bytes, bytes]) -> int:
        size = extended.get(b"size", b"%d" % header.size)
        if not (size.isdigit() and len(size) < 20):
            raise self._error(f"has a member that claims to have {size[:40].decode('latin-1')!r} bytes")
        return int(size)

    def _skip_sparse_map(self, header: TarHeader) -> None:
        """Pass over the blocks in which old GNU tars go on listing where the data of a sparse file belongs."""
        goes_on = header.type == tarfile.GNUTYPE_SPARSE and self._block[482]
        while goes_on:
            goes_on = self._take(BLOCK)[504]

    def _inside(self, name: bytes) -> bytes:
        """Return the path without detours, from the root, which it must not leave."""
        if len(name) > MAX_PATH:
            raise self._error(f"has a path of {len(name):,} bytes, which no file system takes")
        if b"\0" in name:
            raise self._error("has a path with a NUL in it")
        parts: list[bytes] = []
        for part in name.split(b"/"):
            if part == b"..":
                if not parts:
                    raise self._error(f"names {name.decode(errors='backslashreplace')!r}, a path outside of the image")
                parts.pop()
            elif part not in (b"", b"."):
                parts.append(part)
        return b"/".join(parts)

    def _take(self, size: int) -> bytes:
        data = self._bytes.read(size)
        if len(data) < size:
            raise self._error("breaks off before its end")
        return data

    def _skip(self, size: int) -> None:
        if self._bytes.skip(size) < size:
            raise self._error("breaks off before its end")

    def _error(self, problem: str) -> ArchiveError:
        return ArchiveError(f"{self._name} {problem}. No engine loads it; save the image again.")
