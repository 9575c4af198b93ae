"""Files packed as they stream by: one with gzip or zip, several as a zip or tar archive."""

import io
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_GZIP = 31
"""zlib's window bits for a gzip header and trailer."""
_LEVEL = 1
"""Of packing with gzip: most files here are images, which are packed already."""
_MODE = 0o660


class ArchivedFile(msgspec.Struct, frozen=True):
    """A file that is to be packed."""

    name: str
    """Its name in the archive."""
    size: int
    """In bytes."""
    modified: datetime
    """When it was complete."""
    content: Iterable[bytes]
    """Its bytes, exactly as many; read when it is its turn."""


def gzip_pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content packed with gzip."""
    from isal import isal_zlib

    packer = isal_zlib.compressobj(level=_LEVEL, wbits=_GZIP)
    for piece in content:
        yield packer.compress(piece)
    yield packer.flush()


def tar_pieces(files: Iterable[ArchivedFile]) -> Iterator[bytes]:
    """Yield a tar archive of the files."""
    written = 0
    for file in files:
        info = tarfile.TarInfo(file.name)
        info.size, info.mode, info.mtime = file.size, _MODE, int(file.modified.timestamp())
        head = info.tobuf(tarfile.PAX_FORMAT, "utf-8")
        yield head
        yield from file.content
        padding = b"\0" * (-file.size % tarfile.BLOCKSIZE)
        yield padding
        written += len(head) + file.size + len(padding)
    # Two empty blocks end it; as a whole it fills records.
    end = 2 * tarfile.BLOCKSIZE
    yield b"\0" * (end + -(written + end) % tarfile.RECORDSIZE)


def zip_pieces(files: Iterable[ArchivedFile], *, packed: bool) -> Iterator[bytes]:
    """Yield a zip archive of the files. packed: whether they are compressed."""
    output = _Output()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(output, "w") as archive:
        for file in files:
            info = zipfile.ZipInfo(file.name, file.modified.timetuple()[:6])
            info.compress_type, info.file_size, info.external_attr = method, file.size, _MODE << 16
            with archive.open(info, "w") as member:
                for piece in file.content:
                    member.write(piece)
                    yield output.take()
    yield output.take()


class _Output(io.RawIOBase):
    """A file that cannot be sought, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: "ReadableBuffer") -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
