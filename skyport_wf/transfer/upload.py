"""A hidden, expiring node with an archive: sent, copied on the server, or found where an earlier run left it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from skyport_wf.image.contents import ArchiveDigests, SavedArchive
from skyport_wf.image_list.spec import EMBEDDED
from skyport_wf.progress import Progress
from skyport_wf.records.records import BuildRecord, UploadRecord
from skyport_wf.transfer.earlier import find_retired, find_uploads, holds, take_up
from skyport_wf.transfer.parts import ReadRange, goes_in_parts, part_size
from skyport_wf.transfer.parts_upload import PartsUpload
from skyport_wf.transfer.same_image import copy_same_image
from skyport_wf.transfer.send import check_arrival, copy_on_server, send
from skyport_wf.transfer.stream_upload import StreamUpload
from skyport_wf.transfer.unfinished import ProgressFile

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_LARGEST_PART = 32 << 20
"""Bytes: the parts of a stream are in memory, and of an archive that is larger than any there may be more than a
thousand."""


class ArchiveSource(Protocol):
    """An archive that is made anew each time it is read."""

    @property
    def about_size(self) -> int:
        """About how many bytes it will have: the same number each time, and rather too many."""

    @property
    def image_id(self) -> str:
        """The image's config digest, empty if it is not known yet."""

    @property
    def manifest(self) -> str | msgspec.UnsetType:
        """The manifest, JSON, by which a registry has the image; not there if none has it."""

    def open(self) -> Iterator[bytes]:
        """Yield the archive, to be sent."""

    def read_through(self) -> SavedArchive:
        """Read the archive, and return what it has turned out to be."""

    @property
    def saved(self) -> SavedArchive:
        """Contents and digests of the archive, known once it has been read."""


def upload_file(
    shock: Shock,
    build: BuildRecord,
    read: ReadRange,
    saved: SavedArchive,
    *,
    remembered: ProgressFile,
    progress: Progress,
) -> UploadRecord:
    """Let a node have an archive that is in a file: copied on the server, sent in parts, or in one piece.

    read: gives the archive's bytes.
    Raises TemporaryError if it cannot be sent, or arrives as something else.
    """
    digests = saved.digests
    # The embedded Shock is a folder here: parts would be written twice, and there is no connection to lose.
    in_parts = shock.url != EMBEDDED and goes_in_parts(digests.size, build.shock)
    parts = PartsUpload(shock, build, read, digests, progress_file=remembered) if in_parts else None

    def read_all() -> Iterator[bytes]:
        for piece in read(0, digests.size):
            yield piece
            progress(len(piece))

    if parts and (unfinished := parts.find_unfinished()):
        node = parts.finish(unfinished, progress)
    elif copy := copy_on_server(shock.user, build, digests):
        node = copy
    elif same := copy_same_image(shock, build, saved.contents.image_id, manifest=saved.manifest):
        return same
    elif parts:
        node = parts.finish(None, progress)
    else:
        node = send(shock, build, read_all, size=digests.size)
    check_arrival(shock, node, digests, build.name)
    return UploadRecord(build=build, saved=saved, node=node.id, url=shock.url)


def upload_stream(shock: Shock, build: BuildRecord, source: ArchiveSource) -> UploadRecord:
    """Let a node have an archive as it is made, unless the Shock has its bytes already.

    Raises TemporaryError if it cannot be sent, or arrives as something else.
    """
    node = None
    uploads = find_uploads(shock, build)
    if any(one.file.complete for one in (*uploads, *find_retired(shock, build))):
        # Only the archive itself tells whether it is the same. To make it twice takes less time than to send it once.
        node = _find_sent(shock, build, uploads, source.read_through().digests)
    if node is None and source.image_id:
        same = copy_same_image(shock, build, source.image_id, manifest=source.manifest)
        if same:
            return same
    node = node or send_stream(shock, build, source.open, about_size=source.about_size)
    check_arrival(shock, node, source.saved.digests, build.name)
    return UploadRecord(build=build, saved=source.saved, node=node.id, url=shock.url)


def send_stream(
    shock: Shock,
    build: BuildRecord,
    open_content: Callable[[], Iterator[bytes]],
    *,
    about_size: int,
    size: int | None = None,
) -> Node:
    """Make the hidden, expiring node with an archive that is read as it goes; a large one goes in parts.

    open_content: gives the archive's pieces, once for each attempt.
    about_size: as an `ArchiveSource` has it.
    size: its bytes, if they are known.
    """
    if shock.url == EMBEDDED or not goes_in_parts(about_size, build.shock):
        return send(shock, build, open_content, size=size)
    step = min(part_size(about_size, build.shock), _LARGEST_PART)
    return StreamUpload(shock, build, step).send(open_content)


def _find_sent(shock: Shock, build: BuildRecord, uploads: list[Node], digests: ArchiveDigests) -> Node | None:
    """Return the upload of an earlier run with the archive's bytes, or a copy of another node that has them."""
    for node in uploads:
        if holds(node, digests) and take_up(shock, node):
            _log.info("%s was sent already (node %s)", build.name, node.id)
            return node
    return copy_on_server(shock.user, build, digests)
