"""Remembering, beside the upload record, on which node an upload in parts goes on after an interruption.

Which parts have arrived is for the server to say: the file only names the node.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import msgspec

from skyport_wf.decoding import decode_json
from skyport_wf.input_file import read_bounded
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.files import write_document

_LARGEST = 1 << 16
"""Bytes of such a file."""
_RESUMABLE_SECONDS = 36 * 3600
"""Half a day less than what the node lives, so that there is time to send the rest and to register it."""


class UnfinishedUpload(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="skyport-wf parts 1"):
    """An upload in parts that has begun."""

    url: str
    """The Shock that has the node."""
    node: str
    name: str
    """Of the image."""
    size: int
    """Bytes of the archive."""
    md5: str
    """Of the archive."""
    part_size: int
    """Bytes of each part but the last."""
    begun: float
    """Seconds since 1970, by the clock of the machine that the file is on."""

    def continues(self, other: UnfinishedUpload) -> bool:
        """Return whether `other` is the same upload, begun anew, and this one recent enough to go on with."""
        same = msgspec.structs.replace(other, node=self.node, begun=self.begun) == self
        return same and 0 <= other.begun - self.begun < _RESUMABLE_SECONDS


class ProgressFile:
    """Remembers the node of an unfinished upload; without a path, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, wanted: UnfinishedUpload) -> str | None:
        """Return the node to go on with, None if there is none that `wanted` could continue."""
        if self._path is None:
            return None
        try:
            saved = decode_json(read_bounded(self._path, _LARGEST), UnfinishedUpload)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Without it everything is sent again, which is right whatever has happened to the file.
            return None
        return saved.node if saved.continues(wanted) else None

    def write(self, upload: UnfinishedUpload) -> None:
        """Remember the node."""
        if self._path is not None:
            write_document(self._path, encode_json(upload))

    def remove(self) -> None:
        """Forget the node."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()


def begin(url: str, name: str, size: int, md5: str, part_size: int) -> UnfinishedUpload:
    """Return what there is to remember of an upload that begins now, but for its node."""
    return UnfinishedUpload(url=url, node="", name=name, size=size, md5=md5, part_size=part_size, begun=time.time())
