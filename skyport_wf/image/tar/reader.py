"""Read a tar front to back, believing nothing that it says of itself.

`tarfile` is not used: its streaming mode keeps every member in memory, reads extension headers of any declared size,
recurses once for each of them, and takes a stream that ends early for a whole one.
"""

import tarfile
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from skyport_wf.byte_streams import PIECE, ByteStream
from skyport_wf.errors import ArchiveError
from skyport_wf.image.tar.header import BLOCK, TarHeader, parse_header

MAX_EXTENSION: Final = 1 << 20
"""Bytes of one extension header (long name, pax records)."""
MAX_EXTENSIONS: Final = 1000
"""Extension headers before one member: engines write two at most, and take any number."""
SPARSE: Final = b"GNU.sparse."
"""The beginning of the keys of pax records that describe a file stored sparsely; engines read those."""
XATTR: Final = b"SCHILY.xattr."
"""The beginning of the keys of pax records that hold a file's extended attributes, as star and Go write them."""

FILE_TYPES: Final = frozenset({tarfile.REGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE})
_GNU_NAMES: Final = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
_PAX_TYPES: Final = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
_PAX_KEYS: Final = frozenset({b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"})
_WITHOUT_DATA: Final = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}
)
"""No data follows, whatever size their headers claim: so docker reads them."""


class TarPolicy(msgspec.Struct, frozen=True):
    """Limits for a kind of tar, and the advice in its errors."""

    advice: str
    """Says what to do about a tar that is damaged."""
    error: type[ArchiveError] = ArchiveError
    """The kind of its errors."""
    not_a_tar: tuple[str, str | None] = ("has something that is not a tar header", None)
    """Problem and advice for bytes that do not even begin like a tar."""
    max_headers: int | None = None
    """Headers in all, those of extensions too; None: any number."""
    max_trailing: int | None = None
    """Bytes after its end, which are padding; None: any number."""


class TarMember(NamedTuple):
    """A member as its headers describe it. A named tuple: there are many, each for a moment."""

    name: bytes
    type: bytes
    """As `tarfile` names types."""
    size: int
    """Bytes of its data in the tar."""
    target: bytes
    """The name that a link has in it."""
    block: bytes
    """The header itself, 512 bytes."""
    records: dict[bytes, bytes]
    """The pax records that belong to it, as far as anything here needs them."""


