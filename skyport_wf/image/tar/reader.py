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
from skyport_wf.image.tar.header import BLOCK, NumberError, TarHeader, parse_decimal, parse_header, parse_time
from skyport_wf.image.tar.sparse import CHUNK, SPARSE, has_sound_map, is_sparse

MAX_EXTENSION: Final = 1 << 20
"""Bytes of one extension header (long name, pax records)."""
MAX_EXTENSIONS: Final = 1000
"""Extension headers before one member: engines write two at most, and take any number."""
XATTR: Final = b"SCHILY.xattr."
"""The beginning of the keys of pax records that hold a file's extended attributes, as star and Go write them."""

FILE_TYPES: Final = frozenset({tarfile.REGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE})
_GNU_NAMES: Final = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
_NO_NUMBER: Final = "has a member with a number in its header that is none"
_TIMES: Final = frozenset({b"mtime", b"atime", b"ctime"})
"""The first is used. Go's reader wants the others to be times, too."""
_PAX_NAMES: Final = frozenset({b"path", b"linkpath", b"uname", b"gname"})
_PAX_KEYS: Final = frozenset({b"path", b"linkpath", b"size", b"uid", b"gid", *_TIMES})
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
    mode: int
    uid: int
    gid: int
    mtime: int
    """Seconds since 1970, rounded down."""
    devices: tuple[int, int]
    """Major and minor number of a device."""
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
            if member.records:
                self._check_sparse(member)
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
        names: dict[bytes, bytes] = {}
        for _ in range(MAX_EXTENSIONS + 1):
            block, header = self._header()
            if header is None:
                if records or names:
                    raise self.error("ends with a header that belongs to no member")
                return None
            if header.type in _GNU_NAMES:
                names[_GNU_NAMES[header.type]] = self._extension(header).partition(b"\0")[0]
            elif header.type == tarfile.XHDTYPE:
                # Of several, Go's reader takes the last alone.
                records = self._pax_records(self._extension(header))
            elif header.type == tarfile.XGLTYPE:
                self._pax_records(self._extension(header))
                return self._member(header._replace(size=0), {})
            else:
                # Old GNU tars go on in more blocks with where the data of a sparse file belongs; they are no data.
                goes_on = header.type == tarfile.GNUTYPE_SPARSE and block[482]
                while goes_on:
                    goes_on = self._exactly(BLOCK)[504]
                return self._member(header, records | {key: name for key, name in names.items() if name})
        raise self.error("has a member with too many extension headers")

    def _header(self) -> tuple[bytes, TarHeader | None]:
        if self.headers == self._policy.max_headers:
            raise self.error(f"has more than {self.headers:,} members")
        block = self._block()
        if not block:
            return block, None
        self.headers += 1
        if len(block) < BLOCK and self.headers > 1:
            raise self.error("breaks off before its end")
        try:
            if (header := parse_header(block)) is None:
                self._end()
            return block, header
        except NumberError as error:
            raise self.error(_NO_NUMBER) from error
        except ValueError as error:
            if self.headers == 1:
                raise self.error(*self._policy.not_a_tar) from error
            raise self.error("has something that is not a tar header") from error

    def _block(self) -> bytes:
        """Return the next block; less, or nothing, if the tar ends."""
        block = self._stream.read(BLOCK)
        # Sockets give less than they are asked for.
        while 0 < len(block) < BLOCK and (more := self._stream.read(BLOCK - len(block))):
            block += more
        return block

    def _end(self) -> None:
        """Read the second of the empty blocks that end a tar, if it is there: Go's reader takes nothing else."""
        self.ended = True
        if (block := self._block()) and block != bytes(BLOCK):
            raise self.error("goes on after an empty block")

    def _member(self, header: TarHeader, records: dict[bytes, bytes]) -> TarMember:
        name, kind, size, target, mode, uid, gid, mtime, devices = header
        if records:
            name, target = records.get(b"path", name), records.get(b"linkpath", target)
            if b"size" in records:
                size = self._size(records[b"size"])
            try:
                uid = parse_decimal(records[b"uid"]) if b"uid" in records else uid
                gid = parse_decimal(records[b"gid"]) if b"gid" in records else gid
                for time in _TIMES & records.keys():
                    seconds = parse_time(records[time])
                    mtime = seconds if time == b"mtime" else mtime
            except NumberError as error:
                raise self.error(_NO_NUMBER) from error
        if kind not in _WITHOUT_DATA and min(size, header.size) < 0:
            raise self.error(f"has a member that claims to have '{min(size, header.size)}' bytes")
        if kind == tarfile.AREGTYPE:
            # An old tar has no type for folders: their names end so.
            kind = tarfile.DIRTYPE if name.endswith(b"/") else tarfile.REGTYPE
        if kind in _WITHOUT_DATA:
            size = 0
        if records and is_sparse(kind, records):
            name = records.get(SPARSE + b"name", name)
        return TarMember(name, kind, size, target, mode, uid, gid, mtime, devices, records)

    def _size(self, claimed: bytes) -> int:
        try:
            return parse_decimal(claimed)
        except NumberError as error:
            shown = claimed[:40].decode(errors="replace")
            raise self.error(f"has a member that claims to have {shown!r} bytes") from error

    def _check_sparse(self, member: TarMember) -> None:
        if is_sparse(member.type, member.records) and (
            member.type in _WITHOUT_DATA or not has_sound_map(member.records, self.peek(MAX_EXTENSION), member.size)
        ):
            raise self.error("has a sparse file with a list of chunks that does not fit its data")

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
            if not (key and equals) or data[start + length - 1 : start + length] != b"\n":
                raise self.error("has a pax header that cannot be read")
            if b"\0" in (value if key in _PAX_NAMES else key):
                raise self.error("has a pax header with a NUL in it")
            if key in CHUNK:
                # The oldest form of sparse files has both once for each chunk; a later one has all of them in a list.
                if key != CHUNK[len(chunks) % 2] or b"," in value:
                    raise self.error("has a pax header with a list of chunks that cannot be read")
                chunks.append(value)
            elif key in _PAX_KEYS or key.startswith((XATTR, SPARSE)):
                records[key] = value
            start += length
        if chunks:
            records[SPARSE + b"map"] = b",".join(chunks)
        # Go's reader takes an empty value for none.
        return {key: value for key, value in records.items() if value}

    def _exactly(self, size: int) -> bytes:
        # Some streams take a read of nothing for their end.
        data = self._stream.read(size) if size else b""
        while len(data) < size:
            piece = self._stream.read(size - len(data))
            if not piece:
                raise self.error("breaks off before its end")
            data += piece
        return data
