"""Read an archive from a file, from a folder or as it is downloaded, compressed or not."""

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skyport_wf.byte_streams import ByteStream, ChunkReader, CountedStream, RawStream
from skyport_wf.errors import ArchiveError
from skyport_wf.image.archive.compression import CompressionError, can_decompress, decompressed, recognise_format
from skyport_wf.image.archive.folder import layout_size, read_folder
from skyport_wf.image.archive.limits import check_expansion
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
from skyport_wf.image.tar.header import BLOCK
from skyport_wf.input_file import is_folder, open_file
from skyport_wf.progress import UNSEEN, Progress

_READ_AHEAD = 1 << 18
_OTHER_FILES = (
    (
        re.compile(rb"#!/usr/bin/env run-singularity|.{32}SIF_MAGIC|hsqs", re.DOTALL),
        "is an image of Singularity or Apptainer, which no Docker loads. Save the image that it was made from, with "
        "`docker save`, or name that as `registry`.",
    ),
    (
        re.compile(rb"version https://git-lfs\.github\.com/"),
        "is a pointer of Git LFS, not the file itself. `git lfs pull` fetches that.",
    ),
    (
        re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE),
        "is a web page, as of a server that wants a login or has no such file. Fetch it again.",
    ),
    (re.compile(rb"\x1f\x8b\x08"), "is gzip once more when it is unpacked. Unpack it, and use what that gives."),
)
"""Beginnings of files that are taken for archives, and what to say of them."""


@contextmanager
def open_archive(path: Path, progress: Progress = UNSEEN) -> Iterator["ArchiveStream"]:
    """Open an archive that someone saved to a file, or an OCI layout in a folder.

    progress: called with the bytes of each piece that is read from there.
    Raises ArchiveError if it cannot be read, or is compressed in a format that no engine reads.
    """
    with ExitStack() as opened:
        stream: ByteStream
        if is_folder(path):
            tar = read_folder(path)
            stream = ChunkReader(tar)
        else:
            try:
                stream = opened.enter_context(open_file(path, may_be_pipe=True))
            except OSError as error:
                raise ArchiveError(
                    f"{path} cannot be read: {error.strerror}. Name a file that you may read."
                ) from error
        counted = CountedStream(stream, progress)
        yield ArchiveStream(counted, name=str(path), advice="Save or fetch it again.")


def stored_size(path: Path) -> int:
    """Return how many bytes there are to read of an archive, or about as many of an OCI layout."""
    return layout_size(path) if path.is_dir() else path.stat().st_size


class ArchiveStream:
    """An uncompressed docker archive to read, whatever the format of the stream that it comes in."""

    def __init__(
        self, stream: ByteStream, *, name: str, advice: str = "Publish it again.", strict: bool = False
    ) -> None:
        """Read the archive in `stream`.

        name: the archive's, for messages.
        advice: says what to do if it is damaged.
        strict: whether gzip that Docker does not read counts as damaged, too.
        Raises ArchiveError if it is compressed in a format that no engine reads.
        """
        self.name = name
        self._advice = advice
        self._raw = RawStream(stream)
        self._unpacked = 0
        stored = io.BufferedReader(self._raw, _READ_AHEAD)
        with self._readable():
            kind = recognise_format(stored.peek(BLOCK)[:BLOCK])
        if kind in ("lz4", "zip"):
            raise ArchiveError(f"{name} is in {kind} format, which no engine loads. Unpack it and use the tar.")
        self._archive: ByteStream = stored
        if strict and kind == "gzip":
            self._archive = ChunkReader(decompressed_strictly(stored))
        elif can_decompress(kind):
            self._archive = ChunkReader(decompressed(stored, kind))

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises ArchiveError if the stream is damaged, or decompresses to so much that it cannot be an archive.
        """
        with self._readable():
            piece = self._archive.read(size)
        if not self._unpacked and recognise_format(piece[:BLOCK]) != "tar":
            for beginning, problem in _OTHER_FILES:
                if beginning.match(piece):
                    raise ArchiveError(f"{self.name} {problem}")
        self._unpacked += len(piece)
        check_expansion(self.name, stored=self._raw.taken, unpacked=self._unpacked)
        return piece

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except EOFError as error:
            raise ArchiveError(f"{self.name} breaks off before its end. {self._advice}") from error
        except CompressionError as error:
            raise ArchiveError(f"{self.name} is damaged: {error}. {self._advice}") from error
        except OSError as error:
            raise ArchiveError(f"{self.name} cannot be read: {error.strerror}. Check the disk.") from error
