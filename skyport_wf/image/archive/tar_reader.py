"""Read the outer tar of a docker archive front to back, believing nothing that it says of itself.

`tarfile` parses the headers. Its streaming mode is not used: it keeps every member in memory, reads extension
headers of any declared size, recurses once for each of them, and takes a stream that ends early for a whole one.
"""

import posixpath
import tarfile
from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

from skyport_wf.errors import ArchiveError

BLOCK = tarfile.BLOCKSIZE
PIECE = 1 << 20
"""Bytes that are read, hashed and handed on at a time."""
MAX_HEADERS = 10_000
"""An image has at most 127 layers, and no engine writes more than five headers for each."""
MAX_EXTENSION = 1 << 20
"""Bytes of one extension header (long name, pax records)."""
MAX_NAME = 512
"""Characters of a member's name: engines use 140 at most, and all names are kept in memory."""
MAX_TRAILING = 64 << 20
"""Bytes after the end of the tar, which are padding."""

_IGNORED_TYPES = frozenset({tarfile.XGLTYPE})
_PAX_TYPES = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
_FILE_TYPES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_GNU_NAMES = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}


class ByteStream(Protocol):
    """What an archive is read from: a pipe, a socket, a file; it need not seek."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""


class Member(msgspec.Struct, frozen=True):
    """A member of the outer tar."""

    name: str
    """Relative, without `.` and `..`."""
    kind: Literal["file", "folder", "link"]
    """Hard and symbolic links are not told apart: both stand for the file that they name."""
    size: int
    """Bytes of its data; 0 unless it is a file."""
    target: str
    """What a link leads to, from the root of the archive; empty for others."""


class TarReader:
    """Iterates over the members of a tar; `read` gives the data of the member that came last."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.name = stream_name(stream)
        self._headers = 0
        self._left = 0
        self._padding = 0
        self._peeked = b""

    def __iter__(self) -> Iterator[Member]:
        """Yield each member, passing over what was not read of the one before.

        Raises ArchiveError for what is no tar, ends early, is damaged or leads out of the archive.
        """
        while (header := self._next_header()) is not None:
            member = self._member(header)
            self._left, self._padding = member.size, -member.size % BLOCK
            yield member
            while self.read(PIECE):
                pass
            self._exactly(self._padding)
        self._drain()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` more bytes of the member's data, and none only at its end."""
        wanted = min(size, self._left)
        if not wanted:
            return b""
        piece, self._peeked = self._peeked[:wanted], self._peeked[wanted:]
        if not piece:
            piece = self._stream.read(wanted)
            if not piece:
                raise self.error("breaks off in the middle of a member")
        self._left -= len(piece)
        return piece

    def peek(self) -> bytes:
        """Return the first block of the member's data, or all of it if it is shorter; not after `read`."""
        self._peeked = self._exactly(min(BLOCK, self._left))
        return self._peeked

    def error(self, problem: str, advice: str = "Save the image again.") -> ArchiveError:
        """Return the error that says what is wrong with this archive."""
        return ArchiveError(f"{self.name} {problem}. {advice}")

    def _next_header(self) -> tarfile.TarInfo | None:
        """Return the next member's header, its extension headers applied, or None at the end."""
        extended: dict[str, str] = {}
        while (header := self._one_header()) is not None:
            if header.type in _GNU_NAMES:
                extended[_GNU_NAMES[header.type]] = self._text(self._extension(header).partition(b"\0")[0])
            elif header.type in _PAX_TYPES:
                extended |= self._pax_records(self._extension(header))
            elif header.type in _IGNORED_TYPES:
                self._extension(header)
            else:
                self._extend(header, extended)
                return header
        if extended:
            raise self.error("ends with a header that belongs to no member")
        return None

    def _one_header(self) -> tarfile.TarInfo | None:
        if self._headers == MAX_HEADERS:
            raise self.error(f"has more than {MAX_HEADERS:,} members, so it is not a docker archive", "")
        block = self._exactly(BLOCK)
        self._headers += 1
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # missing in typeshed
            return None
        except (tarfile.HeaderError, ValueError) as error:
            if self._headers == 1:
                raise self._no_tar() from error
            raise self.error(f"is damaged: header {self._headers} is not a tar header") from error

    def _extension(self, header: tarfile.TarInfo) -> bytes:
        """Return the data of an extension header."""
        if not 0 <= header.size <= MAX_EXTENSION:
            raise self.error(f"has an extension header of {header.size:,} bytes, so it is not a docker archive", "")
        return self._exactly(header.size + -header.size % BLOCK)[: header.size]

    def _pax_records(self, data: bytes) -> dict[str, str]:
        """Return the records of a pax header: each `LENGTH KEY=VALUE` and a newline, LENGTH counting all of it."""
        records: dict[str, str] = {}
        start = 0
        while start < len(data):
            digits, _, _ = data[start : start + 10].partition(b" ")
            length = int(digits) if digits.isdigit() else 0
            key, equals, value = data[start + len(digits) + 1 : start + length - 1].partition(b"=")
            if not equals or not 0 < length <= len(data) - start:
                raise self.error("is damaged: a pax header cannot be read")
            if key in (b"path", b"linkpath", b"size"):
                records[key.decode()] = self._text(value)
            elif key.startswith(b"GNU.sparse."):
                raise self.error("stores a file sparsely, which docker cannot load")
            start += length
        return records

    def _extend(self, header: tarfile.TarInfo, extended: dict[str, str]) -> None:
        header.name = extended.get("path", header.name)
        header.linkname = extended.get("linkpath", header.linkname)
        size = extended.get("size", str(header.size))
        if not (size.isascii() and size.isdigit() and len(size) < 20):
            raise self.error(f"is damaged: a member claims to have {size[:40]!r} bytes")
        header.size = int(size)

    def _member(self, header: tarfile.TarInfo) -> Member:
        name = self._inside(header.name)
        if header.type in _FILE_TYPES and not header.name.endswith("/"):
            return Member(name, "file", header.size, "")
        if header.isdir() or header.type in _FILE_TYPES:
            return Member(name, "folder", 0, "")
        if header.issym():
            return Member(name, "link", 0, self._inside(posixpath.join(posixpath.dirname(name), header.linkname)))
        if header.islnk():
            return Member(name, "link", 0, self._inside(header.linkname))
        raise self.error(f"holds {name!r}, which is neither file, folder nor link", "It is not a docker archive.")

    def _inside(self, name: str) -> str:
        """Return the path without detours, which must not leave the archive."""
        path = posixpath.normpath(name)
        if path == ".." or path.startswith(("/", "../")):
            raise self.error(f"names {name[:MAX_NAME]!r}, a path outside of it", "Do not use it.")
        if len(path) > MAX_NAME:
            raise self.error(f"has a member whose name has {len(path):,} characters", "It is not a docker archive.")
        return path

    def _text(self, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise self.error("has a member whose name is not UTF-8", "It is not a docker archive.") from error

    def _exactly(self, size: int) -> bytes:
        """Return `size` bytes of the stream, at most a few."""
        data = b""
        while len(data) < size:
            piece = self._stream.read(size - len(data))
            if not piece:
                raise self._too_short(data)
            data += piece
        return data

    def _too_short(self, data: bytes) -> ArchiveError:
        if self._headers:
            return self.error("breaks off before its end")
        return self._no_tar() if data else self.error("is empty")

    def _no_tar(self) -> ArchiveError:
        advice = "Write it with `docker save REPO:TAG -o FILE`."
        return self.error("is not a tar, so it is not a docker archive", advice)

    def _drain(self) -> None:
        """Read to the end of the stream, where a gzip file has its checksum and a pipe's writer is waiting."""
        trailing = 0
        while piece := self._stream.read(PIECE):
            trailing += len(piece)
            if trailing > MAX_TRAILING:
                raise self.error("goes on after its end")


def stream_name(stream: ByteStream) -> str:
    """Return what messages call the archive in a stream."""
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) and name else "the archive"
