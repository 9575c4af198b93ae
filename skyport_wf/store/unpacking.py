"""gzip and bzip2 unpacked as they stream by, in pieces of bounded size whatever the data claims to hold."""

import bz2
import zlib
from collections.abc import Iterator
from typing import Literal, Protocol

from skyport_wf.byte_streams import PIECE
from skyport_wf.store.refusals import InvalidRequestError

Compression = Literal["gzip", "bzip2"]
COMPRESSIONS: tuple[Compression, ...] = ("gzip", "bzip2")


class Unpacker:
    """Takes packed bytes, gives unpacked ones; several packed streams one after the other are one."""

    def __init__(self, compression: Compression) -> None:
        self._compression = compression
        self._member: _Member | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Go through what `data` adds. Raises InvalidRequestError if it is not packed that way."""
        try:
            yield from self._feed(data)
        except (zlib.error, OSError, ValueError) as error:
            raise InvalidRequestError(f"the file is not {self._compression}: {error}") from error

    def finish(self) -> None:
        """Raise InvalidRequestError if the packed data ended early."""
        if self._member is not None:
            raise InvalidRequestError(f"the {self._compression} file is cut off")

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._member = self._member or _MEMBERS[self._compression]()
            yield from self._member.feed(data)
            data = b""
            if self._member.ended:
                data = self._member.rest
                self._member = None


class _Member(Protocol):
    """One packed stream."""

    ended: bool
    rest: bytes

    def feed(self, data: bytes) -> Iterator[bytes]: ...


class _GzipMember:
    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=31)
        self.ended = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._unpacker.eof:
            yield self._unpacker.decompress(data, PIECE)
            data = self._unpacker.unconsumed_tail
        self.ended = self._unpacker.eof
        self.rest = self._unpacker.unused_data


class _Bzip2Member:
    def __init__(self) -> None:
        self._unpacker = bz2.BZ2Decompressor()
        self.ended = False
        self.rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._unpacker.decompress(data, PIECE)
        while not self._unpacker.eof and not self._unpacker.needs_input:
            yield self._unpacker.decompress(b"", PIECE)
        self.ended = self._unpacker.eof
        self.rest = self._unpacker.unused_data


_MEMBERS: dict[Compression, type[_GzipMember] | type[_Bzip2Member]] = {
    "gzip": _GzipMember,
    "bzip2": _Bzip2Member,
}