class TarReader:
    """Iterates over the members of a tar. The other methods give the data of the member that came last."""

    def __init__(self, stream: ByteStream, policy: TarPolicy, *, name: str) -> None:
        """Read the tar in `stream`.

        name: what messages call it.
        """
        self.name = name
        self.member: TarMember
        """The member that came last."""
        self._stream = stream
        self._policy = policy
        self.headers = 0
        """Headers that have been read."""
        self.ended = False
        """Whether it has come to the empty blocks at its end, which some lack."""
        self._left = 0
        self._held = b""

    def __iter__(self) -> Iterator[TarMember]:
        """Yield each member, passing over the unread rest of the one before, and read to the end of the stream.

        A tar may lack the empty blocks at its end, or the padding of its last member: Docker's Go reader takes it for
        whole, too. A global header counts as a member.
        Raises ArchiveError if it is no tar, ends early or is damaged.
        """
        while (member := self._next_member()) is not None:
            self.member, self._left, self._held = member, member.size, b""
            yield member
            while self._left:
                self._left -= len(self._exactly(min(self._left, PIECE)))
            padding = -member.size % BLOCK
            while padding and (piece := self._stream.read(padding)):
                padding -= len(piece)
        # A gzip file has its checksum behind the end, and the writer of a pipe waits until all of it is taken.
        trailing = 0
        while piece := self._stream.read(PIECE):
            trailing += len(piece)
            if self._policy.max_trailing is not None and trailing > self._policy.max_trailing:
                raise self.error("goes on after its end")

    def peek(self, size: int) -> bytes:
        """Return the first `size` bytes of the member's data, or all if there are fewer; `read` gives them again."""
        missing = min(size - len(self._held), self._left)
        if missing > 0:
            self._held += self._exactly(missing)
            self._left -= missing
        return self._held[:size]

    def read(self, size: int, /) -> bytes:
        """Return at most `size` more bytes of the member's data, and none only at its end."""
        piece = self.peek(min(size, PIECE))
        self._held = self._held[len(piece) :]
        return piece

    def error(self, problem: str, advice: str | None = None) -> ArchiveError:
        """Return the error that says what is wrong with this tar."""
        return self._policy.error(
            f"{self.name} {problem}. {self._policy.advice if advice is None else advice}".rstrip()
        )

    def _next_member(self) -> TarMember | None:
        """Return the next member, its extension headers applied, or None at the end."""
        records: dict[bytes, bytes] = {}
        for _ in range(MAX_EXTENSIONS + 1):
            block, header = self._header()
            if header is None:
                if records:
                    raise self.error("ends with a header that belongs to no member")
                return None
            if header.type in _GNU_NAMES:
                records[_GNU_NAMES[header.type]] = self._extension(header).partition(b"\0")[0]
            elif header.type in _PAX_TYPES:
                records |= self._pax_records(self._extension(header))
            elif header.type == tarfile.XGLTYPE:
                self._extension(header)
                return TarMember(header.name, header.type, 0, b"", block, {})
            else:
                return self._member(header, block, records)
        raise self.error("has a member with too many extension headers")

    def _header(self) -> tuple[bytes, TarHeader | None]:
        if self.headers == self._policy.max_headers:
            raise self.error(f"has more than {self.headers:,} members")
        block = self._stream.read(BLOCK)
        # Sockets give less than they are asked for.
        while 0 < len(block) < BLOCK and (more := self._stream.read(BLOCK - len(block))):
            block += more
        if not block:
            return block, None
        self.headers += 1
        if len(block) < BLOCK and self.headers > 1:
            raise self.error("breaks off before its end")
        try:
            header = parse_header(block)
            self.ended = header is None
            return block, header
        except ValueError as error:
            if self.headers == 1:
                raise self.error(*self._policy.not_a_tar) from error
            raise self.error("has something that is not a tar header") from error

    def _member(self, header: TarHeader, block: bytes, records: dict[bytes, bytes]) -> TarMember:
        size = records.get(b"size", b"%d" % header.size)
        if not (size.isdigit() and len(size) < 20):
            raise self.error(f"has a member that claims to have {size[:40].decode(errors='replace')!r} bytes")
        # Old GNU tars go on in more blocks with where the data of a sparse file belongs; they are no data.
        goes_on = header.type == tarfile.GNUTYPE_SPARSE and block[482]
        while goes_on:
            goes_on = self._exactly(BLOCK)[504]
        return TarMember(
            name=records.get(SPARSE + b"name", records.get(b"path", header.name)),
            type=header.type,
            size=0 if header.type in _WITHOUT_DATA else int(size),
            target=records.get(b"linkpath", header.target),
            block=block,
            records=records,
        )

    def _extension(self, header: TarHeader) -> bytes:
        if not 0 <= header.size <= MAX_EXTENSION:
            raise self.error(f"has an extension header of {header.size:,} bytes")
        return self._exactly(header.size + -header.size % BLOCK)[: header.size]

    def _pax_records(self, data: bytes) -> dict[bytes, bytes]:
        """Return the records of a pax header that are needed: each `LENGTH KEY=VALUE` and a newline."""
        records: dict[bytes, bytes] = {}
        chunks: list[bytes] = []
        start = 0
        while start < len(data):
            digits, _, _ = data[start : start + 10].partition(b" ")
            length = int(digits) if digits.isdigit() else 0
            key, equals, value = data[start + len(digits) + 1 : start + length - 1].partition(b"=")
            if not equals or data[start + length - 1 : start + length] != b"\n":
                raise self.error("has a pax header that cannot be read")
            # Go's reader takes an empty value for none.
            if key in (SPARSE + b"offset", SPARSE + b"numbytes"):
                # The oldest form of sparse files, which has these once for each chunk; a later one has them in a list.
                chunks.append(value)
            elif value and (key in _PAX_KEYS or key.startswith((XATTR, SPARSE))):
                records[key] = value
            start += length
        if chunks:
            records[SPARSE + b"map"] = b",".join(chunks)
        return records

    def _exactly(self, size: int) -> bytes:
        # Some streams take a read of nothing for their end.
        data = self._stream.read(size) if size else b""
        while len(data) < size:
            piece = self._stream.read(size - len(data))
            if not piece:
                raise self.error("breaks off before its end")
            data += piece
        return data
