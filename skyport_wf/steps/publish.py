"""All four steps as one stream: from the engine to Shock without a file in between, where that can be."""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from skyport_wf.errors import ArchiveError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.progress import UNSEEN, Progress
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord, UploadRecord
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Connect, Output
from skyport_wf.steps.build import build_or_find
from skyport_wf.steps.register import register
from skyport_wf.steps.save import open_image
from skyport_wf.transfer.parts import range_of_scratch
from skyport_wf.transfer.unfinished import ProgressFile
from skyport_wf.transfer.upload import upload_file, upload_stream

if TYPE_CHECKING:
    from skyport_wf.publication.connection import Shock

_log = logging.getLogger(__name__)


class PublishedImage(NamedTuple):
    """An image that is published now."""

    receipt: Receipt
    how: Literal["published", "there already", "opened", "closed"]
    """But for the first, it was there before, and nothing was made or sent; the last two changed who may read it."""


def publish(
    image: ResolvedImage,
    settings: ShockSettings,
    shock: Shock,
    *,
    connect: Connect,
    output: Output,
    progress: Progress = UNSEEN,
) -> PublishedImage:
    """Build the image, stream it to Shock and register it.

    settings: the image list's.
    connect: connects to the engine, as `one_connection` does.
    output: called with what the build prints.
    progress: told about how many bytes the image has, and called with those that have been read to be sent.
    Raises what the four steps raise.
    """
    from skyport_wf.engine.images import vanished_is_temporary

    # Here the list is worked off in its order: a base that is to be published is published.
    record, before = build_or_find(image, settings, shock, connect=connect, output=output, base_comes=False)
    if record.published:
        uploaded = UploadRecord(build=record, saved=None, node=record.published, url=shock.url)
    else:
        with vanished_is_temporary(connect, record.image, record.name):
            streamed = None if record.thin_on else _upload_stream(record, shock, connect, progress)
            # Only at the end it may be known which layers belong in the archive, as of a thin image.
            uploaded = streamed or _upload_file(record, shock, connect, progress)
    receipt = register(uploaded, shock)
    if record.image and uploaded.saved:
        from skyport_wf.engine.config_digests import note_config_digest

        note_config_digest(record.image, uploaded.saved.contents.image_id)
    if before == "other readers":
        return PublishedImage(receipt, "opened" if record.shock.public else "closed")
    return PublishedImage(receipt, "there already" if record.published else "published")


def _upload_stream(record: BuildRecord, shock: Shock, connect: Connect, progress: Progress) -> UploadRecord | None:
    """Send the archive as it is made; return None if it turns out to hold other images, too."""
    from skyport_wf.image.archive.normalise import OtherLayersError
    from skyport_wf.steps.exports import open_export

    try:
        with open_export(record, connect, progress) as export:
            progress.expect(export.about_size)
            while True:
                try:
                    return upload_stream(shock, record, export)
                except ArchiveError:
                    if not export.make_otherwise():
                        raise
    except OtherLayersError:
        # Known only at the end, where the manifest is.
        _log.info("%s holds more than %s: writing an archive of that alone", record.archive, record.name)
        return None


def _upload_file(record: BuildRecord, shock: Shock, connect: Connect, progress: Progress) -> UploadRecord:
    """Send the archive by way of a file, where only at the end is known which layers belong in it.

    The file has no name, so nothing of it is left, whatever happens.
    """
    from skyport_wf.image.archive.canonical import canonical_file

    with ExitStack() as opened:
        with open_image(record, connect) as stream:
            folder = Path(tempfile.gettempdir())
            written = canonical_file(
                stream, record.reference, folder, base=record.left_out, image_id=record.archived_image
            )
            file, saved = opened.enter_context(written)
            saved = msgspec.structs.replace(saved, packages=stream.packages())
        nothing = ProgressFile(None)
        progress.expect(saved.digests.size)
        return upload_file(shock, record, range_of_scratch(file), saved, remembered=nothing, progress=progress)
