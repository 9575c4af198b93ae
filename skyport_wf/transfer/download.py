"""A node's file as it comes from Shock: it has to come whole, and with the MD5 that the server announced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from skyport_wf.byte_streams import pieces_of
from skyport_wf.errors import ShockError, SkyportError, TemporaryError, root_cause
from skyport_wf.progress import Progress

if TYPE_CHECKING:
    from skyport_wf.shock.client import ShockClient
    from skyport_wf.shock.node import Node


_ENDED = "the connection ended"


class BrokenOffError(TemporaryError):
    """A download ended before the file's end."""

    def __init__(self, message: str, *, is_cut: bool) -> None:
        super().__init__(message)
        self.is_cut = is_cut
        """Whether the server ended it as it ends a whole one: as where it lacks the rest."""


@contextmanager
def open_download(shock: ShockClient, node: Node, name: str, progress: Progress) -> Iterator[Download]:
    """Open the node's file.

    name: the image's, for messages.
    progress: told how many bytes come, and called with those of each piece that arrives.
    """
    progress.expect(node.file.size)
    with shock.download(node.id, size=node.file.size) as stream:
        yield Download(stream, node, name, progress)


class Download:
    """Reads a node's file; the end of it only if all of it was right."""

    def __init__(self, stream: BinaryIO, node: Node, name: str, progress: Progress) -> None:
        self.name = name
        self._stream = stream
        self._file = node.file
        self._progress = progress
        self._received = 0
        self._digest = hashlib.md5(usedforsecurity=False)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end; what a server sends beyond the file is not read.

        Raises TemporaryError if the connection breaks off, ShockError if the store cannot read the file, or at the end
        of a file with another MD5.
        """
        piece = b""
        # Bytes behind the file would fill the disk, and an answer that has all of it need not end.
        if wanted := min(size, self._file.size - self._received):
            with self._broken_connection():
                piece = self._stream.read(wanted)
        self._received += len(piece)
        self._digest.update(piece)
        self._progress(len(piece))
        if not piece:
            self._check()
        return piece

    def pieces(self) -> Iterator[bytes]:
        """Yield the file, its last piece only when all of it has been checked."""
        held = b""
        for piece in pieces_of(self):
            if held:
                yield held
            held = piece
        yield held

    def _check(self) -> None:
        if self._received < self._file.size:
            raise self._broke_off(_ENDED)
        if (found := self._digest.hexdigest()) != self._file.checksum.md5:
            raise ShockError(f"the file of {self.name} is damaged: it has MD5 {found}, not {self._file.checksum.md5}")

    @contextmanager
    def _broken_connection(self) -> Iterator[None]:
        import urllib3

        try:
            yield
        except SkyportError as error:  # of the embedded store, whose disk is ours: trying again would not help
            raise ShockError(f"the file of {self.name} cannot be read: {error}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._broke_off(root_cause(error)) from error

    def _broke_off(self, reason: str) -> TemporaryError:
        return BrokenOffError(
            f"the download of {self.name} broke off after {self._received} of {self._file.size} bytes: {reason}. "
            "Try again.",
            is_cut=reason == _ENDED or reason.startswith("IncompleteRead"),
        )
