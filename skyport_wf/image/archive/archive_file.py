"""Open an archive that someone saved to a file."""

import io
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from isal import igzip_threaded

from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.formats import recognise_format
from skyport_wf.image.archive.gzip_file import GZIP_ERRORS
from skyport_wf.image.archive.tar_reader import BLOCK
from skyport_wf.image.archive.unpacking import check_expansion

_READ_AHEAD = 1 << 18


def open_archive(path: Path) -> "ArchiveFile":
    """Open a docker archive for reading, gzipped (in one member or several) or not.

    Raises ArchiveError if there is no file, or one that is neither tar nor gzip.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}. Check `archive`.") from error
    try:
        return ArchiveFile(path, file)
    except BaseException:
        file.close()
        raise


class ArchiveFile:
    """An uncompressed docker archive to read, whatever the file's format. Use it in a `with` statement."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.name = str(path)
        self._file = file
        self._unpacked = 0
        self._tar = self._uncompressed()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises ArchiveError if the file is damaged, or decompresses to so much that it cannot be an archive.
        """
        piece = self._read(size)
        self._unpacked += len(piece)
        # The thread that decompresses has read further already, but not by much.
        check_expansion(self.name, stored=self._file.tell(), unpacked=self._unpacked)
        return piece

    def _read(self, size: int) -> bytes:
        try:
            return self._tar.read(size)
        except EOFError as error:
            raise ArchiveError(f"{self.name} breaks off before its end. Save or fetch it again.") from error
        except GZIP_ERRORS as error:
            raise ArchiveError(f"{self.name} is damaged: {error}. Save or fetch it again.") from error
        except OSError as error:
            raise ArchiveError(f"{self.name} cannot be read: {error.strerror}. Check the disk.") from error

    def close(self) -> None:
        """Close the file and end the thread that decompresses it."""
        self._tar.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _uncompressed(self) -> io.BufferedIOBase | BinaryIO:
        try:
            head = self._file.read(BLOCK)
            self._file.seek(0)
        except OSError as error:
            raise ArchiveError(f"{self.name} cannot be read: {error.strerror}. Check `archive`.") from error
        kind = recognise_format(head)
        if kind == "tar":
            return self._file
        if kind == "gzip":
            stream: io.BufferedIOBase = igzip_threaded.open(self._file, "rb", block_size=_READ_AHEAD)
            return stream
        raise ArchiveError(f"{self.name} {_what_it_is(head, kind)}")


def _what_it_is(head: bytes, kind: str) -> str:
    if not head:
        return "is empty. Save the image again."
    if kind in ("", "json"):
        return "is not a docker archive: it is neither tar nor gzip. Write it with `docker save REPO:TAG -o FILE`."
    return f"is in {kind} format, which AWE cannot load. Unpack it and publish the tar."
