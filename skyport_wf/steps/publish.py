"""All four steps as one stream: from the engine to Shock without a file in between, but for thin images."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skyport_wf.image_list.spec import ImageList, ImageSpec
from skyport_wf.publication.connect import open_shock, shock_url
from skyport_wf.publication.destination import open_destination
from skyport_wf.publication.receipts import merge_into_lock
from skyport_wf.publication.thin import check_base
from skyport_wf.records.files import read_record, write_record
from skyport_wf.records.records import BuildRecord, LockFile, Receipt, UploadRecord
from skyport_wf.steps.build import build
from skyport_wf.steps.register import register
from skyport_wf.steps.save import left_out, open_image
from skyport_wf.steps.upload import check_published
from skyport_wf.transfer.send import check_arrival, send

if TYPE_CHECKING:
    from skyport_wf.image.archive.normalise import NormalisedStream
    from skyport_wf.output_file import OutputFile
    from skyport_wf.shock.client import ShockClient

_log = logging.getLogger(__name__)
_PIECE = 1 << 20


def publish(
    image: ImageSpec,
    images: ImageList,
    folder: Path,
    *,
    output: Callable[[str], None],
    progress: Callable[[int], None] = lambda size: None,
) -> Receipt:
    """Build the image, stream it to Shock and register it; return its receipt.

    folder: what the paths of the image list start from.
    output, progress: called with what the build prints, and with the bytes of each piece sent.
    Raises what the four steps raise.
    """
    record = build(image, images, folder, output=output)
    if record.thin_on and not record.published:
        check_base(open_destination(record.shock), record.name, record.thin_on)
    return register(_upload(record, progress))


def _upload(record: BuildRecord, progress: Callable[[int], None]) -> UploadRecord:
    url = shock_url(record.shock)
    if record.published:
        return UploadRecord(build=record, saved=None, node=check_published(record), url=url)
    shock = open_shock(record.shock)
    if record.thin_on:
        return _upload_thin(shock, record, progress, url)
    with _Export(record, progress) as export:
        node = send(shock, record, export.open, size=None)
        saved = export.stream.result
        check_arrival(shock, node, saved.digests, record.name)
    return UploadRecord(build=record, saved=saved, node=node.id, url=url)


def _upload_thin(shock: ShockClient, record: BuildRecord, progress: Callable[[int], None], url: str) -> UploadRecord:
    """Send the archive by way of a file, as only at the end of the engine's export is known which layers belong in it.

    The file has no name, so nothing of it is left, whatever happens.
    """
    from skyport_wf.image.archive.canonical import canonical_file

    folder = Path(tempfile.gettempdir())
    with ExitStack() as opened:
        with open_image(record) as stream:
            written = canonical_file(stream, record.reference, folder, base=left_out(record))
            file, saved = opened.enter_context(written)
        node = send(shock, record, lambda: _read(file, progress), size=saved.digests.size)
        check_arrival(shock, node, saved.digests, record.name)
    return UploadRecord(build=record, saved=saved, node=node.id, url=url)


def _read(file: OutputFile, progress: Callable[[int], None]) -> Iterator[bytes]:
    for start in range(0, file.size, _PIECE):
        piece = os.pread(file.descriptor, _PIECE, start)
        yield piece
        progress(len(piece))


class _Export:
    """The image as a stream that can be opened anew for each attempt to send it."""

    def __init__(self, record: BuildRecord, progress: Callable[[int], None]) -> None:
        self._record = record
        self._progress = progress
        self._open = ExitStack()
        self.stream: NormalisedStream

    def open(self) -> Generator[bytes]:
        from skyport_wf.image.archive.normalise import normalise_stream

        self._open.close()
        source = self._open.enter_context(open_image(self._record))
        self.stream = normalise_stream(source, self._record.reference)
        self._open.callback(self.stream.close)
        for piece in self.stream:
            yield piece
            self._progress(len(piece))

    def __enter__(self) -> _Export:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def update_lock(receipt: Receipt, lock: Path) -> None:
    """Put the receipt's entry into the lock file, and leave the others as they are."""
    old = read_record(lock, LockFile) if lock.exists() else None
    write_record(lock, merge_into_lock(old, [receipt]))


def private(images: ImageList) -> ImageList:
    """Return the image list with every image readable by its owner alone."""
    closed = tuple(msgspec.structs.replace(image, public=False) for image in images.images)
    return msgspec.structs.replace(images, images=closed)
