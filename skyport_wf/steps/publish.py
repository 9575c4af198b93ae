"""All four steps as one stream: from the engine to Shock without a file in between, where that can be."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.image_list.spec import EMBEDDED, ShockSettings
from skyport_wf.publication.thin import check_base
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord, UploadRecord
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Output
from skyport_wf.steps.build import build, connect
from skyport_wf.steps.register import register
from skyport_wf.steps.save import left_out, note_image, open_image
from skyport_wf.steps.upload import check_published, upload_archive
from skyport_wf.transfer.earlier import find_retired, find_uploads, holds, take_up
from skyport_wf.transfer.parts import goes_in_parts, part_size, range_of_scratch
from skyport_wf.transfer.same_image import copy_same_image
from skyport_wf.transfer.send import check_arrival, copy_on_server, send
from skyport_wf.transfer.stream_upload import StreamUpload
from skyport_wf.transfer.unfinished import ProgressFile

if TYPE_CHECKING:
    from skyport_wf.image.archive.normalise import NormalisedStream
    from skyport_wf.image.contents import ArchiveDigests
    from skyport_wf.publication.connection import Shock
    from skyport_wf.shock.node import Node

_log = logging.getLogger(__name__)
_LARGEST_PART = 32 << 20
"""Bytes: the parts of a stream are in memory, and of an archive that is larger than any there may be more than a
thousand."""


def publish(
    image: ResolvedImage,
    settings: ShockSettings,
    shock: Shock,
    *,
    output: Output,
    progress: Callable[[int], None] = lambda size: None,
) -> Receipt:
    """Build the image, stream it to Shock and register it; return its receipt.

    settings: the image list's.
    output, progress: called with what the build prints, and with the bytes of each piece sent.
    Raises what the four steps raise.
    """
    record = build(image, settings, shock, output=output)
    if record.published:
        uploaded = UploadRecord(build=record, saved=None, node=check_published(record, shock), url=shock.url)
    elif record.thin_on:
        check_base(shock, record.name, record.thin_on, public=record.shock.public)
        uploaded = _upload_file(record, shock, progress)
    else:
        uploaded = _upload_stream(record, shock, progress)
    return register(uploaded, shock)


def _upload_stream(record: BuildRecord, shock: Shock, progress: Callable[[int], None]) -> UploadRecord:
    """Send the archive as it comes, unless the Shock has its bytes already."""
    from skyport_wf.image.archive.normalise import OtherLayersError

    with _Export(record, progress) as export:
        try:
            node = _find_sent(record, shock, export)
            if node is None and (same := _copy_same_image(record, shock)):
                return same
            node = node or _send(record, shock, export)
        except OtherLayersError:
            # Known only at the end, where the manifest is.
            _log.info("%s holds more than %s: writing an archive of that alone", record.archive, record.name)
            return _upload_file(record, shock, progress)
        saved = export.stream.result
        check_arrival(shock, node, saved.digests, record.name)
    note_image(record, saved)
    return UploadRecord(build=record, saved=saved, node=node.id, url=shock.url)


def _find_sent(record: BuildRecord, shock: Shock, export: _Export) -> Node | None:
    """Return the upload of an earlier run with the archive's bytes, or a copy of another node that has them."""
    uploads = find_uploads(shock, record)
    if not any(node.file.complete for node in (*uploads, *find_retired(shock, record))):
        return None
    # Only the archive itself tells whether it is the same. To make it twice takes less time than to send it once.
    digests = export.read_through()
    for node in uploads:
        if holds(node, digests) and take_up(shock, node):
            _log.info("%s was sent already (node %s)", record.name, node.id)
            return node
    return copy_on_server(shock.user, record, digests)


def _copy_same_image(record: BuildRecord, shock: Shock) -> UploadRecord | None:
    """Return a copy of a node that has the image under another name."""
    if record.archive:
        return copy_same_image(shock, record, record.source.digest)
    from skyport_wf.engine.capabilities import uses_containerd_store

    # On containerd's store it takes an export to know the config digest, which takes about as long as to send it.
    return None if uses_containerd_store(connect()) else copy_same_image(shock, record, record.image or "")


def _send(record: BuildRecord, shock: Shock, export: _Export) -> Node:
    size = _about_size(record)
    if shock.url == EMBEDDED or not goes_in_parts(size, record.shock):
        return send(shock, record, export.open, size=None)
    return StreamUpload(shock, record, min(part_size(size, record.shock), _LARGEST_PART)).send(export.open)


def _about_size(record: BuildRecord) -> int:
    """Return about how many bytes the archive will have: the same number each time, and rather too many."""
    if record.archive:
        path = Path(record.archive)
        return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size
    from skyport_wf.engine.images import require_image

    return require_image(connect(), record.image or "", wanted_by=record.name).size


def _upload_file(record: BuildRecord, shock: Shock, progress: Callable[[int], None]) -> UploadRecord:
    """Send the archive by way of a file, where only at the end is known which layers belong in it.

    The file has no name, so nothing of it is left, whatever happens.
    """
    from skyport_wf.image.archive.canonical import canonical_file

    with ExitStack() as opened:
        with open_image(record) as stream:
            folder = Path(tempfile.gettempdir())
            written = canonical_file(stream, record.reference, folder, base=left_out(record))
            file, saved = opened.enter_context(written)
        note_image(record, saved)
        nothing = ProgressFile(None)
        return upload_archive(shock, record, range_of_scratch(file), saved, remembered=nothing, progress=progress)


class _Export:
    """The image as a stream that can be opened anew for each attempt to send it."""

    def __init__(self, record: BuildRecord, progress: Callable[[int], None]) -> None:
        self._record = record
        self._progress = progress
        self._open = ExitStack()
        self.stream: NormalisedStream

    def open(self) -> Generator[bytes]:
        """Yield the archive, to be sent."""
        for piece in self._begin():
            yield piece
            self._progress(len(piece))

    def read_through(self) -> ArchiveDigests:
        """Return the digests of the archive, which is read and nothing else."""
        for _ in self._begin():
            pass
        return self.stream.result.digests

    def _begin(self) -> NormalisedStream:
        from skyport_wf.image.archive.normalise import NormalisedStream

        self._open.close()
        source = self._open.enter_context(open_image(self._record))
        self.stream = NormalisedStream(source, self._record.reference)
        self._open.callback(self.stream.close)
        return self.stream

    def __enter__(self) -> _Export:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
