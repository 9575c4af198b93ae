"""All four steps as one stream: from the engine to Shock without a file in between, where that can be."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from skyport_wf.byte_streams import PIECE
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.thin import check_base
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord, UploadRecord
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Output
from skyport_wf.steps.build import build
from skyport_wf.steps.register import register
from skyport_wf.steps.save import left_out, note_image, open_image
from skyport_wf.steps.upload import check_published
from skyport_wf.transfer.send import check_arrival, send

if TYPE_CHECKING:
    from skyport_wf.image.archive.normalise import NormalisedStream
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)


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
    """Send the archive as it comes."""
    from skyport_wf.image.archive.normalise import OtherLayersError

    with _Export(record, progress) as export:
        try:
            node = send(shock, record, export.open, size=None)
        except OtherLayersError:
            # Known only at the end, where the manifest is. The unfinished upload deletes itself.
            _log.info("%s holds more than %s: writing an archive of that alone", record.archive, record.name)
            return _upload_file(record, shock, progress)
        saved = export.stream.result
        check_arrival(shock, node, saved.digests, record.name)
    note_image(record, saved)
    return UploadRecord(build=record, saved=saved, node=node.id, url=shock.url)


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

        def read() -> Iterator[bytes]:
            for start in range(0, file.size, PIECE):
                piece = os.pread(file.descriptor, PIECE, start)
                yield piece
                progress(len(piece))

        node = send(shock, record, read, size=saved.digests.size)
        check_arrival(shock, node, saved.digests, record.name)
    return UploadRecord(build=record, saved=saved, node=node.id, url=shock.url)


class _Export:
    """The image as a stream that can be opened anew for each attempt to send it."""

    def __init__(self, record: BuildRecord, progress: Callable[[int], None]) -> None:
        self._record = record
        self._progress = progress
        self._open = ExitStack()
        self.stream: NormalisedStream

    def open(self) -> Generator[bytes]:
        from skyport_wf.image.archive.normalise import NormalisedStream

        self._open.close()
        source = self._open.enter_context(open_image(self._record))
        self.stream = NormalisedStream(source, self._record.reference)
        self._open.callback(self.stream.close)
        for piece in self.stream:
            yield piece
            self._progress(len(piece))

    def __enter__(self) -> _Export:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
